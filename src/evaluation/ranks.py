"""Rankings of the whole collection, and their measures as expected values over ties.

n = images, q = queries of a block, h = hits (pairs of a query and an image with its label), g =
groups of hits of one query with the same score. A place is a flat index of a (q, n) array: row * n
+ rank. Images with the same score come in any order, each order as likely as the others.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.evaluation.list_measures import Floats
from src.evaluation.relevance import Flags, Ints

HOST = "cpu"  # the device whose scores numpy sorts, ten times as fast as PyTorch does


class Rankings(NamedTuple):
    """The whole collection in the order of each query's scores, best first."""

    order: Ints  # (q, n) images
    is_tied: Flags  # (q, n) whether the score is also that of the place before or after
    first: Ints  # the first place of each run of equal scores, ascending
    last: Ints  # the last place of each


class Candidates(NamedTuple):
    """Which images of rankings count."""

    allowed: Flags  # (q, n) in the order of the rankings
    number: NDArray[np.int32]  # (q, n) how many up to here, in its row, count


class Measured(NamedTuple):
    """Expected measures of whole rankings, (q,) each, NaN where they are not defined."""

    map: Floats  # average precision
    r_precision: Floats
    label_auc: Floats


class _Hits(NamedTuple):
    """The candidates with the label of their query, by query and then rank, (h,) each."""

    place: Ints
    relevant: Ints  # R of the query
    number: Ints  # of the query's hits up to here, from 1


class _Terms(NamedTuple):
    """What hits, or groups of them, add to the measures of their query."""

    precision: Floats  # expected sum of the precisions at the hits
    early: Floats  # expected hits among the first R
    rank: Floats  # sum of the expected ranks of the hits


def rank(scores: Tensor) -> Rankings:
    """Return the rankings of scores (q, n) float32 without NaN, on any device.

    >>> order, is_tied, first, last = rank(torch.tensor([[0.5, 0.9, 0.5, 0.1]]))
    >>> order.tolist(), first.tolist(), last.tolist()
    ([[1, 0, 2, 3]], [1], [2])
    """
    if scores.device.type == HOST:
        order, ordered = _sorted_on_host(scores)
    else:
        ordered, order = scores.sort(dim=1, descending=True)
    before, after = np.zeros((2, *scores.shape), dtype=bool)  # whether the score is the same there
    before[:, 1:] = after[:, :-1] = (ordered[:, 1:] == ordered[:, :-1]).cpu().numpy()
    first, last = np.flatnonzero(after & ~before), np.flatnonzero(before & ~after)
    return Rankings(order.cpu().numpy(), before | after, first, last)


def _sorted_on_host(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the order of scores (q, n), descending, and keys of the scores in this order.

    Two passes, by the lower and by the upper 16 bits of a key: those numpy sorts by counting, in a
    third of the time of its other sorts and a tenth of that of PyTorch's.
    """
    bits = (scores.numpy() + np.float32(0)).view(np.int32)  # -0 becomes 0
    bits ^= (bits >> 31) & 0x7FFFFFFF  # as integers, negative floats descend
    keys = np.invert(bits, out=bits)
    order = torch.from_numpy(np.argsort(keys.astype(np.uint16), axis=1, kind="stable"))
    upper = torch.from_numpy((keys >> 16).astype(np.int16)).gather(1, order)
    order = order.gather(1, torch.from_numpy(np.argsort(upper.numpy(), axis=1, kind="stable")))
    return order, torch.from_numpy(keys).gather(1, order)


def candidates_of(excluded: Flags) -> Candidates:
    """Return the candidates of rankings, all images but the excluded ones (q, n) of their order."""
    allowed = ~excluded
    return Candidates(allowed, allowed.cumsum(axis=1, dtype=np.int32))


def measure(rankings: Rankings, labeled: Ints, counted: Candidates) -> tuple[Measured, Ints, Ints]:
    """Return the measures of rankings, and N and R of each query, (q,) each.

    labeled are the places of the images with the query's label, ascending. N is the number of
    candidates, R that of hits, the labeled ones among them; without any the measures are NaN.
    """
    q, n = counted.allowed.shape
    places = labeled[counted.allowed.reshape(-1)[labeled]]  # (h,)
    end = np.searchsorted(places, np.arange(1, q + 1) * n)
    relevant = np.diff(end, prepend=0)
    ranks = counted.number.reshape(-1)[places].astype(np.float64)  # from 1, among the candidates
    hits = _Hits(
        places,
        relevant=np.repeat(relevant, relevant),
        number=np.arange(1, len(places) + 1) - np.repeat(end - relevant, relevant),
    )
    terms = _Terms(hits.number / ranks, (ranks <= hits.relevant).astype(np.float64), ranks)
    _share_ties(terms, hits, rankings, counted)
    sums = _Terms(*np.zeros((3, q)))
    some = np.flatnonzero(relevant)
    for term, total in zip(terms, sums, strict=True):
        if len(some):  # reduceat sums from one start to the next
            total[some] = np.add.reduceat(term, (end - relevant)[some])
    size = counted.number[:, -1].astype(np.int64)
    return _measures(sums, size, relevant), size, relevant


def _share_ties(terms: _Terms, hits: _Hits, rankings: Rankings, counted: Candidates) -> None:
    """Replace the terms of hits with tied scores: the first of a group gets the group's, others 0.

    Each group of equal scores is cut to the candidates.
    """
    tied = np.flatnonzero(rankings.is_tied.reshape(-1)[hits.place])
    if not len(tied):
        return
    run = np.searchsorted(rankings.first, hits.place[tied], side="right") - 1
    head = np.flatnonzero(np.diff(run, prepend=-1))  # (g,) of the tied hits
    number, allowed = counted.number.reshape(-1), counted.allowed.reshape(-1)
    first, last = rankings.first[run[head]], rankings.last[run[head]]
    before = number[first].astype(np.int64) - allowed[first]
    shared = _group_terms(
        before,
        size=number[last] - before,
        hits_before=hits.number[tied[head]] - 1,
        hits=np.diff(head, append=len(tied)),
        relevant=hits.relevant[tied[head]],
    )
    for term, values in zip(terms, shared, strict=True):
        term[tied] = 0
        term[tied[head]] = values


def _group_terms(before: Ints, size: Ints, hits_before: Ints, hits: Ints, relevant: Ints) -> _Terms:
    """Return the terms of groups (g,) of size images after others, among them hits after others.

    Of t images after b others, r of them hits after h other hits, the i-th is a hit with
    probability r / t, and then h + 1 + (i - 1) (r - 1) / (t - 1) of the first b + i are expected to
    be hits; the precision there is the quotient. The sum over i takes that of 1 / (b + i).
    """
    harmonic = _harmonic(int((before + size).max()).bit_length())
    inverse = np.where(size == 1, 1 / (before + 1), harmonic[before + size] - harmonic[before])
    others = (hits - 1) / np.maximum(size - 1, 1)
    precision = (hits_before + 1) * inverse + others * (size - (before + 1) * inverse)
    early = hits * np.clip((relevant - before) / size, 0, 1)
    return _Terms(
        hits / size * precision, early.astype(np.float64), hits * (before + (size + 1) / 2)
    )


def _measures(sums: _Terms, candidates: Ints, relevant: Ints) -> Measured:
    """Return the measures of queries from the sums of their terms, all (q,)."""
    pairs = relevant * (candidates - relevant)  # of a hit and another candidate
    # a hit at rank r precedes N - r candidates; R (R - 1) / 2 of those of all hits are hits
    wins = relevant * candidates - sums.rank - relevant * (relevant - 1) / 2
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN
        return Measured(sums.precision / relevant, sums.early / relevant, wins / pairs)


def chance(candidates: Ints, relevant: Ints) -> Measured:
    """Return the expected measures of a random order of N images, R of them hits, (q,) each.

    They are those of one group of equal scores. R is not 0.
    """
    if not len(relevant):
        return Measured(*np.zeros((3, 0)))
    none = np.zeros_like(candidates)
    sums = _group_terms(none, candidates, none, relevant, relevant)
    return _measures(sums, candidates, relevant)


@lru_cache(2)
def _harmonic(bits: int) -> Floats:
    """Return the sums of 1 / i for i up to 0, 1, ..., 2^bits."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, 2**bits + 1))])
