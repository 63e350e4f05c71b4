"""What is left to compare if the lists of an earlier collection are known.

n = images, r = rows whose earlier lists are used, e = images of the earlier collection, m = entries
kept of each.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.similarity.centering import Centered
from src.similarity.digests import NEW
from src.similarity.kept_lists import KeptLists
from src.similarity.tiles import Parts

NONE = -1  # in place of a row
# Of rows compared with all: each pair of these costs twice that of a whole search
MAX_SHARE = 1 / 3


@dataclass(frozen=True)
class Growth:
    """Earlier lists in the numbers of this collection's rows, and what is compared with what.

    Rows are compared in the order of places: those that are new, those that are compared with all
    again, and r whose earlier lists are used.
    """

    places: Tensor  # (n,) rows
    parts: Parts
    index: Tensor  # (r, m) rows that are still there, or NONE
    score: Tensor  # (r, m) float32, -inf where there is none
    # Of earlier images that are not in a list none has a higher score than last; those with that
    # score have at least the number first_outside. last is -inf if all are in the list
    last: Tensor  # (r,) float32
    first_outside: Tensor  # (r,)
    unproven: Tensor  # (r,) bool

    @property
    def lists(self) -> tuple[Tensor, ...]:
        """Return what is stored of each of the r rows."""
        return self.index, self.score, self.last, self.first_outside, self.unproven

    @property
    def pays(self) -> bool:
        """Return whether going on takes less than comparing all."""
        return self.parts.searched <= MAX_SHARE * len(self.places)


def grow(lists: KeptLists, earlier: NDArray[np.int64], groups: Tensor, k: int) -> Growth:
    """Return what is left of lists for rows that are these earlier ones, or NEW, (n,).

    A list is used if its row's group (n,) has the same members among the earlier rows as before,
    and if k entries are left, or all other images.
    """
    n, e = len(earlier), len(lists.depth)
    rows = np.flatnonzero(earlier != NEW)
    before = earlier[rows]
    row_of = np.full(e, NONE, np.int32)  # of each earlier row
    row_of[before] = rows
    is_entry = np.arange(lists.index.shape[1]) < lists.depth[before][:, None]
    index = np.where(is_entry, row_of[lists.index[before]], NONE)
    is_left, is_complete = index != NONE, lists.is_complete[before]
    used = _same_group(groups.numpy()[rows], lists.groups[before])
    used &= is_complete | (is_left.sum(axis=1) >= k)
    end = lists.depth[before] - 1
    at_end = np.arange(len(rows)), end
    lowest = np.minimum.accumulate(np.append(np.where(row_of == NONE, n, row_of), n)[::-1])[::-1]
    is_known = np.isin(np.arange(n), rows)
    places = np.concatenate([np.flatnonzero(~is_known), rows[~used], rows[used]])
    score = np.where(is_left, lists.score[before], -np.inf).astype(np.float32)
    return Growth(
        torch.from_numpy(places),
        Parts(n - len(rows), n - int(used.sum())),
        torch.from_numpy(index[used]),
        torch.from_numpy(score[used]),
        torch.from_numpy(np.where(is_complete, -np.inf, lists.score[before][at_end])[used]).float(),
        torch.from_numpy(lowest[lists.index[before][at_end] + 1][used]),
        torch.from_numpy(lists.unproven[before][used]),
    )


def _same_group(now: NDArray[np.int64], before: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whose group has the same members by the numbers now as by those before, (r,)."""
    both = np.unique(np.stack([now, before]), axis=1, return_inverse=True, return_counts=True)
    together = both[2][both[1].reshape(-1)]
    same = np.ones(len(now), dtype=bool)
    for groups in (now, before):
        _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        same &= sizes[group] == together
    return same


def floors(growth: Growth, centered: Centered) -> Tensor:
    """Return a key that every image with a score of last or more exceeds, (r,) float32.

    centered are the rows in the order of places.
    """
    bound = centered.bound[growth.parts.searched :]
    low = torch.nextafter(growth.last, torch.tensor(-torch.inf)).double() - 2.0**-24
    return torch.nextafter((low - centered.offset - bound).float(), torch.tensor(-torch.inf))
