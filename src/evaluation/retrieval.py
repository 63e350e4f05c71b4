"""Metrics of labels: how well neighbors share the label of the query.

n = images, k = neighbors of each, q = queries, b = queries of a block. For a query, N is the number
of images that may be its neighbors, R the number of those that have its label.

precision_at_d = hits among the first d / min(d, N). recall_at_10 = hits among the first 10 / R, at
most min(10, R) / R, whose mean is recall_at_10_bound. hit_at_10 = 1 if one of the first 10 is a
hit, else 0. map_at_10 = mean over queries of the sum of hits among the first r / r over hits at
ranks r <= 10, divided by min(10, R). All are expected values over the order of equal scores.
Suffixes: _chance, the value expected of a random order; _macro, the mean over classes instead of
queries; _macro_chance, that of _chance.
Source: Manning, Raghavan and Schuetze, Introduction to Information Retrieval, chapter 8.

Pure functions of labels and neighbors. Imports no torch.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from src.evaluation.list_measures import (
    MAX_DEPTH,
    Floats,
    Groups,
    Ties,
    chance,
    groups_at,
    measure,
    ties,
)
from src.evaluation.ranked_lists import RankedLists
from src.evaluation.relevance import Flags, Ints, Relevance, renumber

BLOCK = 4096  # rows at a time, so that their lists stay in the cache
Metrics = dict[str, float]
Queries = dict[str, Floats]  # by metric: (n,) its value for each query, NaN if it has none


def retrieval(name: str, relevance: Relevance, lists: RankedLists) -> tuple[Metrics, Queries]:
    """Return the metrics of a label as <name>/<metric>, and those of each query.

    Images that are left out, without a label ("empty") or with R = 0 ("singletons") are no queries.
    A neighbor without a label is wrong, and so is a missing one. Depths beyond k are omitted. Of an
    image with several labels, the first is its class, for classes and _macro.

    >>> relevance = Relevance(np.array([0, 0, 1, 1]), [np.arange(4)])
    >>> lists = RankedLists(np.array([[1], [0], [0], [2]], dtype=np.int32))
    >>> metrics, queries = retrieval("artist", relevance, lists)
    >>> metrics["artist/precision_at_1"], queries["artist/precision_at_1"].tolist()
    (0.75, [1.0, 1.0, 0.0, 1.0])
    """
    labels, (candidates, relevant) = relevance.classes, relevance.counts()  # N and R
    metrics, rows = _count_queries(name, relevance, relevant)
    if not len(rows):
        return metrics, {}
    n_of, r_of = candidates[rows], relevant[rows]
    values, missing = _query_values(relevance, lists, rows, n_of, r_of)
    if lists.index.shape[1] >= MAX_DEPTH:
        metrics[f"{name}/fewer_than_{MAX_DEPTH}"] = float(missing.mean())
        bound = np.minimum(MAX_DEPTH, r_of) / r_of
        metrics[f"{name}/recall_at_{MAX_DEPTH}_bound"] = float(bound.mean())
    queries: Queries = {}
    by_chance = chance(n_of, r_of)
    for metric, query_values in values.items():
        full_name = f"{name}/{metric}"
        metrics |= means(full_name, query_values, by_chance[metric], labels[rows])
        queries[full_name] = np.full(len(labels), np.nan)
        queries[full_name][rows] = query_values
    return metrics, queries


def _count_queries(name: str, relevance: Relevance, relevant: Ints) -> tuple[Metrics, Ints]:
    """Return how many images are queries, and why others are not, and the queries (q,).

    relevant (n,) is R.
    """
    labels = relevance.classes
    kept = np.ones(len(labels), bool) if relevance.left_out is None else ~relevance.left_out
    labeled = kept & (labels >= 0)
    is_query = labeled & (relevant > 0)
    metrics: Metrics = {
        f"{name}/queries": int(is_query.sum()),
        f"{name}/classes": len(np.unique(labels[is_query])),
        f"{name}/singletons": int((labeled & ~is_query).sum()),
        f"{name}/empty": int((kept & ~labeled).sum()),
    }
    if not kept.all():
        metrics[f"{name}/left_out"] = int((~kept).sum())
    return metrics, np.flatnonzero(is_query)


def _query_values(
    relevance: Relevance, lists: RankedLists, rows: Ints, candidates: Ints, relevant: Ints
) -> tuple[dict[str, Floats], Flags]:
    """Return each metric of the queries rows (q,), and which lists lack one of the ranks, (q,).

    candidates is N, relevant R, both (q,).
    """
    values: dict[str, Floats] = {}
    missing = np.zeros(len(rows), dtype=bool)
    for part, groups in _first_ranks(relevance, lists, rows):
        missing[part] = ~groups.present[:, -1]
        for metric, measured in measure(groups, candidates[part], relevant[part]).items():
            values.setdefault(metric, np.empty(len(rows)))[part] = measured
    return values, missing


def _first_ranks(
    relevance: Relevance, lists: RankedLists, rows: Ints
) -> Iterator[tuple[Ints, Groups]]:
    """Yield the groups of equal keys at the first ranks of the queries rows (q,), in blocks.

    Each comes with the places in rows that it is of. Lists are cut short where that leaves enough
    neighbors and cuts no tie, because few ranks are looked at.
    """
    ranks = np.arange(1, min(MAX_DEPTH, lists.index.shape[1]) + 1)
    is_narrow = ~lists.is_tied_early[rows]
    places, whole = np.flatnonzero(is_narrow), [np.flatnonzero(~is_narrow)]
    for part in _blocks(places):
        groups = _groups(relevance, rows[part], lists.early(rows[part]), ranks, None)
        enough = groups.present[:, -1]
        whole.append(part[~enough])
        yield part[enough], groups.part(enough)
    for part in _blocks(np.concatenate(whole)):
        own = rows[part]
        if lists.is_tied[own].any():
            yield part, _tied_groups(relevance, lists, own, ranks)
        else:
            yield part, _groups(relevance, own, lists.index[own], ranks, None)


def _blocks(places: Ints) -> Iterator[Ints]:
    """Yield the places (q,) in parts of at most BLOCK."""
    for start in range(0, len(places), BLOCK):
        yield places[start : start + BLOCK]


def _groups(
    relevance: Relevance, rows: Ints, index: NDArray[np.int32], ranks: Ints, tied: Ties | None
) -> Groups:
    """Return the groups at the ranks (t,) of the queries rows (b,) with neighbors index (b, k)."""
    allowed = relevance.allowed(rows, index)
    return groups_at(ranks, allowed, allowed & relevance.right(rows, index), tied)


def _tied_groups(relevance: Relevance, lists: RankedLists, rows: Ints, ranks: Ints) -> Groups:
    """Return the groups at the ranks (t,) of the queries rows (b,), with those of equal keys.

    The group at the end of a list is extended by the images beyond it.
    """
    index, tied = lists.index[rows], None if lists.key is None else ties(lists.key[rows])
    ends = np.append(ranks, index.shape[1] + 1)  # the last group holds what is beyond the list
    both = _groups(relevance, rows, index, ends, tied)
    groups, last = both.part(np.s_[:, :-1]), both.part(np.s_[:, -1:])
    reaches = lists.is_open[rows] & (last.start[:, 0] < ranks[-1])
    if lists.tied_images is None or not reaches.any():
        return groups
    size, right = last.size.copy(), last.right.copy()
    place = np.full(len(lists.index), -1)
    place[rows] = np.arange(len(rows))
    for some, images in lists.tied_images(rows[reaches]):
        in_all, right_of_all = relevance.counts(images)
        size[place[some], 0], right[place[some], 0] = in_all[some], right_of_all[some]
    is_last = groups.start == last.start
    return Groups(
        np.where(is_last, ranks <= last.start + size, groups.present),
        groups.start,
        groups.before,
        np.where(is_last, size, groups.size),
        np.where(is_last, right, groups.right),
    )


def means(name: str, values: Floats, chance: Floats, labels: Ints) -> Metrics:
    """Return the mean of a metric over the queries, its _chance, _macro and _macro_chance.

    values, chance and labels are (q,).
    """
    classes = renumber(labels)
    sizes = np.bincount(classes)
    macro, macro_chance = (
        float((np.bincount(classes, x) / sizes).mean()) for x in (values, chance)
    )
    return {
        name: float(values.mean()),
        f"{name}_chance": float(chance.mean()),
        f"{name}_macro": macro,
        f"{name}_macro_chance": macro_chance,
    }


def instance_recall(
    objects: Ints, lists: RankedLists, k: int, groups: Ints | None = None
) -> tuple[Metrics, Queries]:
    """Return how many of the other images of a query's object are found, and that of each query.

    objects (n,) are ids; lists hold at least k neighbors each; images of one of the groups (n,) are
    no neighbors. object/recall_at_1 and object/recall_at_k: the share of the object's other images
    among the first 1 and k neighbors, as a mean over the images whose object has others, expected
    over the order of equal scores. _chance is the value expected of a random order.
    """
    n = len(objects)
    relevance = Relevance(objects, [np.arange(n) if groups is None else groups])
    candidates, relevant = relevance.counts()
    rows = np.flatnonzero(relevant)
    classes = len(np.unique(objects[rows]))
    metrics: Metrics = {"object/queries": len(rows), "object/classes": classes}
    queries: Queries = {}
    if not len(rows):
        return metrics, queries
    ranks = np.array([1, k])
    recall = np.full((n, 2), np.nan)
    for part in _blocks(rows):
        found = _tied_groups(relevance, lists, part, ranks).hits(ranks)
        recall[part] = found / relevant[part, None]
    for at, name in enumerate(("object/recall_at_1", "object/recall_at_k")):
        queries[name] = recall[:, at]
        metrics[name] = float(recall[rows, at].mean())
        metrics[f"{name}_chance"] = float((ranks[at] / candidates[rows]).mean())
    return metrics, queries
