"""How well neighbors share a label. Pure functions of labels and neighbors.

n = images, k = neighbors of each, b = rows of a block. For a query q, N = the images that may be
its neighbors, R = those of them with its label.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

DEPTHS = (1, 5, 10)
DEEP = 10  # of mean average precision and recall
BLOCK = 4096  # rows at a time, so that their lists stay in the cache
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Metrics = dict[str, float]
Queries = dict[str, Floats]  # a metric of each query; NaN where it is left out


def retrieval(
    column: str, labels: Ints, index: NDArray[np.int32], *excluded: Ints
) -> tuple[Metrics, Queries]:
    """Metrics of a label (n,), -1 where unknown, over the neighbors index (n, k), best first.

    An image that shares a query's group in one of apart, each (n,), is taken out of its list and of
    N and R. Queries without a label (empty) and those with R = 0 (singletons) are left out; a
    neighbor without a label, and a place that no neighbor is left for, count as wrong. Of the list:
    precision_at_d = hits among the first d / d, recall_at_10 = hits among the first 10 / R,
    map_at_10 = mean over queries of the sum over hits at ranks r <= 10 of precision_at_r, divided
    by min(10, R), and r_precision = precision_at_R, of queries whose list is that long. Each with
    _chance, what a random order would give, and _macro, the mean over classes. fewer_than_10: the
    share of queries with so few left. Depths beyond k are left out.
    Source: Manning, Raghavan and Schuetze, Introduction to Information Retrieval, chapter 8.
    """
    own = [_numbered(groups) for groups in excluded]
    others, right = _counts(_numbered(labels), own)
    known = labels >= 0
    asked = known & (right > 0)
    metrics: Metrics = {
        f"{column}/queries": int(asked.sum()),
        f"{column}/singletons": int((known & ~asked).sum()),
        f"{column}/empty": int((~known).sum()),
    }
    if not asked.any():
        return metrics, {}
    rows = np.flatnonzero(asked)
    each, left = _measured(labels, index, own, rows, right[rows])
    if index.shape[1] >= DEEP:
        metrics[f"{column}/fewer_than_10"] = float((left < DEEP).mean())
    queries: Queries = {}
    chances = _chances(others[rows].astype(float), right[rows].astype(float))
    for name, values in each.items():
        if not np.isnan(values).all():
            whole = f"{column}/{name}"
            metrics |= _means(whole, values, chances[name], labels[rows])
            queries[whole] = np.full(len(labels), np.nan)
            queries[whole][rows] = values
    return metrics, queries


def instance_recall(objects: Ints, index: NDArray[np.int32], k: int) -> tuple[Metrics, Queries]:
    """Whether the other images of a query's object, a number (n,), are found.

    recall_at_1 and recall_at_k: the share of them among the first 1 and k neighbors, as a mean over
    the images whose object has others. Chance is what a random order would give.
    """
    total = _frequency(objects) - 1
    asked = total > 0
    metrics: Metrics = {"object/queries": int(asked.sum())}
    queries: Queries = {}
    if not asked.any():
        return metrics, queries
    found = (objects[index] == objects[:, None]).cumsum(axis=1)
    for name, depth in (("object/recall_at_1", 1), ("object/recall_at_k", k)):
        queries[name] = np.where(asked, found[:, depth - 1] / np.maximum(total, 1), np.nan)
        metrics[name] = float(queries[name][asked].mean())
        metrics[f"{name}_chance"] = depth / (len(objects) - 1)
    return metrics, queries


def label_pairs(labels: Ints, count: int, seed: int) -> tuple[Ints, Ints] | None:
    """Random pairs (count, 2) of images with one label, and of images with two, seeded.

    Each pair of the one kind is as likely as any other, with replacement. None where there are no
    such pairs.
    """
    rows = np.flatnonzero(labels >= 0)
    rows = rows[np.argsort(labels[rows], kind="stable")]
    _, start, size = np.unique(labels[rows], return_index=True, return_counts=True)
    if len(size) < 2 or size.max() < 2:
        return None
    draw = np.random.default_rng(seed)
    cls = draw.choice(len(size), count, p=_share(size * (size - 1)))
    first = draw.integers(size[cls])
    second = (first + draw.integers(1, size[cls])) % size[cls]
    same = np.stack([start[cls] + first, start[cls] + second], axis=1)
    cls = draw.choice(len(size), count, p=_share(size * (len(rows) - size)))
    second = draw.integers(len(rows) - size[cls])
    second += np.where(second >= start[cls], size[cls], 0)  # beyond the first one's class
    different = np.stack([start[cls] + draw.integers(size[cls]), second], axis=1)
    return rows[same], rows[different]


def _share(weights: Ints) -> Floats:
    return np.asarray(weights / weights.sum())


def _measured(
    labels: Ints, index: NDArray[np.int32], excluded: list[Ints], rows: Ints, right: Ints
) -> tuple[dict[str, Floats], Ints]:
    """Each metric of these queries (q,), and how many neighbors they are left with."""
    depths = [depth for depth in DEPTHS if depth <= index.shape[1]]
    names = [f"precision_at_{depth}" for depth in depths]
    if index.shape[1] >= DEEP:
        names += [f"recall_at_{DEEP}", f"map_at_{DEEP}"]
    each = {name: np.empty(len(rows)) for name in [*names, "r_precision"]}
    left = np.empty(len(rows), dtype=np.int64)
    for at, rank, hit in _lists(labels, index, excluded, rows):
        least, left[at] = right[at], rank[:, -1]
        for depth in depths:
            each[f"precision_at_{depth}"][at] = (hit & (rank <= depth)).sum(axis=1) / depth
        if index.shape[1] >= DEEP:
            top = hit & (rank <= DEEP)
            each[f"recall_at_{DEEP}"][at] = top.sum(axis=1) / least
            precision = top.cumsum(axis=1) / rank.clip(1)
            gained = (top * precision).sum(axis=1)
            each[f"map_at_{DEEP}"][at] = gained / np.minimum(DEEP, least)
        among = (hit & (rank <= least[:, None])).sum(axis=1) / least
        each["r_precision"][at] = np.where(least <= rank[:, -1], among, np.nan)
    return each, left


def _lists(
    labels: Ints, index: NDArray[np.int32], excluded: list[Ints], rows: Ints
) -> Iterator[tuple[slice, NDArray[np.int32], NDArray[np.bool_]]]:
    """Of a part of the queries, each neighbor's rank (b, k), and whether it is a hit (b, k).

    One that is taken out has the rank of the last before it and is no hit.
    """
    small, taken = labels.astype(np.int32), [groups.astype(np.int32) for groups in excluded]
    for start in range(0, len(rows), BLOCK):
        at = slice(start, start + BLOCK)
        own, near = rows[at, None], index[rows[at]]
        kept = np.ones(near.shape, dtype=bool)
        for groups in taken:
            kept &= groups[near] != groups[own]
        yield at, kept.cumsum(axis=1, dtype=np.int32), kept & (small[near] == small[own])


def _chances(others: Floats, right: Floats) -> dict[str, Floats]:
    """What a random order would give, of each query.

    Rank r is a hit with p = R/N, and an earlier one too with (R-1)/(N-1) then; so that the sum of
    map_at_10 is p times the sum over r <= 10 of (1 + (r-1)(R-1)/(N-1)) / r.
    """
    share, deep = right / others, np.minimum(DEEP, others)
    ranks = np.arange(1, DEEP + 1)
    harmonic = np.where(ranks <= deep[:, None], 1 / ranks, 0).sum(axis=1)
    both = (right - 1) / np.maximum(others - 1, 1)
    gained = share * (harmonic + (deep - harmonic) * both)
    return dict.fromkeys([*(f"precision_at_{d}" for d in DEPTHS), "r_precision"], share) | {
        f"recall_at_{DEEP}": deep / others,
        f"map_at_{DEEP}": gained / np.minimum(DEEP, right),
    }


def _means(name: str, values: Floats, chance: Floats, labels: Ints) -> Metrics:
    """A metric over the queries (q,) that have it, what chance gives them, and over classes."""
    there = ~np.isnan(values)
    classes = _numbered(labels[there])
    return {
        name: float(values[there].mean()),
        f"{name}_chance": float(chance[there].mean()),
        f"{name}_macro": float((np.bincount(classes, values[there]) / np.bincount(classes)).mean()),
    }


def _counts(labels: Ints, excluded: list[Ints]) -> tuple[Ints, Ints]:
    """N and R of each image: those of no group of its own, and how many of them have its label."""
    others, right = np.full(len(labels), len(labels)), _frequency(labels)
    for size in range(1, len(excluded) + 1):  # inclusion and exclusion over who is in several
        for some in combinations(excluded, size):
            joint = _joint(some)
            others += (-1) ** size * _frequency(joint)
            right += (-1) ** size * _frequency(_joint((labels, joint)))
    return others, right


def _joint(some: tuple[Ints, ...]) -> Ints:
    """A number for each combination of numbers."""
    joint = some[0]
    for groups in some[1:]:
        joint = _numbered(joint * (int(groups.max()) + 1) + groups)
    return joint


def _numbered(values: Ints) -> Ints:
    """The same groups, numbered from 0 on."""
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def _frequency(values: Ints) -> Ints:
    """How many images have each one's number."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(counts[place.reshape(-1)])
