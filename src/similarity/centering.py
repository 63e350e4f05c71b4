"""Unit rows minus their mean, with a rigorous bound on the rounding error of their products.

n = images, d = width of a row, w = width of a centered row, b = rows of a block.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Literal

import torch
from torch import Tensor

from src.runtime.memory import fits_on_device
from src.runtime.progress import Watch, unwatched
from src.similarity.numerics import CHUNK, doubles, row_norms
from src.similarity.streaming import StreamedRows

Precision = Literal["float32", "tf32", "float16"]
# Relative error of one addition. Tensor cores truncate and align to the largest term; Fasi, Higham,
# Mikaitis and Pranesh, Numerical behavior of NVIDIA tensor cores (2021), measured less than this.
UNIT_ROUNDOFF = {"float32": 2.0**-24, "tf32": 2.0**-22, "float16": 2.0**-22}


@dataclass(frozen=True)
class Centered:
    """Unit rows minus their mean m, and what adds the mean back.

    x.y = (x-m).(y-m) + m.(x-m) + m.(y-m) + m.m: the two terms in the middle are extra columns,
    multiplied by columns of ones, so that one product gives x.y - m.m. Features of a CNN are all
    positive; without centering their products are too similar for the bound to separate them.
    """

    # (n, w): x - m, zeros up to a multiple of 8, then four offset columns: m.(x-m), the rounding
    # error of that, 1, 1. On the device, or on the host if they do not fit there
    rows: Tensor
    device: torch.device  # of the products
    precision: Precision
    offset: float  # m.m
    bound: Tensor  # (n,) float64: largest error of any product with this row
    zero: Tensor  # (n,) bool, on the device: rows of zeros, whose every cosine is 0
    host_rows: StreamedRows | None = None  # the rows if they are on the host
    places: Tensor | None = None  # (n,) the row in each place; None: in their own order
    _swapped_cache: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def tile(self, rows: slice | Tensor, columns: slice, buffer: Tensor | None = None) -> Tensor:
        """Return x.y - m.m of these rows and columns to within bound, (b, b) float32.

        rows may also be row numbers (b,). The result is written to buffer (b * b,) if given.
        """
        left, right = self._left_operand(rows), self._operand(columns)
        with torch.autocast(right.device.type, enabled=False):  # the bound assumes float32
            if right.dtype == torch.float16:
                return torch.mm(left, right.T, out_dtype=torch.float32)
            size = (len(left), len(right))
            out = None if buffer is None else buffer[: size[0] * size[1]].view(size)
            return torch.mm(left, right.T, out=out)

    def in_order(self, places: Tensor) -> "Centered":
        """Return the same rows in another order, places (n,), without a copy of them."""
        there = places.to(self.zero.device)
        return replace(
            self,
            bound=self.bound[places],
            zero=self.zero[there],
            places=there,
            _swapped_cache={},
        )

    def _operand(self, at: slice | Tensor) -> Tensor:
        return (self.host_rows or self.rows)[at if self.places is None else self.places[at]]

    def _left_operand(self, rows: slice | Tensor) -> Tensor:
        """Return the rows with offset columns reversed; cached for the current band of tiles."""
        band = (rows.start, rows.stop) if isinstance(rows, slice) else None
        if band is None or band not in self._swapped_cache:
            left = self._operand(rows).clone()
            left[:, -4:] = left[:, -4:].flip(1)
            self._swapped_cache.clear()
            if band is None:
                return left
            self._swapped_cache[band] = left
        return self._swapped_cache[band]


def center(
    rows: Tensor,
    device: torch.device,
    precision: Precision = "float32",
    watch: Watch = unwatched,
) -> Centered:
    """Normalize and center rows (n, d), block by block in float64; watch goes through them."""
    n, d = rows.shape
    norms = row_norms(rows)
    zero, scale = norms == 0, torch.where(norms == 0, 1, norms)[:, None]
    mean = torch.zeros(d, dtype=torch.float64)
    for at, block in watch(doubles(rows), "averaging", ceil(n / CHUNK)):
        mean += block.div_(scale[at]).sum(0) / n
    centered = torch.zeros(n, operand_width(d), dtype=operand_dtype(precision, device))
    centered[:, -2:] = 1
    # (n,) float64 each: |x-m|, |x-m - q| of its rounding q, m.(x-m)
    length, rounding, mean_dot = torch.empty(3, n, dtype=torch.float64)
    for at, block in watch(doubles(rows), "centering", ceil(n / CHUNK)):
        moved = block.div_(scale[at]).sub_(mean)
        length[at], mean_dot[at] = moved.norm(dim=1), moved @ mean
        centered[at, :d] = rounded(moved, precision)
        rounding[at] = moved.sub_(centered[at, :d]).norm(dim=1)
    centered[:, -4] = rounded(mean_dot, precision)
    centered[:, -3] = rounded(mean_dot - centered[:, -4], precision)
    mean_dot_rounding = (mean_dot - centered[:, -4] - centered[:, -3]).abs()
    bound = error_bound(length, rounding, mean_dot, mean_dot_rounding, d, precision)
    on_host = not fits_on_device(centered.nbytes, device)
    streamed = StreamedRows(centered, device) if on_host else None
    operand = centered.to(device) if streamed is None else streamed.rows
    offset = float(mean @ mean)
    return Centered(operand, device, precision, offset, bound, zero.to(device), streamed)


def error_bound(
    length: Tensor,
    rounding: Tensor,
    mean_dot: Tensor,
    mean_dot_rounding: Tensor,
    d: int,
    precision: Precision,
) -> Tensor:
    """Return for each row the largest error of a product with any row, (n,) float64.

    All are (n,) float64: length = |x-m|, rounding = |x-m - q| for the rounded row q, mean_dot =
    m.(x-m), and mean_dot_rounding, its rounding error.
    """
    # Rounding x-m to q changes a product by (x-m - q).(y-m) + q.(y-m - r), by Cauchy and Schwarz at
    # most |x-m - q| |y-m| + |q| |y-m - r|.
    max_rounding = rounding.max()
    bound = rounding * length.max() + (length + rounding) * max_rounding
    bound = bound + mean_dot_rounding + mean_dot_rounding.max()
    # Higham, Accuracy and Stability, 3.1: a sum of w products in any order is within g(w) of exact,
    # relative to the sum of their sizes; g(i) = i u / (1 - i u), u the unit roundoff. 4 more are
    # for the rounding of size itself. The last term covers the float64 arithmetic.
    size = (length + rounding) * (length.max() + max_rounding)
    size += 2 * (mean_dot.abs() + mean_dot.abs().max())
    steps = (d + 8) * UNIT_ROUNDOFF[precision]
    bound += steps / (1 - steps) * size + (d + 16) * 2.0**-50
    return bound


def operand_width(d: int) -> int:
    """Return the width of a centered row: d and the offset columns, up to a multiple of 8."""
    return -(-(d + 4) // 8) * 8


def operand_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the dtype of the centered rows; a CPU multiplies float16 slowly, so it emulates it."""
    half = precision == "float16" and device.type == "cuda"
    return torch.float16 if half else torch.float32


def rounded(values: Tensor, precision: Precision) -> Tensor:
    """Round float64 values to precision, so that the device rounds no operand itself."""
    if precision == "float16":
        return values.half()
    if precision == "float32":
        return values.float()
    bits = values.float().view(torch.int32)  # TF32 keeps 10 of the 23 mantissa bits
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


@contextmanager
def exact_products(precision: Precision = "float32") -> Iterator[None]:
    """Switch off TF32 and bfloat16 in float32 products, and sums in 16 bits: the bound needs that.

    With precision tf32 the operands are rounded to TF32 already, so it stays on.
    """
    before = torch.get_float32_matmul_precision()
    matmul = torch.backends.cuda.matmul
    reduced = matmul.allow_fp16_reduced_precision_reduction
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    matmul.allow_fp16_reduced_precision_reduction = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        matmul.allow_fp16_reduced_precision_reduction = reduced
