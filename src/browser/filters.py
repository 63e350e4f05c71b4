"""Which neighbors of an image are shown: the run's own list, or the nearest that a filter leaves.

n = images, k = neighbors.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.browser.addresses import PREFIX
from src.browser.opened import OpenRun
from src.browser.run_search import COMPUTING, exclusion_groups, others, run_search
from src.browser.site import Parameters
from src.errors import UserError
from src.io.printable import printable
from src.reporting.text import as_utf8

COUNTS = (10, 20, 50, 100)  # neighbors to choose from
MOST = COUNTS[-1]
ONLY = {"other-artist": "artist", "other-object": "object_id"}  # what neighbors may not share
ONLY_TEXTS = {"other-artist": "other artists only", "other-object": "other objects only"}
MAX_VALUES = 40  # of a label column to choose from; an address may have any
KEPT = 8  # runs

Neighbor = tuple[int, float]  # row and score


class Wanted(NamedTuple):
    """What an address asks for."""

    k: int
    only: str = ""  # a key of ONLY, "" for all
    labels: tuple[tuple[str, str], ...] = ()  # label columns and the value that neighbors have

    def parameters(self, only: str, default: int) -> dict[str, object]:
        """Return the parameters of an address with this choice, but for `only`."""
        chosen: dict[str, object] = {PREFIX + column: value for column, value in self.labels}
        return {"only": only, "k": self.k if self.k != default else None, **chosen}


class Found(NamedTuple):
    """Neighbors, best first, and where they are from."""

    neighbors: list[Neighbor]
    among: int  # images that the filter leaves
    is_stored: bool = True  # else they are found anew, from the features
    problem: str = ""  # why more cannot be found


def read_wanted(run: OpenRun, parameters: Parameters) -> Wanted:
    """Return what an address asks for; what the run does not have is left out.

    A label without a value is no filter, as in a form where none was chosen.
    """
    asked = parameters.get("k", "")
    k = int(asked) if asked in map(str, counts(run)) else default_count(run)
    only = parameters.get("only", "")
    labels = ((column, parameters.get(PREFIX + column, "")) for column in run.labels)
    chosen = tuple((column, value) for column, value in labels if value)
    return Wanted(k, only if only in possible_only(run) else "", chosen)


def default_count(run: OpenRun) -> int:
    """Return how many neighbors are shown unless an address says so: those of the run's list."""
    return min(int(run.index.shape[1]), MOST)


def counts(run: OpenRun) -> list[int]:
    """Return the numbers of neighbors to choose from."""
    return sorted({*COUNTS, default_count(run)})


@lru_cache(KEPT)
def possible_only(run: OpenRun) -> dict[str, NDArray[np.int64]]:
    """Return by key of ONLY the numbers (n,) of what images may not share, of those that differ.

    That is where several images share it, and the run itself has not left them out.
    """
    found = dict[str, NDArray[np.int64]]()
    for key, column in ONLY.items():
        if column in run.columns:
            ids = run.gallery.label_ids(column)
            if len(np.unique(ids)) < len(run) and not np.array_equal(ids, exclusion_groups(run)):
                found[key] = ids
    return found


@lru_cache(KEPT)
def distinct_labels(run: OpenRun) -> list[str]:
    """Return the label columns, but for those that divide the images as one before them does.

    An example is artist, artist_slug and folder of a collection with a folder for each artist.
    """
    found = list[str]()
    for column, (_, codes) in run.labels.items():
        if not any(np.array_equal(codes, run.labels[other].codes) for other in found):
            found.append(column)
    return found


@lru_cache(KEPT)
def values(run: OpenRun) -> dict[str, list[str]]:
    """Return by label column the values as pages and addresses write them, by their number."""
    return {
        column: [printable(as_utf8(value)) for value in labels.values]
        for column, labels in run.labels.items()
    }


def allowed(run: OpenRun, row: int, wanted: Wanted) -> NDArray[np.bool_]:
    """Return (n,) which images may be neighbors of one: by the run's options and by a choice."""
    mask = others(run, row)
    if wanted.only:
        ids = possible_only(run)[wanted.only]
        mask &= ids != ids[row]
    for column, value in wanted.labels:
        texts = values(run)[column]
        mask &= run.labels[column].codes == (texts.index(value) if value in texts else len(texts))
    return mask


def stored(run: OpenRun, row: int) -> Iterator[Neighbor]:
    """Yield the neighbors in the run's list, best first."""
    return zip(run.index[row].tolist(), run.score[row].tolist(), strict=True)


def find(run: OpenRun, row: int, wanted: Wanted) -> Found:
    """Return the wanted.k nearest that a choice leaves: from the run's list if it has enough.

    Where the features are gone, those in the list, and the problem in a sentence.
    """
    mask = allowed(run, row, wanted)
    kept = [neighbor for neighbor in stored(run, row) if mask[neighbor[0]]][: wanted.k]
    among = int(mask.sum())
    if len(kept) == min(wanted.k, among):
        return Found(kept, among)
    try:
        with COMPUTING:
            index, score = run_search(run).nearest_to_rows([row], wanted.k, mask)
    except (UserError, OSError) as error:
        return Found(kept, among, problem=str(error))
    return Found(list(zip(index[0].tolist(), score[0].tolist(), strict=True)), among, False)


class Select(NamedTuple):
    """A label column with values to choose from."""

    column: str
    own: str  # the value of the image itself, "" if it has none
    others: list[str]
    chosen: str = ""


def selects(run: OpenRun, row: int, wanted: Wanted) -> list[Select]:
    """Return the choices for an image: its own values, and the most frequent others."""
    chosen, found = dict(wanted.labels), list[Select]()
    for column, frequent in _frequent(run).items():
        own, value = value_of(run, row, column), chosen.get(column, "")
        rare = [value] if value not in ("", own, *frequent) else []
        found.append(Select(column, own, [v for v in rare + frequent if v != own], value))
    return found


def value_of(run: OpenRun, row: int, column: str) -> str:
    """Return the label of an image as pages and addresses write it, "" if it has none."""
    code = int(run.labels[column].codes[row])
    return values(run)[column][code] if code >= 0 else ""


@lru_cache(KEPT)
def _frequent(run: OpenRun) -> dict[str, list[str]]:
    """Return by label column its most frequent values."""
    found = dict[str, list[str]]()
    for column in distinct_labels(run):
        codes = run.labels[column].codes
        order = np.argsort(-np.bincount(codes[codes >= 0]), kind="stable")
        found[column] = [values(run)[column][code] for code in order[:MAX_VALUES].tolist()]
    return found
