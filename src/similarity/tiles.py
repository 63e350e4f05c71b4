"""The fast pass: multiply every pair of rows once, tile by tile.

n = images, b = rows of a block.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import Watch, unwatched
from src.similarity.centering import Centered, exact_products

Pair = tuple[slice, slice]


class Parts(NamedTuple):
    """Which rows of a collection that has grown are compared with all, the others not.

    The others have lists already, so of all rows only new ones are candidates of theirs.
    """

    new: int  # rows before this one are new
    searched: int  # rows before this one are compared with all: new ones, and some others again

    def is_mutual(self, rows: slice, columns: slice) -> bool:
        """Return whether these rows may be candidates of these columns, as well as the reverse."""
        return bool(rows.start < self.new or columns.start < self.searched)


class TileConsumer(Protocol):
    """Takes the tiles of the upper triangle, one by one."""

    @property
    def done(self) -> Collection[int]:
        """Numbers of the tiles that it already has."""

    def add(self, number: int, rows: slice, columns: slice, tile: Tensor) -> None:
        """Take tile (b, b), the cosines of rows with columns minus m.m; rows <= columns.

        The tile's memory is reused for the next one: copy what is to be kept.
        """


class TileSource(Protocol):
    """Holds tiles that can be read instead of computed."""

    @property
    def readable(self) -> Collection[int]:
        """Numbers of the tiles that can be read."""

    def read(self, number: int, rows: slice, columns: slice) -> Tensor:
        """Return the cosines of rows with columns minus m.m, (b, b) float32."""


class TileCache:
    """Keeps tiles in memory, from which the next search of the same rows reads them.

    Args:
        tiles: the tiles by their numbers; new ones are added.
        done: numbers of the tiles that the search does not need; they are not cached.
        max_bytes: of all tiles.
    """

    def __init__(self, tiles: dict[int, Tensor], done: Collection[int], max_bytes: int):
        self.tiles, self.max_bytes = tiles, max_bytes
        self.readable = frozenset(tiles)
        self.done = self.readable.union(done)
        self._bytes = sum(tile.nbytes for tile in tiles.values())

    def add(self, number: int, rows: slice, columns: slice, tile: Tensor) -> None:
        """Keep a copy of tile (b, b) if there is room."""
        self._bytes += tile.nbytes
        if self._bytes <= self.max_bytes:
            self.tiles[number] = tile.clone()

    def read(self, number: int, rows: slice, columns: slice) -> Tensor:
        """Return the tile as it was computed, (b, b) float32."""
        return self.tiles[number]


def tile_pairs(n: int, block: int, parts: Parts | None = None) -> list[Pair]:
    """Return (rows, columns) of every tile of the upper triangle, band by band.

    With parts, only of the bands of the rows that are searched. The number of a tile is its
    position. Raises ValueError for a block without rows.
    """
    if block < 1:
        raise ValueError(f"block_size must be at least 1, or None for auto, got {block}")
    new, searched = parts or (n, n)
    blocks = [
        slice(start, min(start + block, end))
        for begin, end in pairwise((0, new, searched, n))
        for start in range(begin, end, block)
    ]
    bands = [i for i, rows in enumerate(blocks) if rows.start < searched]
    return [(blocks[i], columns) for i in bands for columns in blocks[i:]]


def for_each_tile(
    centered: Centered,
    consumers: Sequence[TileConsumer],
    block: int,
    watch: Watch = unwatched,
    processes: ProcessGroup = SINGLE_PROCESS,
    source: TileSource | None = None,
    after_each: Callable[[], None] | None = None,
    parts: Parts | None = None,
) -> None:
    """Give this process's shard of the tiles to the consumers that lack them, each pair once.

    Tiles that source has are read, the others are computed. watch goes through the tiles' numbers;
    after_each is called after each tile. parts are those of tile_pairs.
    """
    pairs = tile_pairs(len(centered.rows), block, parts)
    done = [set(consumer.done) for consumer in consumers]
    remaining = [i for i in range(len(pairs)) if not all(i in tiles for tiles in done)]
    shard = remaining[processes.own_slice(len(remaining))]
    # one buffer for all on the CPU: new memory would cost an eighth of the product
    side = min(block, len(centered.rows))
    buffer = torch.empty(side * side) if centered.device.type == "cpu" else None
    with exact_products(centered.precision):
        numbers = watch(shard, "comparing", len(shard))
        for number, following in zip(numbers, [*shard[1:], None], strict=False):
            rows, columns = pairs[number]
            if centered.host_rows and centered.places is None:
                upcoming = () if following is None else pairs[following]
                centered.host_rows.prefetch(rows, columns, *upcoming)
            if source is not None and number in source.readable:
                tile = source.read(number, rows, columns).to(centered.device)
            else:
                tile = centered.tile(rows, columns, buffer)
            for consumer, tiles in zip(consumers, done, strict=True):
                if number not in tiles:
                    consumer.add(number, rows, columns, tile)
            if after_each is not None:
                after_each()
            processes.heartbeat()
    processes.heartbeat(finished=True)
