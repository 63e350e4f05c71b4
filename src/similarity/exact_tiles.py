"""Tiles of scores by matrix products, each score to the bit that of numerics.exact_scores.

A product in float64 differs from the elementwise sum by less than a derived bound. Where both ends
of that interval round to the same float32, that is the score; the few other pairs are scored again,
one by one. So no bit depends on how a processor multiplies.

n = images, d = width of a row, b = rows of a tile, t = columns of a tile, p = pairs.
"""

from collections.abc import Sequence
from functools import cached_property
from math import ceil

import torch
from torch import Tensor

from src.runtime.memory import fits_on_device
from src.similarity.numerics import CHUNK, PAIRS_PER_STEP, exact_scores
from src.similarity.parallel import parallel_map

SIDE = {"cpu": 256, "cuda": 2048}  # rows and columns of a tile, multiplied by one thread
# Numbers of a row multiplied at once: few, so that the bound is small and wide rows fit in memory
SLICE = {"cpu": 512, "cuda": 4096}
MAX_PARTS_PER_STEP = 8  # that share memory: new memory takes time
# A row that is shorter is scored elementwise: its products may underflow. Of longer rows the bits
# lost, d 2^-1074 / SHORTEST^2, are few beside the bound on the least score, 2^-150
SHORTEST = 2.0**-400


class ExactTiles:
    """The scores of rows with rows, tile by tile.

    Args:
        rows: (n, d) finite floats of any scale, on the host.
        norms: (n,) float64, their lengths by numerics.row_norms.
        device: of the products.
    """

    def __init__(self, rows: Tensor, norms: Tensor, device: torch.device):
        self.rows, self.norms, self.device = rows, norms, device
        self.side = SIDE[device.type]
        self._inverse = torch.where(norms == 0, 0, 1 / norms).to(device)  # (n,)
        zero, short = norms == 0, (norms > 0) & (norms < SHORTEST)
        self._zero = zero.to(device) if zero.any() else None  # (n,)
        self._short = short.to(device) if short.any() else None  # (n,)
        self._slice = min(SLICE[device.type], rows.shape[1])
        self._error = error_bound(rows.shape[1], self._slice)

    def __len__(self) -> int:
        """Return n."""
        return len(self.rows)

    @cached_property
    def _operand(self) -> Tensor:
        """The rows that are multiplied, on the device if they fit there."""
        fits = fits_on_device(self.rows.nbytes, self.device)
        return self.rows.to(self.device) if fits else self.rows

    @cached_property
    def _nonnegative(self) -> bool:
        """Whether no number is negative, nor -0."""
        return not any(bool(part.signbit().any()) for part in self.rows.split(CHUNK))

    def fill(
        self, out: Tensor, rows: slice | Tensor, parts: Sequence[slice], first: int = 0
    ) -> None:
        """Write the scores of rows with the columns of parts to out, whose first column is `first`.

        out is (b, t) float32 on the device; rows, a slice or their numbers (b,), and each part are
        at most SIDE. The parts are shared among torch's threads.
        """
        left, _ = self._left(rows), self._nonnegative  # found once, before threads need it

        def fill_parts(at: slice) -> list[Tensor]:
            """Fill these parts; return where scores are undecided, (2, p) for each part."""
            memory = _Memory(self.side, self._slice, self.device)
            undecided = []
            for part in parts[at]:
                tile = out[:, part.start - first : part.stop - first]
                row, column = self._fill(tile, left, rows, part, memory)
                undecided.append(torch.stack([row, column + part.start]))
            return undecided

        if self.device.type == "cpu":
            step = min(MAX_PARTS_PER_STEP, ceil(len(parts) / (4 * torch.get_num_threads())))
            found = parallel_map(fill_parts, len(parts), max(1, step))
        else:
            found = [fill_parts(slice(None))]
        row, column = torch.cat([pairs for some in found for pairs in some], dim=1)
        at = row + rows.start if isinstance(rows, slice) else rows.to(self.device)[row]
        out[row, column - first] = self._scores(at, column)

    def _left(self, rows: slice | Tensor) -> Tensor:
        """Return rows of length 1 as left factors, (b, d) float64 on the device."""
        at = rows.to(self._operand.device) if isinstance(rows, Tensor) else rows
        doubles = self._operand[at].to(self.device, torch.float64, copy=True)
        return doubles.mul_(self._inverse[rows][:, None])

    def _fill(
        self, out: Tensor, left: Tensor, rows: slice | Tensor, columns: slice, memory: "_Memory"
    ) -> tuple[Tensor, Tensor]:
        """Write the scores of a tile to out (b, t); return row and column of those undecided."""
        dots = self._multiply(left, columns, memory)
        undecided = self._round(out, dots, self._inverse[columns], memory.more)
        if self._short is not None:
            undecided |= self._short[rows][:, None] | self._short[columns]
        if self._zero is not None:
            zero = self._zero[rows][:, None] | self._zero[columns]
            out.masked_fill_(zero, 0)
            undecided &= ~zero
        row, column = undecided.nonzero(as_tuple=True)
        return row, column

    def _multiply(self, left: Tensor, columns: slice, memory: "_Memory") -> Tensor:
        """Return the products of left (b, d) with columns, (b, t) float64 in memory."""
        width = left.shape[1]
        size = len(left), columns.stop - columns.start
        dots: Tensor = memory.dots[: size[0] * size[1]].view(size)
        more = memory.more[: dots.numel()].view(size)
        for start in range(0, width, self._slice):
            part = slice(start, start + self._slice)
            theirs = self._operand[columns, part]
            right = memory.operand[: theirs.numel()].view(theirs.shape).copy_(theirs)
            torch.mm(left[:, part], right.T, out=more if start else dots)
            if start:
                dots += more  # not addmm, which may add each product to the sum so far
        return dots

    def _round(self, out: Tensor, dots: Tensor, inverse: Tensor, memory: Tensor) -> Tensor:
        """Write the scores of dots times inverse to out where both ends of their intervals agree.

        dots (b, t) and memory are overwritten, inverse is (t,). Returns where they do not, (b, t).
        """
        bounds = memory[: out.numel()].view(out.shape)
        if self._nonnegative:  # then the error is in proportion to the score
            out.copy_(torch.mul(dots, inverse * (1 - self._error), out=bounds))
            dots.mul_(inverse * (1 + self._error))
        else:
            torch.mul(dots, inverse, out=bounds)
            out.copy_(torch.sub(bounds, self._error, out=dots))
            dots = bounds.add_(self._error)
        undecided: Tensor = dots.float() != out  # also what is not a number
        return undecided

    def _scores(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the scores of pairs of rows (p,) and columns (p,), (p,) float32 on the device."""
        queries, candidates = rows.cpu(), columns.cpu()[:, None]

        def score(part: slice) -> Tensor:
            """Return the scores of these pairs."""
            scores: Tensor = exact_scores(self.rows, self.norms, queries[part], candidates[part])
            return scores[:, 0]

        scores: Tensor = torch.cat(
            [torch.empty(0), *parallel_map(score, len(queries), PAIRS_PER_STEP)]
        )
        return scores.to(self.device)


class _Memory:
    """Memory for tiles of one thread, one after the other: new memory takes time."""

    def __init__(self, side: int, width: int, device: torch.device):
        self.operand = torch.empty(side * width, dtype=torch.float64, device=device)
        self.dots, self.more = torch.empty(2, side * side, dtype=torch.float64, device=device)


def blocks(rows: slice, size: int) -> list[slice]:
    """Return consecutive parts of rows, of that size but the last."""
    starts = range(rows.start, rows.stop, size)
    return [slice(start, min(start + size, rows.stop)) for start in starts]


def error_bound(d: int, at_once: int) -> float:
    """Return how far a cosine by products of at_once of its d numbers is from the elementwise one.

    Higham, Accuracy and Stability, 3.1: a sum in which no product goes through more than i
    roundings, fused or not, is within g(i) of exact, relative to the sum of the products' sizes, at
    most the product of the lengths; g(i) = i u / (1 - i u), u = 2^-53. In the elementwise sum i is
    1 + log2 d. 32 steps are for that and for the roundings of both quotients, of the factors and
    of the interval, ten at most. If no number is negative, the sizes are the products themselves,
    so the bound is relative to the cosine.
    """
    steps = (at_once + ceil(d / at_once) + 32) * 2.0**-53
    return steps / (1 - steps)
