"""The scores of every image with every other, a band of rows at a time.

n = images, d = width of a row, b = rows of a band, t = columns of a tile.
"""

from collections.abc import Iterator
from math import ceil

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from src.runtime.memory import fits_on_device, free_memory
from src.runtime.progress import Watch, unwatched
from src.similarity.inputs import checked_rows
from src.similarity.parallel import parallel_map

BAND = {"cpu": 256, "cuda": 2048}  # rows of a band and columns of a tile
SLICE = 4096  # numbers of a row multiplied at once, so that wide rows need little more memory
MAX_TILES_PER_STEP = 8  # that share buffers: new memory takes time
CPU = torch.device("cpu")


class AllScores:
    """The scores of all pairs, each pair multiplied once as far as memory allows.

    A score is float32(float64 dot / float64 norms) as in Neighbors, 0 if a row is zero. The dots
    are matrix products in float64 of a fixed size, on a CPU each on one thread, so the scores are
    the same for any number of threads and any memory, and symmetric to the bit. Those of another
    processor, or of Neighbors, may differ in the last bit of a product, which moves about one
    float32 in 10^8 by one step.

    Args:
        features: (n, d) floats of any scale.
        device: of the products.
        max_bytes: of tiles kept for their transposes; None: a quarter of what is free.

    Raises ValueError for features that are not (n, d) finite floats.

    >>> [(rows, scores.tolist()) for rows, scores in AllScores([[3.0, 0.0], [0.0, 1.0]]).bands()]
    [(slice(0, 2, None), [[1.0, 0.0], [0.0, 1.0]])]
    """

    def __init__(
        self,
        features: ArrayLike | Tensor,
        device: torch.device = CPU,
        max_bytes: int | None = None,
    ):
        rows, norms = checked_rows(features)
        self.device, self.n, size = device, len(rows), BAND[device.type]
        self._rows = rows.to(device) if fits_on_device(rows.nbytes, device) else rows  # (n, d)
        self._norms = torch.where(norms == 0, torch.inf, norms).to(device)  # (n,): 0 / inf = 0
        self._blocks = [slice(at, min(at + size, self.n)) for at in range(0, self.n, size)]
        free = free_memory(device) // 4 if max_bytes is None else max_bytes
        self._reach = reach(len(self._blocks), free // (4 * size * size))
        self._tiles: dict[tuple[int, int], Tensor] = {}  # by numbers of blocks, rows < columns

    def bands(self, watch: Watch = unwatched) -> Iterator[tuple[slice, Tensor]]:
        """Yield the rows of each band, in order, and their scores with all images, (b, n).

        The memory of the scores is reused for the next band. watch goes through the bands.
        """
        first = self._blocks[0]
        buffer = torch.empty(first.stop, self.n, device=self.device)
        numbers = range(len(self._blocks))
        for number in watch(numbers, "ranking all images", len(numbers)):
            rows = self._blocks[number]
            band = buffer[: rows.stop - rows.start]
            self._fill(number, band)
            yield rows, band

    def _fill(self, number: int, band: Tensor) -> None:
        """Write the scores of the images of a block with all images to band (b, n)."""
        own = self._rows[self._blocks[number]].to(self.device, torch.float64)  # (b, d)
        count = len(self._blocks)

        def fill_tiles(part: slice) -> None:
            """Write the tiles of these blocks of columns."""
            memory = _Buffers(self._blocks[0].stop, min(own.shape[1], SLICE), self.device)
            for other in range(part.start, part.stop):
                tile = band[:, self._blocks[other]]
                kept = self._tiles.pop((other, number), None)
                if kept is not None:
                    tile.copy_(kept.T)
                    continue
                tile.copy_(self._cosines(number, other, own, memory))
                if number < other <= number + self._reach:
                    self._tiles[number, other] = tile.clone()

        if self.device.type == "cpu":
            step = min(MAX_TILES_PER_STEP, ceil(count / (4 * torch.get_num_threads())))
            parallel_map(fill_tiles, count, step)
        else:
            fill_tiles(slice(0, count))

    def _cosines(self, number: int, other: int, own: Tensor, memory: "_Buffers") -> Tensor:
        """Return the cosines of a block, whose rows are own (b, d), with another, (b, t) float64.

        Of two blocks the first is always the left factor, so that both orders give the same bits.
        """
        first, second = (self._blocks[block] for block in sorted((number, other)))
        size = first.stop - first.start, second.stop - second.start
        dots, scale = memory.pair(size)
        for start in range(0, own.shape[1], SLICE):
            part = slice(start, start + SLICE)
            mine, theirs = own[:, part], self._rows[self._blocks[other], part]
            theirs = memory.operand[: len(theirs), : theirs.shape[1]].copy_(theirs)
            left, right = (mine, theirs) if number <= other else (theirs, mine)
            if start == 0:
                torch.mm(left, right.T, out=dots)
            else:
                torch.addmm(dots, left, right.T, out=dots)
        torch.mul(self._norms[first, None], self._norms[second], out=scale)
        dots.div_(scale)
        return dots if number <= other else dots.T


def reach(blocks: int, tiles: int) -> int:
    """Return how far apart two blocks of rows may be for their tile to be kept.

    Blocks are computed one after the other, and a tile is needed again at the later of its two. So
    near blocks' tiles are kept for a short time, and many can be used again with few in memory: at
    most `tiles` at once, which is when the middle block is computed.
    """

    def kept(distance: int) -> int:
        """Return how many tiles of blocks up to this distance lie across the middle."""
        if 2 * distance <= blocks:
            return distance * (distance + 1) // 2
        farther = blocks - 1 - distance
        return blocks**2 // 4 - farther * (farther + 1) // 2

    return next(d for d in range(max(blocks - 1, 0), -1, -1) if kept(d) <= max(tiles, 0))


class _Buffers:
    """Memory for tiles of one thread, one after the other: new memory takes time."""

    def __init__(self, size: int, width: int, device: torch.device):
        self.operand = torch.empty(size, width, dtype=torch.float64, device=device)
        self._pair = torch.empty(2, size * size, dtype=torch.float64, device=device)

    def pair(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return two matrices of that size, no larger than the tiles."""
        first, second = self._pair[:, : size[0] * size[1]]
        return first.view(size), second.view(size)
