"""Measures of the first ranks of neighbor lists, as expected over the order of equal scores.

n = images, q = queries, b = queries of a block, k = neighbors of each, t = ranks looked at. For a
query, N is the number of images that may be its neighbors, R the number of those that are right.

Images with the same score form a group whose order is arbitrary, so a measure is its mean over all
orders: an embedding that gives all images the same score gets what chance gives. Source: McSherry
and Najork, Computing information retrieval performance measures efficiently in the presence of tied
scores, 2008. Imports no torch.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.evaluation.relevance import Flags, Ints

DEPTHS = (1, 5, 10)  # of precision
MAX_DEPTH = 10  # of mean average precision, recall and hit
Floats = NDArray[np.float64]


class Groups(NamedTuple):
    """Of some ranks of each query, the group of equal scores that holds the rank: (b, t) each.

    Only candidates count. Where all scores of a list differ, each rank is a group of its own.
    """

    present: Flags  # whether there is an image at the rank
    start: Ints  # images before the group
    before: Ints  # right images before the group
    size: Ints  # images in the group
    right: Ints  # right images in the group

    def hits(self, ranks: Ints) -> Floats:
        """Return the number of right images expected up to each of the ranks (t,), (b, t)."""
        end = np.minimum(ranks, self.start + self.size)
        return np.asarray(self.before + (end - self.start) * self.right / np.maximum(self.size, 1))

    def part(self, at: Any) -> "Groups":
        """Return the groups in places that an index of numpy names."""
        return Groups(
            self.present[at], self.start[at], self.before[at], self.size[at], self.right[at]
        )


class Ties(NamedTuple):
    """The groups of equal scores in neighbor lists."""

    first: Ints  # (b, k) the first column of the group of each
    last: Ints  # (b, k) its last column


def ties(key: NDArray[np.float32]) -> Ties:
    """Return the groups of equal keys, for keys (b, k) that descend along each list."""
    columns = np.arange(key.shape[1])
    is_new = np.ones(key.shape, dtype=bool)
    is_new[:, 1:] = key[:, 1:] != key[:, :-1]
    is_end = np.ones(key.shape, dtype=bool)
    is_end[:, :-1] = is_new[:, 1:]
    first = np.maximum.accumulate(np.where(is_new, columns, 0), axis=1)
    ends = np.where(is_end, columns, key.shape[1])[:, ::-1]
    return Ties(first, np.minimum.accumulate(ends, axis=1)[:, ::-1])


def groups_at(ranks: Ints, allowed: Flags, right: Flags, tied: Ties | None) -> Groups:
    """Return the groups that hold the ranks (t,) of lists, of which only the allowed images count.

    allowed (b, k) are candidates, right (b, k) the right ones of those. A rank beyond the list is
    absent, and has the group of the last column. Without `tied` all scores differ.
    """
    counts = allowed.cumsum(axis=1, dtype=np.int32)
    hits = right.cumsum(axis=1, dtype=np.int32)
    column = np.stack([np.argmax(counts >= rank, axis=1) for rank in ranks], axis=1)
    present = counts[:, -1:] >= ranks
    column = np.where(present, column, counts.shape[1] - 1)
    first, last = column, column
    if tied is not None:
        first, last = (np.take_along_axis(columns, column, axis=1) for columns in tied)

    def at(values: NDArray[np.generic], columns: Ints) -> Ints:
        """Return the values (b, k) in these columns (b, t)."""
        return np.take_along_axis(values, columns, axis=1).astype(np.int64)

    start, before = at(counts, first) - at(allowed, first), at(hits, first) - at(right, first)
    return Groups(present, start, before, at(counts, last) - start, at(hits, last) - before)


def measure(groups: Groups, candidates: Ints, relevant: Ints) -> dict[str, Floats]:
    """Return the measures (b,) of lists whose groups at ranks 1 to t are given, t at most 10.

    candidates is N, relevant R, both (b,). Measures deeper than t are left out.
    """
    t = groups.present.shape[1]
    ranks = np.arange(1, t + 1)
    hits = groups.hits(ranks)
    values = {
        f"precision_at_{depth}": hits[:, depth - 1] / np.minimum(depth, candidates)
        for depth in DEPTHS
        if depth <= t
    }
    if t < MAX_DEPTH:
        return values
    share = np.where(groups.present, groups.right / np.maximum(groups.size, 1), 0)
    both = (groups.right - 1) / np.maximum(groups.size - 1, 1)  # another one of the group is right
    precision = (groups.before + 1 + (ranks - groups.start - 1) * both) / ranks
    return values | {
        f"recall_at_{MAX_DEPTH}": hits[:, -1] / relevant,
        f"hit_at_{MAX_DEPTH}": 1 - _no_hit(groups),
        f"map_at_{MAX_DEPTH}": (share * precision).sum(axis=1) / np.minimum(MAX_DEPTH, relevant),
    }


def _no_hit(groups: Groups) -> Floats:
    """Return the probability (b,) that none of the ranks is right: they are 1 to t."""
    t = groups.present.shape[1]
    end = groups.present.sum(axis=1)
    last = np.maximum(end - 1, 0)[:, None]
    before, start, size, right = (
        np.take_along_axis(values, last, axis=1)[:, 0]
        for values in (groups.before, groups.start, groups.size, groups.right)
    )
    return np.where(before == 0, _none_drawn(size, right, end - start, t), 0.0)


def _none_drawn(size: Ints, right: Ints, draws: Ints, most: int) -> Floats:
    """Return the probability (b,) that draws from size images, without replacement, miss the right.

    most is the highest number of draws.
    """
    step = np.arange(most)
    left = np.maximum(size[:, None] - step, 1)
    factors = np.clip((size - right)[:, None] - step, 0, None) / left
    return np.asarray(np.where(step < draws[:, None], factors, 1.0).prod(axis=1))


def chance(candidates: Ints, relevant: Ints) -> dict[str, Floats]:
    """Return each measure's value (q,) that a random order gives each query.

    candidates is N, relevant R, both (q,): all N images form one group.
    """
    n, r = candidates[:, None], relevant[:, None]
    ranks = np.arange(1, MAX_DEPTH + 1)
    none = np.zeros((len(candidates), MAX_DEPTH), dtype=np.int64)
    return measure(Groups(ranks <= n, none, none, none + n, none + r), candidates, relevant)
