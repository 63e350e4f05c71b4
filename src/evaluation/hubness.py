"""Metrics of the neighbor graph: hubs, reciprocity, near-duplicates.

n = images, k = neighbors of each. Pure functions of neighbors. Imports no torch.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from src.evaluation.retrieval import Metrics

if TYPE_CHECKING:
    from src.similarity import Neighbors


def k_occurrence(index: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return (n,) the number of neighbor lists of index (n, k) that each image is in."""
    return np.bincount(index.ravel(), minlength=len(index))


def neighborhood_metrics(index: NDArray[np.int32]) -> Metrics:
    """Return how evenly images are neighbors of each other, for neighbor rows index (n, k).

    hubness: skewness of the k-occurrence, E(x - m)^3 / s^3, NaN if all images occur equally often
    (Radovanovic, Nanopoulos and Ivanovic, 2010). orphans: share of images in no list.
    reciprocity: share of neighbors j of i that have i among their own neighbors.

    >>> index = np.array([[1], [0], [0], [0]], dtype=np.int32)  # everyone's neighbor is image 0
    >>> metrics = neighborhood_metrics(index)
    >>> round(metrics["hubness"], 3), metrics["orphans"], metrics["reciprocity"]
    (0.816, 0.5, 0.5)
    """
    n, k = index.shape
    counts = k_occurrence(index).astype(np.float64)
    deviations, std = counts - counts.mean(), counts.std()
    rows = np.repeat(np.arange(n, dtype=np.int64), k)
    edges, reverse = np.sort(rows * n + index.ravel()), index.ravel() * np.int64(n) + rows
    position = np.searchsorted(edges, reverse).clip(max=len(edges) - 1)
    return {
        "hubness": float((deviations**3).mean() / std**3) if std > 0 else float("nan"),
        "orphans": float((counts == 0).mean()),
        "reciprocity": float((edges[position] == reverse).mean()),
    }


def shared_neighbors(first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return (n,) how many neighbors each image has in both lists (n, k).

    Of lists with different k, the nearest of the longer one count.

    >>> shared_neighbors(np.array([[1, 2], [0, 2]]), np.array([[2, 3, 1], [3, 2, 0]])).tolist()
    [1, 1]
    """
    k = min(first.shape[1], second.shape[1])
    both = np.sort(np.concatenate([first[:, :k], second[:, :k]], axis=1), axis=1)
    return np.asarray(np.count_nonzero(both[:, 1:] == both[:, :-1], axis=1))


def near_duplicates(
    neighbors: "Neighbors", min_score: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the pairs of neighbors that score at least min_score, best first.

    Pairs are (m, 2) rows i < j, each once; scores are (m,).

    >>> from src.similarity import Neighbors
    >>> index = np.array([[1, 2], [0, 2], [0, 1]], dtype=np.int32)
    >>> score = np.array([[0.99, 0.5], [0.99, 0.97], [0.5, 0.97]], dtype=np.float32)
    >>> pairs, scores = near_duplicates(Neighbors(index, score, 0), min_score=0.9)
    >>> pairs.tolist()
    [[0, 1], [1, 2]]
    """
    row, rank = np.nonzero(neighbors.score >= min_score)
    pairs = np.sort(np.stack([row, neighbors.index[row, rank]], axis=1).astype(np.int64), axis=1)
    pairs, first = np.unique(pairs, axis=0, return_index=True)
    scores = neighbors.score[row, rank][first]
    order = np.argsort(-scores, kind="stable")
    return pairs[order], scores[order]
