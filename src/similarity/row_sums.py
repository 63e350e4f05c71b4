"""What the rows of a complete matrix add up to, by which damage to its file is found.

n = images, d = width of a row, b = rows at once.
"""

from pathlib import Path

import torch
from torch import Tensor

from src.io.bounded import damaged
from src.similarity.exact_tiles import SHORTEST
from src.similarity.numerics import doubles


class RowSums:
    """The sum of each row's scores with all rows, computed without them.

    For rows u of length 1 it is u . (the sum of all u). A stored score is rounded by at most 2^-25,
    so the sum of n is within n 2^-25 of that; as much again is left for rounding in the sums.
    So one entry that is off by n 2^-23 or more is found; errors of several may cancel each other.

    Args:
        rows: (n, d) finite floats, the rows of the matrix.
        norms: (n,) float64, their lengths by numerics.row_norms.
        path: of the matrix, for the error.
    """

    def __init__(self, rows: Tensor, norms: Tensor, path: Path):
        n, d = rows.shape
        # scores of rows as short as this are not those of their directions
        self._is_known = not ((norms > 0) & (norms < SHORTEST)).any()
        self._tolerance, self._path = n * 2.0**-24, path
        scale = torch.where(norms == 0, 0, 1 / norms)  # (n,)
        total = torch.zeros(d, dtype=torch.float64)
        for at, block in doubles(rows):
            total += scale[at] @ block
        self._expected = torch.empty(n, dtype=torch.float64)
        for at, block in doubles(rows):
            self._expected[at] = (block @ total) * scale[at]

    def check(self, rows: slice, scores: Tensor) -> None:
        """Raise UserError unless scores (b, n) of these rows add up to what they should."""
        if not self._is_known:
            return
        found, expected = scores.sum(1, dtype=torch.float64).cpu(), self._expected[rows]
        for at in (~((found - expected).abs() <= self._tolerance)).nonzero().flatten().tolist():
            raise damaged(
                self._path,
                f"the scores of row {rows.start + at} add up to {found[at]:.6g} instead of"
                f" {expected[at]:.6g}",
            )
