"""The health of a neighborhood: hubs, who is whose neighbor in return, and near-duplicates.

n = images, k = neighbors of each. Pure functions of neighbors.
"""

import numpy as np
from numpy.typing import NDArray

from src.evaluation.retrieval import Metrics
from src.similarity import Neighbors


def k_occurrence(index: NDArray[np.int32]) -> NDArray[np.int64]:
    """(n,) in how many lists of index (n, k) each image is."""
    return np.bincount(index.ravel(), minlength=len(index))


def neighborhood_metrics(index: NDArray[np.int32]) -> Metrics:
    """How evenly the images are one another's neighbors, of index (n, k).

    hubness: the skewness of occurrences, E(x - m)^3 / s^3 (Radovanovic, Nanopoulos and Ivanovic,
    2010), NaN where all are equal; orphans: the share of images that are in no list; reciprocity:
    the share of neighbors j of i that have i among theirs.
    """
    n, k = index.shape
    counts = k_occurrence(index).astype(np.float64)
    apart, std = counts - counts.mean(), counts.std()
    own = np.repeat(np.arange(n, dtype=np.int64), k)
    pairs, other = np.sort(own * n + index.ravel()), index.ravel() * np.int64(n) + own
    at = np.searchsorted(pairs, other).clip(max=len(pairs) - 1)
    return {
        "hubness": float((apart**3).mean() / std**3) if std > 0 else float("nan"),
        "orphans": float((counts == 0).mean()),
        "reciprocity": float((pairs[at] == other).mean()),
    }


def near_duplicates(
    neighbors: Neighbors, least: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pairs (m, 2) of neighbors, i < j, that score at least that much, and their scores, best
    first."""
    row, place = np.nonzero(neighbors.score >= least)
    pairs = np.sort(np.stack([row, neighbors.index[row, place]], axis=1).astype(np.int64), axis=1)
    pairs, first = np.unique(pairs, axis=0, return_index=True)
    scores = neighbors.score[row, place][first]
    order = np.argsort(-scores, kind="stable")
    return pairs[order], scores[order]
