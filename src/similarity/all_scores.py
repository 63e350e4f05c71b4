"""The scores of every image with every other, a band of rows at a time.

n = images, d = width of a row, b = rows of a band.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from src.io.arrays import view_npy
from src.runtime.memory import free_memory
from src.runtime.progress import Watch, unwatched
from src.similarity.exact_tiles import SIDE, ExactTiles, blocks
from src.similarity.inputs import checked_rows
from src.similarity.row_sums import RowSums

CPU = torch.device("cpu")


class AllScores:
    """The scores of all pairs, each pair multiplied once as far as memory allows.

    A score is float32(float64 dot / float64 norms), to the bit as in Neighbors, 0 if a row is zero.

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
        self.device, self.n = device, len(rows)
        self._exact = ExactTiles(rows, norms, device)
        size = self._exact.side
        self._blocks = blocks(slice(0, self.n), size)
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
        missing = []
        for other, columns in enumerate(self._blocks):
            kept = self._tiles.pop((other, number), None)
            if kept is None:
                missing.append(other)
            else:
                band[:, columns] = kept.T
        self._exact.fill(band, self._blocks[number], [self._blocks[other] for other in missing])
        for other in missing:
            if number < other <= number + self._reach:
                self._tiles[number, other] = band[:, self._blocks[other]].clone()


class StoredScores:
    """The same scores, read from a complete matrix.

    Args:
        path: of the matrix (n, n) of float32, as write_matrix writes it.
        features: (n, d) floats of any scale, its rows.
        device: of the bands.
    """

    def __init__(self, path: Path, features: ArrayLike | Tensor, device: torch.device = CPU):
        rows, norms = checked_rows(features)
        self._sums = RowSums(rows, norms, path)
        self.n, self._matrix, self._device = len(rows), view_npy(path), device

    def bands(self, watch: Watch = unwatched) -> Iterator[tuple[slice, Tensor]]:
        """Yield rows and scores of each band as AllScores does.

        Raises UserError if the matrix is damaged.
        """
        parts = blocks(slice(0, self.n), SIDE[self._device.type])
        for rows in watch(parts, "ranking all images", len(parts)):
            scores = torch.from_numpy(np.array(self._matrix[rows])).to(self._device)
            self._sums.check(rows, scores)
            yield rows, scores


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
