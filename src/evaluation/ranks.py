"""Rankings of the whole collection, and their measures as expected values over ties.

n = images, q = queries, h = hits (pairs of a query and an image with its label), g = groups of hits
of one query with equal scores. A place is row * n + rank in a block of q rankings: the flat index
of a (q, n) array. Images of equal scores come in every order, each equally likely.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from src.evaluation.list_measures import Floats
from src.evaluation.relevance import Flags, Ints

HOST = "cpu"  # the device whose scores numpy sorts, faster than PyTorch does


class Rankings(NamedTuple):
    """The whole collection in the order of each query's scores, best first."""

    order: Ints  # (q, n) images
    start: Ints  # (q, n) place of the first image with the same score
    tied: NDArray[np.int32]  # (q, n), at such a first place: the number of images with that score


def rank(scores: Tensor) -> Rankings:
    """Return the rankings of scores (q, n) float32 without NaN, on any device.

    >>> import torch
    >>> order, start, tied = rank(torch.tensor([[0.5, 0.9, 0.5, 0.1]]))
    >>> order.tolist(), start.tolist(), tied.tolist()
    ([[1, 0, 2, 3]], [[0, 1, 1, 3]], [[1, 2, 1, 1]])
    """
    equal = np.zeros(scores.shape, dtype=bool)  # to the score before
    if scores.device.type == HOST:
        keys = _descending(scores.numpy())
        # numbers with their columns sort in a third of the time of argsort
        keys.sort(axis=1)
        np.less((keys[:, 1:] ^ keys[:, :-1]).view(np.uint64), 2**32, out=equal[:, 1:])
        keys &= 2**32 - 1
        return Rankings(keys, *_ties(equal))
    ordered, order = scores.sort(dim=1, descending=True)
    equal[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]).cpu().numpy()
    return Rankings(order.cpu().numpy(), *_ties(equal))


def _descending(scores: NDArray[np.float32]) -> Ints:
    """Return keys (q, n) in descending order of scores (q, n): 32 bits of score, 32 of column."""
    bits = (scores + np.float32(0)).view(np.int32)  # -0 becomes 0
    bits ^= (bits >> 31) & 0x7FFFFFFF  # negative floats are ordered by size; now as integers
    keys = np.invert(bits).astype(np.int64)
    keys <<= 32
    keys |= np.arange(scores.shape[1])
    return keys


def _ties(equal: Flags) -> tuple[Ints, NDArray[np.int32]]:
    """Return start and tied of Rankings, from which scores equal the one before, (q, n)."""
    start = np.arange(equal.size)
    tied = np.ones(equal.shape, dtype=np.int32)
    places = np.flatnonzero(equal)
    if len(places):
        is_second = np.diff(places, prepend=-1) != 1  # the second of a run of equal scores
        run = is_second.cumsum() - 1
        first = places[is_second] - 1
        start[places] = first[run]
        tied.reshape(-1)[first] += np.bincount(run).astype(np.int32)
    return start.reshape(equal.shape), tied


class Groups(NamedTuple):
    """Groups of hits of one query with equal scores, (g,) each, by ascending query."""

    row: Ints  # of the query
    before: Ints  # images that score higher
    tied: Ints  # images with this score, hits or not
    hits_before: Ints  # hits that score higher
    hits: Ints  # hits with this score


class Measured(NamedTuple):
    """Expected measures of whole rankings, (q,) each, NaN where they are not defined."""

    map: Floats  # average precision
    r_precision: Floats
    label_auc: Floats


def hit_groups(rankings: Rankings, hit: Flags, excluded: Flags) -> Groups:
    """Return the groups of hits, as if the excluded images were not in the rankings.

    hit and excluded (q, n) are in the order of the rankings.
    """
    q, n = hit.shape
    places = np.flatnonzero(hit & ~excluded)  # (h,)
    hit_start = rankings.start.reshape(-1)[places]
    first = np.flatnonzero(np.diff(hit_start, prepend=-1))  # (g,) of h
    start = hit_start[first]
    row, tied = start // n, rankings.tied.reshape(-1)[start].astype(np.int64)
    gone = np.flatnonzero(excluded)  # places
    gone_until = np.searchsorted(gone, start + tied)
    gone_before = np.searchsorted(gone, start)
    earlier_gone, earlier_hits = (np.searchsorted(x, np.arange(q) * n)[row] for x in (gone, places))
    return Groups(
        row=row,
        before=start - row * n - (gone_before - earlier_gone),
        tied=tied - (gone_until - gone_before),
        hits_before=first - earlier_hits,
        hits=np.diff(first, append=len(places)),
    )


def measure(groups: Groups, candidates: Ints, relevant: Ints) -> Measured:
    """Return the measures of queries with N candidates, of which R are relevant, (q,) each.

    Of a group of t tied images after b others, r of them hits after h other hits, rank b + i is a
    hit with probability r / t, and then h + 1 + (i - 1) (r - 1) / (t - 1) of the first b + i images
    are expected to be hits. Average precision is the sum of their quotients over i = 1..t, divided
    by R. AUC is the share of pairs of a hit and another image in which the hit ranks first.
    """
    row, before, tied, hits_before, hits = groups
    harmonic = _harmonic(int(candidates.max(initial=0)))
    inverse = harmonic[before + tied] - harmonic[before]  # sum of 1 / (b + i)
    others = (hits - 1) / np.maximum(tied - 1, 1)
    precision = (hits_before + 1) * inverse + others * (tied - (before + 1) * inverse)
    precision = np.where(tied == 1, (hits_before + 1) / (before + 1), hits / tied * precision)
    early = hits * np.clip((relevant[row] - before) / tied, 0, 1)  # expected among the first R
    ahead = hits * (candidates[row] - before - (tied + 1) / 2)  # of other images, hits or not
    sums = (np.bincount(row, terms, len(relevant)) for terms in (precision, early, ahead))
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN
        precisions, earlies, aheads = sums
        wins = aheads - relevant * (relevant - 1) / 2
        auc = wins / (relevant * (candidates - relevant))
        return Measured(precisions / relevant, earlies / relevant, auc)


def chance(candidates: Ints, relevant: Ints) -> Measured:
    """Return the expected measures of a random order of N images, R of them hits, (q,) each."""
    row = np.flatnonzero(relevant)
    zero = np.zeros(len(row), dtype=np.int64)
    return measure(Groups(row, zero, candidates[row], zero, relevant[row]), candidates, relevant)


@cache
def _harmonic(n: int) -> Floats:
    """Return the sums of 1/i for i up to 0..n, (n + 1,)."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))])
