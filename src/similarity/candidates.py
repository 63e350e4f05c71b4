"""The best of each row so far, as the tiles of the fast pass go by.

n = images, c = candidates of a row, b = rows of a block, m = columns of a tile.
"""

import torch
from torch import Tensor

from src.similarity.centering import Centered

RUN = 32  # numbers of a tile whose largest is compared first


class Candidates:
    """The c best of each row so far by the fast pass, without the row's own group.

    A penalty (n,), float64, is taken from what an image scores as another's candidate.
    """

    def __init__(self, groups: Tensor, c: int, centered: Centered, penalty: Tensor | None = None):
        device, n = centered.device, len(centered.rows)
        self.c, self.groups = c, groups.to(device)
        self.grouped = len(groups.unique()) < n  # else only the diagonal has pairs to leave out
        self.key = torch.full((n, c), -torch.inf, device=device)
        self.index = torch.zeros((n, c), dtype=torch.int32, device=device)
        self.penalty = penalty
        self._less = None if penalty is None else penalty.float().to(device)
        # How far rounding moves a key: 2^-24 of p for the penalty, of 2 + p for the difference, and
        # 2^-24 for the score that is compared in the end; together (3 + 2 p) 2^-24. As much again
        # as what is left to the next line separates values that float32 rounds to one.
        most = 0.0 if penalty is None else float(penalty.abs().max())
        self.slack = 0.0 if penalty is None else 2.0**-22 * (1 + most)
        self.seen: set[int] = set()  # numbers of the tiles that the candidates are of
        self.elsewhere: set[int] = set()  # of those that other processes have

    @property
    def done(self) -> set[int]:
        """Tiles that need not be seen again."""
        return self.seen | self.elsewhere

    def add(self, number: int, rows: slice, columns: slice, tile: Tensor) -> None:
        """Merge a tile, and its mirror image where it is not on the diagonal."""
        if self.grouped or rows == columns:
            same = self.groups[rows, None] == self.groups[columns]
            tile = tile.masked_fill(same, -torch.inf)
        self._merge(rows, columns, tile, mirrored=False)
        if rows != columns:
            self._merge(columns, rows, tile, mirrored=True)
        self.seen.add(number)

    def join(self, key: Tensor, index: Tensor, rows: slice = slice(None)) -> None:
        """Merge what was kept of other tiles for these rows: key and index (b, c)."""
        both = torch.cat([self.key[rows], key.to(self.key.device)], dim=1)
        which = torch.cat([self.index[rows], index.to(self.key.device)], dim=1)
        self.key[rows], best = both.topk(self.c, dim=1)
        self.index[rows] = which.gather(1, best)

    def _merge(self, rows: slice, columns: slice, tile: Tensor, mirrored: bool) -> None:
        """Keep the c best of what the rows have and of what a tile offers them: (b, m), or (m, b)
        if mirrored."""
        if self._less is not None:
            less = self._less[columns]
            tile = tile - (less[:, None] if mirrored else less)
        offer = self._better(tile, self.key[rows, -1], mirrored)
        if offer is None:
            tile = tile.T if mirrored else tile
            offer = tile.topk(min(self.c, tile.shape[1]), dim=1, sorted=False)
        self.join(offer[0], offer[1].int() + columns.start, rows)

    def _better(self, tile: Tensor, floor: Tensor, mirrored: bool) -> tuple[Tensor, Tensor] | None:
        """What of a tile exceeds each row's floor (b,), padded: key and index (b, most).

        After the first tiles that is next to nothing, so only the largest of every RUN is looked at
        first. None where the tile has no whole runs, or too few, or too much exceeds.
        """
        count, rest = divmod(tile.shape[0 if mirrored else 1], RUN)
        first = bool(floor.min().isinf())
        if rest or (first and count < self.c):
            return None
        # reduced as it lies in memory: a transposed tile would take 20 times as long
        runs = tile.unflatten(0, (count, RUN)) if mirrored else tile.unflatten(1, (count, RUN))
        highest = runs.amax(1).T if mirrored else runs.amax(2)  # (b, count)
        if first:  # as many as c are not below the c-th of the highest
            least = highest.topk(self.c, dim=1).values[:, -1]
            floor = floor.maximum(least.nextafter(least.new_tensor(-torch.inf)))
        row, run = (highest > floor[:, None]).nonzero(as_tuple=True)
        if len(row) > 2 * self.c * len(floor):
            return None
        values = runs[run, :, row] if mirrored else runs[row, run]  # (found, RUN)
        at, place = (values > floor[row, None]).nonzero(as_tuple=True)
        row, column, value = row[at], run[at] * RUN + place, values[at, place]
        each = torch.bincount(row, minlength=len(floor))
        most = int(each.max())
        number = torch.arange(len(row), device=tile.device) - (each.cumsum(0) - each)[row]
        key = tile.new_full((len(floor), most), -torch.inf)
        index = torch.zeros((len(floor), most), dtype=torch.int64, device=tile.device)
        key[row, number], index[row, number] = value, column
        return key, index
