"""A whole search, and a whole matrix, in one call."""

from pathlib import Path

from numpy.typing import ArrayLike
from torch import Tensor

from src.similarity.exact_tiles import ExactTiles
from src.similarity.inputs import checked_rows
from src.similarity.lists import Neighbors
from src.similarity.matrix import complete_matrix
from src.similarity.matrix_files import MatrixDtype, MatrixRecord
from src.similarity.plan import SearchOptions, choose_device, make_plan
from src.similarity.search import NeighborSearch


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


def write_matrix(
    features: ArrayLike | Tensor,
    path: str | Path,
    dtype: MatrixDtype = "float32",
    block_size: int | None = None,
    device: str = "auto",
) -> None:
    """Write the scores of all pairs to path, an (n, n) .npy of float32 or float16.

    They are to the bit those of neighbors, for float16 rounded once more: symmetric, with 1 on the
    diagonal and 0 for a row of zeros. Called again after an interruption, it resumes; a complete
    matrix of the same features is left as it is. Raises UserError if the disk is too small, or
    path holds something else.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_matrix([[3.0, 0.0], [2.0, 0.0], [0.0, 1.0]], f"{folder}/matrix.npy")
        ...     np.load(f"{folder}/matrix.npy")
        array([[1., 1., 0.],
               [1., 1., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    rows, norms = checked_rows(features)
    processor = choose_device(device)
    plan = make_plan(rows, processor, SearchOptions(block_size, matrix=Path(path), dtype=dtype))
    record = MatrixRecord(plan.record.features, plan.record.block)
    with complete_matrix(Path(path), ExactTiles(rows, norms, processor), dtype, record):
        pass
