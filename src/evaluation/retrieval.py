"""Metrics of labels: how well neighbors share the label of the query.

n = images, k = neighbors of each, q = queries, b = rows of a block. For a query, N is the number
of images that may be its neighbors, R the number of those that have its label.

precision_at_d = hits among the first d / d. recall_at_10 = hits among the first 10 / R. map_at_10 =
mean over queries of the sum of precision_at_r over hits at ranks r <= 10, divided by min(10, R).
Suffixes: _chance, the value expected of a random order; _macro, the mean over classes instead of
queries.
Source: Manning, Raghavan and Schuetze, Introduction to Information Retrieval, chapter 8.

Pure functions of labels and neighbors. Imports no torch.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

DEPTHS = (1, 5, 10)  # of precision
MAX_DEPTH = 10  # of mean average precision and recall
BLOCK = 4096  # rows at a time, so that their lists stay in the cache
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Metrics = dict[str, float]
Queries = dict[str, Floats]  # by metric: (n,) its value for each query, NaN if it has none


def retrieval(
    name: str, labels: Ints, index: NDArray[np.int32], *excluded: Ints
) -> tuple[Metrics, Queries]:
    """Return the metrics of a label as <name>/<metric>, and those of each query.

    labels (n,), -1 if unknown; index (n, k), neighbor rows, best first; excluded, one or more group
    ids (n,): images of the query's group, itself among them, are removed from its list and from N
    and R. Queries without a label ("empty") or with R = 0 ("singletons") are skipped. A neighbor
    without a label is wrong, and so is a missing one. Depths beyond k are omitted.

    >>> labels = np.array([0, 0, 1, 1])
    >>> index = np.array([[1], [0], [0], [2]], dtype=np.int32)
    >>> metrics, queries = retrieval("artist", labels, index, np.arange(4))
    >>> metrics["artist/precision_at_1"], queries["artist/precision_at_1"].tolist()
    (0.75, [1.0, 1.0, 0.0, 1.0])
    """
    groups = [renumber(ids) for ids in excluded]
    candidates, relevant = _counts(renumber(labels), groups)  # N and R
    labeled = labels >= 0
    is_query = labeled & (relevant > 0)
    metrics: Metrics = {
        f"{name}/queries": int(is_query.sum()),
        f"{name}/classes": len(np.unique(labels[is_query])),
        f"{name}/singletons": int((labeled & ~is_query).sum()),
        f"{name}/empty": int((~labeled).sum()),
    }
    if not is_query.any():
        return metrics, {}
    rows = np.flatnonzero(is_query)
    values, lengths = _query_metrics(labels, index, groups, rows, relevant[rows])
    if index.shape[1] >= MAX_DEPTH:
        metrics[f"{name}/fewer_than_10"] = float((lengths < MAX_DEPTH).mean())
    queries: Queries = {}
    chance = _chance(candidates[rows].astype(float), relevant[rows].astype(float))
    for metric, query_values in values.items():
        full_name = f"{name}/{metric}"
        metrics |= means(full_name, query_values, chance[metric], labels[rows])
        queries[full_name] = np.full(len(labels), np.nan)
        queries[full_name][rows] = query_values
    return metrics, queries


def instance_recall(objects: Ints, index: NDArray[np.int32], k: int) -> tuple[Metrics, Queries]:
    """Return how many of the other images of a query's object are found, and that of each query.

    objects (n,) are group ids; index (n, >= k) neighbor rows, best first. object/recall_at_1 and
    object/recall_at_k: the share of them among the first 1 and k neighbors, as a mean over the
    images whose object has others. _chance is the value expected of a random order.
    """
    relevant = _frequency(objects) - 1
    is_query = relevant > 0
    metrics: Metrics = {"object/queries": int(is_query.sum())}
    queries: Queries = {}
    if not is_query.any():
        return metrics, queries
    hits = (objects[index] == objects[:, None]).cumsum(axis=1)
    for name, depth in (("object/recall_at_1", 1), ("object/recall_at_k", k)):
        queries[name] = np.where(is_query, hits[:, depth - 1] / np.maximum(relevant, 1), np.nan)
        metrics[name] = float(queries[name][is_query].mean())
        metrics[f"{name}_chance"] = depth / (len(objects) - 1)
    return metrics, queries


def label_pairs(labels: Ints, count: int, seed: int) -> tuple[Ints, Ints] | None:
    """Return seeded random pairs (count, 2) of images with one label, and of images with two.

    labels (n,), -1 if unknown. Every pair of a kind is equally likely, with replacement. None if
    there are no pairs of one kind.
    """
    rows = np.flatnonzero(labels >= 0)
    rows = rows[np.argsort(labels[rows], kind="stable")]
    _, start, size = np.unique(labels[rows], return_index=True, return_counts=True)
    if len(size) < 2 or size.max() < 2:
        return None
    rng = np.random.default_rng(seed)
    classes = rng.choice(len(size), count, p=_probabilities(size * (size - 1)))
    first = rng.integers(size[classes])
    second = (first + rng.integers(1, size[classes])) % size[classes]
    same = np.stack([start[classes] + first, start[classes] + second], axis=1)
    classes = rng.choice(len(size), count, p=_probabilities(size * (len(rows) - size)))
    second = rng.integers(len(rows) - size[classes])
    second += np.where(second >= start[classes], size[classes], 0)  # skip the first image's class
    different = np.stack([start[classes] + rng.integers(size[classes]), second], axis=1)
    return rows[same], rows[different]


def _probabilities(weights: Ints) -> Floats:
    return np.asarray(weights / weights.sum())


def _query_metrics(
    labels: Ints, index: NDArray[np.int32], excluded: list[Ints], rows: Ints, relevant: Ints
) -> tuple[dict[str, Floats], Ints]:
    """Return each metric of the queries rows (q,), and the number of neighbors of each (q,).

    relevant (q,) is R.
    """
    depths = [depth for depth in DEPTHS if depth <= index.shape[1]]
    names = [f"precision_at_{depth}" for depth in depths]
    if index.shape[1] >= MAX_DEPTH:
        names += [f"recall_at_{MAX_DEPTH}", f"map_at_{MAX_DEPTH}"]
    values = {name: np.empty(len(rows)) for name in names}
    lengths = np.empty(len(rows), dtype=np.int64)
    for part, rank, hit in _ranked_hits(labels, index, excluded, rows):
        r, lengths[part] = relevant[part], rank[:, -1]
        for depth in depths:
            values[f"precision_at_{depth}"][part] = (hit & (rank <= depth)).sum(axis=1) / depth
        if index.shape[1] >= MAX_DEPTH:
            top = hit & (rank <= MAX_DEPTH)
            values[f"recall_at_{MAX_DEPTH}"][part] = top.sum(axis=1) / r
            precision = top.cumsum(axis=1) / rank.clip(1)
            summed = (top * precision).sum(axis=1)
            values[f"map_at_{MAX_DEPTH}"][part] = summed / np.minimum(MAX_DEPTH, r)
    return values, lengths


def _ranked_hits(
    labels: Ints, index: NDArray[np.int32], excluded: list[Ints], rows: Ints
) -> Iterator[tuple[slice, NDArray[np.int32], NDArray[np.bool_]]]:
    """Yield blocks of the queries: their slice, each neighbor's rank (b, k), and hits (b, k).

    An excluded neighbor has the rank of the last one before it and is no hit.
    """
    # int32: half the memory traffic
    small_labels, group_ids = labels.astype(np.int32), [ids.astype(np.int32) for ids in excluded]
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        query, neighbor = rows[part, None], index[rows[part]]
        allowed = np.ones(neighbor.shape, dtype=bool)
        for ids in group_ids:
            allowed &= ids[neighbor] != ids[query]
        hits = allowed & (small_labels[neighbor] == small_labels[query])
        yield part, allowed.cumsum(axis=1, dtype=np.int32), hits


def _chance(candidates: Floats, relevant: Floats) -> dict[str, Floats]:
    """Return each metric's value (q,) that a random order gives each query.

    candidates is N, relevant R, both (q,). Rank r is a hit with p = R/N; then an earlier rank is
    one with (R-1)/(N-1). So the sum of map_at_10 is p times the sum over r <= 10 of
    (1 + (r-1)(R-1)/(N-1)) / r.
    """
    share, depth = relevant / candidates, np.minimum(MAX_DEPTH, candidates)
    ranks = np.arange(1, MAX_DEPTH + 1)
    harmonic = np.where(ranks <= depth[:, None], 1 / ranks, 0).sum(axis=1)
    both = (relevant - 1) / np.maximum(candidates - 1, 1)
    summed = share * (harmonic + (depth - harmonic) * both)
    return dict.fromkeys([f"precision_at_{d}" for d in DEPTHS], share) | {
        f"recall_at_{MAX_DEPTH}": depth / candidates,
        f"map_at_{MAX_DEPTH}": summed / np.minimum(MAX_DEPTH, relevant),
    }


def means(name: str, values: Floats, chance: Floats, labels: Ints) -> Metrics:
    """Return the mean of a metric, its _chance and its _macro over the queries.

    values, chance and labels are (q,).
    """
    classes = renumber(labels)
    macro = (np.bincount(classes, values) / np.bincount(classes)).mean()
    return {
        name: float(values.mean()),
        f"{name}_chance": float(chance.mean()),
        f"{name}_macro": float(macro),
    }


def _counts(labels: Ints, excluded: list[Ints]) -> tuple[Ints, Ints]:
    """Return N and R of each image (n,): images outside its groups, and those with its label.

    An image is in its own groups, so it does not count itself.
    """
    candidates, relevant = np.full(len(labels), len(labels)), _frequency(labels)
    for size in range(1, len(excluded) + 1):  # inclusion and exclusion over shared groups
        for subset in combinations(excluded, size):
            joint = _joint(subset)
            candidates += (-1) ** size * _frequency(joint)
            relevant += (-1) ** size * _frequency(_joint((labels, joint)))
    return candidates, relevant


def _joint(columns: tuple[Ints, ...]) -> Ints:
    """Return (n,) an id for each combination of the ids in columns."""
    joint = columns[0]
    for ids in columns[1:]:
        joint = renumber(joint * (int(ids.max()) + 1) + ids)
    return joint


def renumber(values: Ints) -> Ints:
    """Return (n,) the same groups with ids from 0 up."""
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def _frequency(values: Ints) -> Ints:
    """Return (n,) how many images share each image's id."""
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(counts[position.reshape(-1)])
