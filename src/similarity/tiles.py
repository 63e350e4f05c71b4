"""The fast pass: multiply every pair of rows once, tile by tile.

n = images, b = rows of a block.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.similarity.centering import Centered
from src.similarity.numerics import exact_products

Pair = tuple[slice, slice]
Watch = Callable[[Sequence[int]], Iterable[int]]  # tqdm, say


class TileConsumer(Protocol):
    """What takes the tiles of the upper triangle, block by block."""

    @property
    def done(self) -> Collection[int]:
        """Numbers of the tiles that it has already."""

    def add(self, number: int, rows: slice, columns: slice, tile: Tensor) -> None:
        """Take tile (b, b), the cosines of rows with columns less m.m; rows <= columns.

        Its memory is the next tile's: what is kept must be copied.
        """


class TileSource(Protocol):
    """Where tiles can be read instead of being computed."""

    @property
    def readable(self) -> Collection[int]:
        """Numbers of the tiles that can be read."""

    def read(self, rows: slice, columns: slice) -> Tensor:
        """(b, b) float32 cosines."""


def tile_pairs(n: int, size: int) -> list[Pair]:
    """The blocks of every tile of the upper triangle, band by band; a tile's number is its place.

    Raises ValueError for blocks without rows.
    """
    if size < 1:
        raise ValueError(f"block_size must be at least 1, or None for auto, got {size}")
    blocks = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    return [(rows, columns) for i, rows in enumerate(blocks) for columns in blocks[i:]]


def for_each_tile(
    centered: Centered,
    sinks: Sequence[TileConsumer],
    size: int,
    watch: Watch = iter,
    processes: ProcessGroup = SINGLE_PROCESS,
    stored: TileSource | None = None,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Give this process's part of the tiles, each pair of rows once, to the sinks that lack them.

    A tile that is stored is read, the others are computed; between is called after each.
    """
    pairs = tile_pairs(len(centered.rows), size)
    done = [set(sink.done) for sink in sinks]
    wanted = [i for i in range(len(pairs)) if not all(i in those for those in done)]
    own = wanted[processes.own_slice(len(wanted))]
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
            processes.heartbeat()
    processes.heartbeat(finished=True)
