"""Unit rows minus their mean, with a rigorous bound on the rounding error of their products.

n = images, d = width of a row, w = width of a centered row, b = rows of a block.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from src.runtime.memory import resident
from src.similarity.numerics import Precision, doubles, row_norms
from src.similarity.streaming import Streamed

# Of one addition. Tensor cores truncate and align to the largest term; Fasi, Higham, Mikaitis and
# Pranesh, Numerical behavior of NVIDIA tensor cores (2021), measured less than this.
UNIT = {"float32": 2.0**-24, "tf32": 2.0**-22, "float16": 2.0**-22}


@dataclass(frozen=True)
class Centered:
    """Unit rows minus their mean m, and what adds the mean back.

    x.y = (x-m).(y-m) + m.(x-m) + m.(y-m) + m.m: the two terms in the middle are columns of their
    own, multiplied by columns of ones, so that one product gives x.y - m.m. Features of a CNN are
    all positive; without centering their products are too alike for the bound to tell them apart.
    """

    rows: Tensor  # (n, w): x - m, zeros up to a multiple of 8, then the last four columns:
    # m.(x-m) and what its rounding left, 1, 1
    device: torch.device  # that multiplies; rows are on it, or on the host where they do not fit
    precision: Precision
    offset: float  # m.m
    bound: Tensor  # (n,) float64: no product with this row is further than that from exact
    zero: Tensor  # (n,) bool, on the device: rows of zeros, whose every cosine is 0
    streamed: Streamed | None = None  # of rows on the host
    _turned: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def tile(self, rows: slice | Tensor, columns: slice, memory: Tensor | None = None) -> Tensor:
        """(b, b) float32: x.y - m.m of these rows and columns, to within bound.

        The result lies in memory (b * b,) where that is given.
        """
        left, right = self._left(rows), (self.streamed or self.rows)[columns]
        with torch.autocast(right.device.type, enabled=False):  # the bound counts on float32
            if right.dtype == torch.float16:
                return torch.mm(left, right.T, out_dtype=torch.float32)
            size = (len(left), len(right))
            out = None if memory is None else memory[: size[0] * size[1]].view(size)
            return torch.mm(left, right.T, out=out)

    def _left(self, rows: slice | Tensor) -> Tensor:
        """Rows with the last four columns turned round. A band of tiles has the same ones."""
        band = (rows.start, rows.stop) if isinstance(rows, slice) else None
        if band is None or band not in self._turned:
            left = (self.streamed or self.rows)[rows].clone()
            left[:, -4:] = left[:, -4:].flip(1)
            self._turned.clear()
            if band is None:
                return left
            self._turned[band] = left
        return self._turned[band]


def center(rows: Tensor, device: torch.device, precision: Precision = "float32") -> Centered:
    """Normalize and center (n, d) rows, block by block in float64."""
    n, d = rows.shape
    norms = row_norms(rows)
    zero, scale = norms == 0, torch.where(norms == 0, 1, norms)[:, None]
    mean = torch.zeros(d, dtype=torch.float64)
    for at, block in doubles(rows):
        mean += block.div_(scale[at]).sum(0) / n
    half = precision == "float16" and device.type == "cuda"  # the CPU multiplies halves slowly
    centered = torch.zeros(n, -(-(d + 4) // 8) * 8, dtype=torch.float16 if half else torch.float32)
    centered[:, -2:] = 1
    length, lost, along, left = torch.empty(4, n, dtype=torch.float64)
    for at, block in doubles(rows):
        moved = block.div_(scale[at]).sub_(mean)
        length[at], along[at] = moved.norm(dim=1), moved @ mean
        centered[at, :d] = rounded(moved, precision)
        lost[at] = moved.sub_(centered[at, :d]).norm(dim=1)
    centered[:, -4] = rounded(along, precision)
    centered[:, -3] = rounded(along - centered[:, -4], precision)
    left = (along - centered[:, -4] - centered[:, -3]).abs()
    # Rounding x-m to q moves a product by (x-m - q).(y-m) + q.(y-m - r), by Cauchy and Schwarz at
    # most |x-m - q| |y-m| + |q| |y-m - r|; the lengths of what was lost are known.
    most = lost.max()
    bound = lost * length.max() + (length + lost) * most + left + left.max()
    # Higham, Accuracy and Stability, 3.1: a sum of w products in any order is within g(w) of exact,
    # relative to the sum of their sizes; g(i) = i u / (1 - i u), u the unit of one addition. 4 more
    # are for the rounding of size itself. The last term covers the float64 arithmetic.
    size = (length + lost) * (length.max() + most) + 2 * (along.abs() + along.abs().max())
    steps = (d + 8) * UNIT[precision]
    bound += steps / (1 - steps) * size + (d + 16) * 2.0**-50
    stays = resident(centered.nbytes, device)
    streamed = None if stays else Streamed(centered, device)
    where = centered.to(device) if streamed is None else streamed.rows
    offset = float(mean @ mean)
    return Centered(where, device, precision, offset, bound, zero.to(device), streamed)


def rounded(values: Tensor, precision: Precision) -> Tensor:
    """float64 values as the fast pass multiplies them, so that the device rounds nothing itself."""
    if precision == "float16":
        return values.half()
    if precision == "float32":
        return values.float()
    bits = values.float().view(torch.int32)  # TF32 keeps 10 of the 23 bits behind the point
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)
