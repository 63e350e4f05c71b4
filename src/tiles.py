"""The fast pass: every pair of rows multiplied once, tile by tile, with a bound on the error.

n = images, d = width of a row, b = rows of a block.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

BLOCK = {"cpu": 2048, "cuda": 16384}  # rows; smaller tiles waste less on the diagonal
CHUNK = 256  # rows handled at once in float64, near the cache
PIECE = 16384  # numbers summed at once
Pair = tuple[slice, slice]
Watch = Callable[[list[Pair]], Iterable[Pair]]  # tqdm, say


class Sink(Protocol):
    """What takes the tiles of the upper triangle, block by block."""

    def add(self, rows: slice, columns: slice, tile: Tensor) -> None:
        """Take tile (b, b), the cosines of rows with columns less m.m; rows <= columns."""


@dataclass(frozen=True)
class Centered:
    """Unit rows minus their mean m, in float32, and what adds the mean back.

    x.y = (x-m).(y-m) + m.(x-m) + m.(y-m) + m.m: the two terms in the middle are columns of their
    own, multiplied by a column of ones, so that one product gives x.y - m.m. Features of a CNN are
    all positive; without centering their products are too alike for the bound to tell them apart.
    """

    rows: Tensor  # (n, d + 2) on the device: x - m, m.(x-m), 1
    offset: float  # m.m
    bound: Tensor  # (n,) float64: no product with this row is further than that from exact
    zero: Tensor  # (n,) bool, on the device: rows of zeros, whose every cosine is 0

    def tile(self, rows: slice | Tensor, columns: slice) -> Tensor:
        """(b, b) float32: x.y - m.m of these rows and columns, to within bound."""
        right = self.rows[columns].clone()
        right[:, -2:] = right[:, -2:].flip(1)
        with torch.autocast(right.device.type, enabled=False):  # the bound counts on float32
            return self.rows[rows] @ right.T


def center(rows: Tensor, device: torch.device) -> Centered:
    """Normalize and center (n, d) rows, block by block in float64."""
    n, d = rows.shape
    norms = row_norms(rows)
    zero, scale = norms == 0, torch.where(norms == 0, 1, norms)[:, None]
    mean = torch.zeros(d, dtype=torch.float64)
    for at, block in _doubles(rows):
        mean += block.div_(scale[at]).sum(0) / n
    centered = torch.ones(n, d + 2)
    length, along = torch.empty(n, dtype=torch.float64), torch.empty(n, dtype=torch.float64)
    for at, block in _doubles(rows):
        moved = block.div_(scale[at]).sub_(mean)
        length[at], along[at] = moved.norm(dim=1), moved @ mean
        centered[at, :d], centered[at, d] = moved, along[at]
    # Higham, Accuracy and Stability, 3.1: a float32 sum of d + 2 products in any order is within
    # g(d + 2) of exact, relative to the sum of their sizes; g(i) = i u / (1 - i u), u = 2^-24.
    # Rounding the factors makes it g(d + 4), and 4 more are for the rounding of size itself. The
    # last term covers the float64 arithmetic.
    size = length * length.max() + along.abs() + along.abs().max()
    steps = (d + 8) * 2.0**-24
    bound = steps / (1 - steps) * size + (d + 16) * 2.0**-50
    return Centered(centered.to(device), float(mean @ mean), bound, zero.to(device))


def row_norms(rows: Tensor) -> Tensor:
    """(n,) float64 lengths, each equal to the bit whatever rows stand around it."""
    norms = torch.empty(len(rows), dtype=torch.float64)
    for at, block in _doubles(rows):
        norms[at] = exact_sum(block.square_()).sqrt()
    return norms


def _doubles(rows: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Some rows after the others in float64, always in the same memory: new memory for each would
    take ten times as long as the arithmetic."""
    memory = torch.empty(min(CHUNK, len(rows)), rows.shape[1], dtype=torch.float64)
    for start in range(0, len(rows), CHUNK):
        block = rows[start : start + CHUNK]
        yield slice(start, start + len(block)), memory[: len(block)].copy_(block)


def exact_sum(products: Tensor) -> Tensor:
    """(..., d) -> (...): the same bits whatever the shape in front, or the number of threads.

    PyTorch spreads a lone sum of 32,768 numbers or more over the threads, so none may be as long.
    """
    sums: list[Tensor] = [part.sum(-1) for part in products.split(PIECE, dim=-1)]
    return sum(sums[1:], sums[0])


def sweep(centered: Centered, sinks: list[Sink], block_size: int | None, watch: Watch) -> None:
    """Give every tile of the upper triangle, each pair of rows once, to every sink."""
    n = len(centered.rows)
    size = BLOCK[centered.rows.device.type] if block_size is None else block_size
    if size < 1:
        raise ValueError(f"block_size must be at least 1, or None for auto, got {size}")
    blocks = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    pairs = [(rows, columns) for i, rows in enumerate(blocks) for columns in blocks[i:]]
    with full_precision():
        for rows, columns in watch(pairs):
            tile = centered.tile(rows, columns)
            for sink in sinks:
                sink.add(rows, columns, tile)


@contextmanager
def full_precision() -> Iterator[None]:
    """No TF32 or bfloat16 inside float32 products: the bound counts on 24 bits."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
