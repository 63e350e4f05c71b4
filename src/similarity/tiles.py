"""The fast pass: every pair of rows multiplied once, tile by tile, with a bound on the error.

n = images, d = width of a row, w = width of a centered row, b = rows of a block.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

import torch
from torch import Tensor

from src.memory import Streamed, resident
from src.spread import ALONE, World

CHUNK = 256  # rows handled at once in float64, near the cache
PIECE = 16384  # numbers summed at once
T = TypeVar("T")
Pair = tuple[slice, slice]
Watch = Callable[[Sequence[int]], Iterable[int]]  # tqdm, say
Precision = Literal["float32", "tf32", "float16"]
# Of one addition. Tensor cores truncate and align to the largest term; Fasi, Higham, Mikaitis and
# Pranesh, Numerical behavior of NVIDIA tensor cores (2021), measured less than this.
UNIT = {"float32": 2.0**-24, "tf32": 2.0**-22, "float16": 2.0**-22}


class Sink(Protocol):
    """What takes the tiles of the upper triangle, block by block."""

    @property
    def done(self) -> Collection[int]:
        """Numbers of the tiles that it has already."""

    def add(self, number: int, rows: slice, columns: slice, tile: Tensor) -> None:
        """Take tile (b, b), the cosines of rows with columns less m.m; rows <= columns.

        Its memory is the next tile's: what is kept must be copied.
        """


class Stored(Protocol):
    """Where tiles can be read instead of being computed."""

    @property
    def readable(self) -> Collection[int]:
        """Numbers of the tiles that can be read."""

    def read(self, rows: slice, columns: slice) -> Tensor:
        """(b, b) float32 cosines."""


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


def row_norms(rows: Tensor) -> Tensor:
    """(n,) float64 lengths, each equal to the bit whatever rows stand around it."""
    norms = torch.empty(len(rows), dtype=torch.float64)

    def fill(part: slice) -> None:
        for at, block in doubles(rows[part]):
            norms[part][at] = exact_sum(block.square_()).sqrt()

    side_by_side(fill, len(rows), 16 * CHUNK)
    return norms


def doubles(rows: Tensor) -> Iterator[tuple[slice, Tensor]]:
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


def tile_pairs(n: int, size: int) -> list[Pair]:
    """The blocks of every tile of the upper triangle, band by band; a tile's number is its place.

    Raises ValueError for blocks without rows.
    """
    if size < 1:
        raise ValueError(f"block_size must be at least 1, or None for auto, got {size}")
    blocks = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    return [(rows, columns) for i, rows in enumerate(blocks) for columns in blocks[i:]]


def sweep(
    centered: Centered,
    sinks: Sequence[Sink],
    size: int,
    watch: Watch = iter,
    world: World = ALONE,
    stored: Stored | None = None,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Give this process's part of the tiles, each pair of rows once, to the sinks that lack them.

    A tile that is stored is read, the others are computed; between is called after each.
    """
    pairs = tile_pairs(len(centered.rows), size)
    done = [set(sink.done) for sink in sinks]
    wanted = [i for i in range(len(pairs)) if not all(i in those for those in done)]
    own = wanted[world.part(len(wanted))]
    # always the same on the CPU: new memory would cost an eighth of the product
    side = min(size, len(centered.rows))
    memory = torch.empty(side * side) if centered.device.type == "cpu" else None
    with exact_products(centered.precision):
        for number, following in zip(watch(own), [*own[1:], None], strict=False):
            rows, columns = pairs[number]
            if centered.streamed:
                after = () if following is None else pairs[following]
                centered.streamed.expect(rows, columns, *after)
            if stored is not None and number in stored.readable:
                tile = stored.read(rows, columns).to(centered.device) - centered.offset
            else:
                tile = centered.tile(rows, columns, memory)
            for sink, those in zip(sinks, done, strict=True):
                if number not in those:
                    sink.add(number, rows, columns, tile)
            between()
            world.meet()
    world.meet(finished=True)


@contextmanager
def exact_products(precision: Precision = "float32") -> Iterator[None]:
    """No TF32 or bfloat16 inside float32 products, unless the rows are rounded to TF32 already,
    and no sums in 16 bits: the bound counts on that."""
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


def side_by_side(work: Callable[[slice], T], n: int, step: int) -> list[T]:
    """Return work(part) for slices of step out of n, in order, from as many threads as torch has.

    For work of many small operations, each of which then runs on one thread: an operation that
    torch spreads over its threads ends with the slowest of them, and beside other programs that
    is one that waits for a core.
    """
    parts = [slice(start, min(start + step, n)) for start in range(0, n, step)]
    count = min(torch.get_num_threads(), len(parts))
    with threads(1):
        if count < 2:
            return [work(part) for part in parts]
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(work, parts))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """As many threads: last bits may depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
