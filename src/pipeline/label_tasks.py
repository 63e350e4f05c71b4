"""Which labels are evaluated, each with and without filters of neighbors.

n = images.
"""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from src.config import Config, Similarity
from src.config.enums import Exclude, UnknownArtists
from src.evaluation.metrics import FILTER
from src.evaluation.relevance import Flags, Ints, Relevance
from src.gallery import Gallery
from src.gallery.label_sets import label_sets, repeated_columns

log = logging.getLogger(__name__)


class LabelTask(NamedTuple):
    """A label to evaluate, with or without a filter."""

    name: str  # of the metrics: the column, and the filter if there is one
    column: str  # of works.csv
    relevance: Relevance
    strangers: int = 0  # images of unknown artist that a filter of artists keeps


def label_tasks(gallery: Gallery, cfg: Config) -> Iterator[LabelTask]:
    """Yield each label to evaluate: alone, without the same object, without the same artist.

    Other views of the query's object leave with its artist. Raises UserError if evaluation.labels
    names a column that is not in works.csv.
    """
    options, separator = cfg.evaluation, cfg.evaluation.multilabel
    columns = _distinct_columns(gallery, separator) if options.labels is None else options.labels
    groups, objects = (
        gallery.exclusion_groups(cfg.similarity),
        object_groups(gallery, cfg.similarity),
    )
    artists, unknown = _artists(gallery, separator)
    keeps_unknown = options.unknown_artists is UnknownArtists.strangers
    others = [groups] if objects is None else _without_single(groups, objects)
    for column in columns:
        labels = _flat(label_sets(gallery, column, separator))
        yield LabelTask(column, column, Relevance(labels, [groups]))
        if objects is not None:
            yield LabelTask(f"{column}{FILTER}object", column, Relevance(labels, others))
        if column != "artist" and artists is not None:
            left_out = None if keeps_unknown else unknown
            relevance = Relevance(labels, [*others, artists], left_out)
            strangers = int(unknown.sum()) if keeps_unknown else 0
            yield LabelTask(f"{column}{FILTER}artist", column, relevance, strangers)


def object_groups(gallery: Gallery, options: Similarity) -> Ints | None:
    """Return (n,) the object of each image, None if no two possible neighbors share one."""
    if options.exclude is Exclude.same_object or "object_id" not in gallery.works:
        return None
    groups = gallery.label_ids("object_id")
    return groups if len(np.unique(groups)) < len(groups) else None


def _artists(gallery: Gallery, separator: str | None) -> tuple[Ints | None, Flags]:
    """Return the artists of each image, (n,) or (n, v), and which are unknown, (n,).

    The artists are None if no two images share one.
    """
    if "artist" not in gallery.works:
        return None, np.zeros(len(gallery), dtype=bool)
    sets = label_sets(gallery, "artist", separator)
    unknown = np.asarray(sets[:, 0] < 0)
    known = sets[sets >= 0]
    if len(np.unique(known)) == len(known):
        return None, unknown
    return (gallery.label_ids("artist") if sets.shape[1] == 1 else sets), unknown


def _flat(sets: Ints) -> Ints:
    """Return the labels (n, v) of images as (n,) if each has one at most."""
    return sets[:, 0] if sets.shape[1] == 1 else sets


def _without_single(groups: Ints, objects: Ints) -> list[Ints]:
    """Return both groups (n,), without the first ones if each image is a group of its own."""
    return [objects] if len(np.unique(groups)) == len(groups) else [groups, objects]


def _distinct_columns(gallery: Gallery, separator: str | None) -> list[str]:
    """Return the label columns but for those that divide the images as an earlier one does."""
    columns = dict[tuple[int, bytes], str]()  # by the numbers of each image's labels
    for column in repeated_columns(gallery, separator):
        sets = label_sets(gallery, column, separator)
        first = columns.setdefault((sets.shape[1], sets.tobytes()), column)
        if first != column:
            text = "labels: %s divides the images as %s does, and is not evaluated again"
            log.info(text, column, first)
    return list(columns.values())
