"""The best candidates of each row so far, collected from the tiles of the fast pass.

n = images, c = candidates of a row, b = rows of a block, m = columns of a tile.
"""

import torch
from torch import Tensor

from src.runtime.processes import ProcessGroup
from src.similarity.centering import Centered
from src.similarity.growth import NONE, Growth, floors

RUN_LENGTH = 32  # each run's maximum is compared before its elements


class Candidates:
    """The c candidates of each row with the largest keys, without rows of the same group.

    A key is a product of the fast pass, x.y - m.m, minus the candidate's penalty if there is one.

    Args:
        groups: (n,) group of each row.
        c: candidates per row.
        centered: the rows that are compared.
        penalty: (n,) float64, subtracted from an image's score as another's candidate.
        growth: the lists of an earlier collection. Then centered are in the order of its places,
            candidates are numbers of places, and images that an earlier list rules out are none.
    """

    def __init__(
        self,
        groups: Tensor,
        c: int,
        centered: Centered,
        penalty: Tensor | None = None,
        growth: Growth | None = None,
    ):
        device, n = centered.device, len(centered.rows)
        self.places = torch.arange(n) if growth is None else growth.places  # (n,) the row in each
        self.parts = None if growth is None else growth.parts
        self.c, self.groups = c, groups[self.places].to(device)
        self.key = torch.full((n, c), -torch.inf, device=device)  # (n, c) float32, descending
        self.index = torch.full((n, c), NONE, dtype=torch.int32, device=device)  # (n, c) places
        if growth is not None:
            self.key[growth.parts.searched :] = floors(growth, centered)[:, None].to(device)
        self.penalty = penalty
        # How far rounding moves a key: 2^-24 of p for the penalty, of 2 + p for the difference, and
        # 2^-24 for the score that is compared in the end; together (3 + 2 p) 2^-24. As much again
        # separates values that float32 rounds to one.
        self.key_error = 0.0 if penalty is None else 2.0**-22 * (1 + float(penalty.abs().max()))
        self.seen: set[int] = set()  # numbers of the tiles that the candidates come from
        self.seen_elsewhere: set[int] = set()  # those that other ranks have processed
        self._has_groups = len(groups.unique()) < n  # else only the diagonal excludes pairs
        self._penalty = None if penalty is None else penalty.float().to(device)
        self._buffer: Tensor | None = None  # for a tile minus the penalty

    @property
    def done(self) -> set[int]:
        """Numbers of the tiles that need not be processed again."""
        return self.seen | self.seen_elsewhere

    def add(self, number: int, rows: slice, columns: slice, tile: Tensor) -> None:
        """Merge tile (b, m), and its transpose unless it is on the diagonal."""
        if self._has_groups or rows == columns:
            same = self.groups[rows, None] == self.groups[columns]
            tile = tile.masked_fill(same, -torch.inf)
        self._merge(rows, columns, tile, transposed=False)
        if rows != columns and (self.parts is None or self.parts.is_mutual(rows, columns)):
            self._merge(columns, rows, tile, transposed=True)
        self.seen.add(number)

    def join(self, key: Tensor, index: Tensor, rows: slice = slice(None)) -> None:
        """Merge candidates of other tiles for these rows: key and index, (b, any number)."""
        keys = torch.cat([self.key[rows], key.to(self.key.device)], dim=1)
        indices = torch.cat([self.index[rows], index.to(self.key.device)], dim=1)
        self.key[rows], best = keys.topk(self.c, dim=1)
        self.index[rows] = indices.gather(1, best)

    def gathered(
        self, processes: ProcessGroup, part: slice
    ) -> tuple[slice, Tensor, Tensor, Tensor]:
        """Return the candidates that all processes have for this one's shard of part of the places.

        They are the shard within part, its rows (q,), and key and rows (q, c) of the candidates,
        NONE in a slot without an image.
        """
        rows = self.places[part]
        shard = processes.own_slice(len(rows))
        keys = processes.all_to_all_rows(self.key[part].cpu())
        places = processes.all_to_all_rows(self.index[part].cpu())
        key, best = torch.cat(keys, dim=1).topk(self.c, dim=1)
        place = torch.cat(places, dim=1).gather(1, best).long()
        is_empty = (place == NONE) | key.isinf()
        return shard, rows[shard], key, self.places[place].masked_fill_(is_empty, NONE)

    def _merge(self, rows: slice, columns: slice, tile: Tensor, transposed: bool) -> None:
        """Merge a tile, which is (b, m), or (m, b) if transposed."""
        if self._penalty is not None:
            penalty = self._penalty[columns]
            tile = self._subtract(tile, penalty[:, None] if transposed else penalty)
        offer = self._exceeding(tile, self.key[rows, -1], transposed)
        if offer is None:
            tile = tile.T if transposed else tile
            offer = tile.topk(min(self.c, tile.shape[1]), dim=1, sorted=False)
        self.join(offer[0], offer[1].int() + columns.start, rows)

    def _subtract(self, tile: Tensor, penalty: Tensor) -> Tensor:
        """Return tile - penalty in a buffer for all tiles: new memory takes as long as the rest."""
        if self._buffer is None or len(self._buffer) < tile.numel():
            self._buffer = tile.new_empty(tile.numel())
        return torch.sub(tile, penalty, out=self._buffer[: tile.numel()].view(tile.shape))

    def _exceeding(
        self, tile: Tensor, floor: Tensor, transposed: bool
    ) -> tuple[Tensor, Tensor] | None:
        """Return key and column of what exceeds each row's floor (b,), (b, widest) with padding.

        After the first tiles very little does, so the maximum of each run is compared first.
        None if a first tile has no whole runs, or too few, or if too much exceeds.
        """
        runs, remainder = divmod(tile.shape[0 if transposed else 1], RUN_LENGTH)
        is_first = bool(floor.min().isinf())
        if is_first and (remainder or runs < self.c):
            return None
        length = RUN_LENGTH if not remainder else 1
        runs = tile.shape[0 if transposed else 1] // length
        # reduced in memory order: a transposed tile would take 20 times as long
        shape = (runs, length)
        split = tile.unflatten(0, shape) if transposed else tile.unflatten(1, shape)
        maxima = split.amax(1).T if transposed else split.amax(2)  # (b, runs)
        if is_first:  # at least c values are not below the c-th largest maximum
            lowest = maxima.topk(self.c, dim=1).values[:, -1]
            floor = floor.maximum(lowest.nextafter(lowest.new_tensor(-torch.inf)))
        row, run = (maxima > floor[:, None]).nonzero(as_tuple=True)
        if len(row) > 2 * self.c * len(floor):
            return None
        values = split[run, :, row] if transposed else split[row, run]  # (hits, length)
        hit, within = (values > floor[row, None]).nonzero(as_tuple=True)
        return padded(row[hit], run[hit] * length + within, values[hit, within], len(floor))


def padded(row: Tensor, column: Tensor, value: Tensor, b: int) -> tuple[Tensor, Tensor]:
    """Return value and column (hits,), ordered by row, as key and index (b, widest row)."""
    counts = torch.bincount(row, minlength=b)
    widest = int(counts.max())
    slot = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    key = value.new_full((b, widest), -torch.inf)
    index = torch.zeros((b, widest), dtype=torch.int64, device=row.device)
    key[row, slot], index[row, slot] = value, column
    return key, index
