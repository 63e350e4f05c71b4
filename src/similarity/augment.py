"""Database augmentation: each row becomes a sum of itself and its nearest rows.

n = images, m = width of a row, b = rows that are augmented, k = neighbors of each.

Sources: Turcot and Lowe, Better matching with fewer features, 2009; Arandjelovic and Zisserman,
Three things everyone should know to improve object retrieval, 2012. Weights: Gordo, Radenovic and
Berg, Attention-based query expansion learning, 2020, with alpha = 3.
"""

from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from src.runtime.progress import Watch, unwatched
from src.similarity.inputs import as_tensor
from src.similarity.numerics import lengths, row_norms
from src.similarity.parallel import parallel_map

MAX_NEIGHBORS = 20  # that similarity.augment allows
ROWS_PER_STEP = 64  # summed at once: their float64 sums stay near the cache


class Augmented(NamedTuple):
    """Rows after augmentation."""

    rows: Tensor  # (b, m) float32, of length 1; a row of zeros stays one
    length: Tensor  # (b,) float64, of the sums before they were given length 1


def augment(
    rows: Tensor,
    index: ArrayLike | Tensor,
    score: ArrayLike | Tensor,
    own: Tensor | None = None,
    watch: Watch = unwatched,
) -> Augmented:
    """Return each row plus the sum of max(score, 0)^3 times each of its neighbors.

    rows (n, m) are floats of any scale. index (b, k) are the neighbors of the rows with the numbers
    own (b,), None for all n, and score (b, k) their cosines, as NeighborSearch returns them. All
    rows are given length 1 before, and the sums after. watch goes through the steps. Raises
    ValueError if the shapes of index and score differ, or do not fit own.

    >>> rows = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> index, score = [[2], [2], [1]], [[0.6], [0.8], [0.8]]  # the nearest of each
    >>> augment(rows, index, score).rows
    tensor([[0.9885, 0.1512],
            [0.2129, 0.9771],
            [0.4159, 0.9094]])
    """
    own = torch.arange(len(rows)) if own is None else own
    neighbors, weight = as_tensor(index).long(), weights(as_tensor(score))
    if neighbors.shape != weight.shape or neighbors.shape[:1] != own.shape:
        shapes = f"{(*neighbors.shape,)} and {(*weight.shape,)}"
        raise ValueError(f"index and score must be ({len(own)}, k), got {shapes}")
    norms = row_norms(rows)
    scale = torch.where(norms == 0, 0, 1 / norms)  # (n,)
    weight *= scale[neighbors]
    length = torch.empty(len(own), dtype=torch.float64)
    result = Augmented(torch.empty(len(own), rows.shape[1]), length)

    def fill(part: slice) -> None:
        """Fill these rows of the result."""
        first = rows[own[part]].double() * scale[own[part], None]
        _fill(result.rows[part], length[part], first, rows, neighbors[part], weight[part])

    parallel_map(fill, len(own), ROWS_PER_STEP, watch, "augmenting")
    return result


def _fill(
    out: Tensor, length: Tensor, sums: Tensor, rows: Tensor, neighbors: Tensor, weight: Tensor
) -> None:
    """Add weight (b, k) times rows to sums (b, m) float64; fill out and length with the results.

    Terms are added one after the other, so that no bit depends on how many rows are given or on
    the threads.
    """
    term = torch.empty_like(sums)
    # not addcmul, which rounds once or twice, depending on where in memory a number is
    for row, factor in zip(neighbors.T, weight.T, strict=True):
        sums += term.copy_(rows[row]).mul_(factor[:, None])
    length.copy_(lengths(torch.mul(sums, sums, out=term)))
    out.copy_(sums.div_(torch.where(length == 0, 1, length)[:, None]))


def weights(score: Tensor) -> Tensor:
    """Return what neighbors with these cosines are multiplied by, float64 of the same shape."""
    positive = score.double().clamp(min=0)
    return positive * positive * positive  # pow may round differently from place to place
