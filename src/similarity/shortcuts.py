"""A whole search in one call."""

from numpy.typing import ArrayLike
from torch import Tensor

from src.similarity.plan import SearchOptions
from src.similarity.search import Neighbors, NeighborSearch


def top_k(
    features: ArrayLike | Tensor,
    k: int = 10,
    *,
    groups: ArrayLike | Tensor | None = None,
    penalty: ArrayLike | Tensor | None = None,
    block_size: int | None = None,
    device: str = "auto",
) -> Neighbors:
    """Return the k nearest neighbors of each row by cosine similarity, best first.

    NeighborSearch has more options and runs several searches of the same rows.

    Args:
        features: (n, d) floats of any scale.
        k: neighbors per row; the row itself is never one.
        groups: (n,) integers; rows of one group are no neighbors of each other.
        penalty: (n,) floats, subtracted from a neighbor's score for the order alone: csls_penalty.
        block_size: rows multiplied at once; changes no result.
        device: cpu, cuda or auto; changes no result.

    Raises ValueError for features or a penalty that are not finite, or for k out of range.

    Example:
        >>> neighbors = top_k([[3.0, 0.0], [2.0, 0.0], [3.0, 4.0]], k=2)
        >>> neighbors.index
        array([[1, 2],
               [0, 2],
               [0, 1]], dtype=int32)
        >>> neighbors.score
        array([[1. , 0.6],
               [1. , 0.6],
               [0.6, 0.6]], dtype=float32)
    """
    options = SearchOptions(block_size=block_size, device=device)
    return NeighborSearch(features, groups, options).nearest(k, penalty)
