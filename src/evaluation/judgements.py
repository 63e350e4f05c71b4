"""Metrics of pairs that people have judged: good neighbors for their query, or bad ones.

Most pairs are not judged, so all measures are over those that are. Images with the same score come
in no particular order, and measures are expected over their orders.

n = images, v = verdicts, p = judged pairs, q = queries that have some, b = queries of a block, j =
most pairs of one of them, k = neighbors of each.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from src.evaluation.list_measures import DEPTHS, Floats
from src.evaluation.metrics import JUDGED
from src.evaluation.ranked_lists import RankedLists
from src.evaluation.ranks import candidates_of, measure, rank
from src.evaluation.relevance import Flags, Ints
from src.evaluation.retrieval import Metrics, Queries

PER_BLOCK = 2**20  # scores ranked at once


class Verdicts(NamedTuple):
    """What judges say, each at most once about a pair: (v,) each."""

    query: Ints  # rows
    neighbor: Ints
    judge: Ints  # numbers
    is_good: Flags


class Pairs(NamedTuple):
    """Judged pairs, each once, by query and then neighbor: (p,) each."""

    query: Ints
    neighbor: Ints
    is_good: Flags


def possible_verdicts(verdicts: Verdicts, groups: Ints) -> Verdicts:
    """Return the verdicts about images that can be neighbors: those of one group (n,) cannot."""
    are_apart = groups[verdicts.query] != groups[verdicts.neighbor]
    return Verdicts(*(values[are_apart] for values in verdicts))


def consensus(verdicts: Verdicts) -> tuple[Pairs, Metrics]:
    """Return the pairs with what most of their judges say, and how many there are.

    A pair on which as many say yes as no is disputed, and left out.
    """
    both = np.stack([verdicts.query, verdicts.neighbor], axis=1)
    pairs, place = np.unique(both, axis=0, return_inverse=True)
    votes = np.where(verdicts.is_good, 1, -1)
    balance = np.bincount(place.reshape(-1), votes, minlength=len(pairs))
    decided = balance != 0
    counts: Metrics = {
        f"{JUDGED}pairs": int(decided.sum()),
        f"{JUDGED}queries": len(np.unique(pairs[decided, 0])),
        f"{JUDGED}disputed": int((~decided).sum()),
        f"{JUDGED}judges": len(np.unique(verdicts.judge)),
    }
    query, neighbor = pairs[decided].T
    return Pairs(query, neighbor, balance[decided] > 0), counts


def judge_agreement(verdicts: Verdicts) -> Metrics:
    """Return how often two judges of a pair say the same, and Krippendorff's alpha; {} without two.

    A pair of u verdicts, g of them good, has (g (g - 1) + b (b - 1)) / (u - 1) agreements, b = u -
    g; alpha compares the disagreements with those of verdicts dealt at random, and is NaN if all
    say the same. Source: Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011.
    """
    both = np.stack([verdicts.query, verdicts.neighbor], axis=1)
    place = np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
    units, good = np.bincount(place), np.bincount(place, verdicts.is_good)
    several = units > 1
    units, good = units[several], good[several]
    if not len(units):
        return {}
    total, yes, weight = units.sum(), good.sum(), units - 1
    differing = (2 * good * (units - good) / weight).sum()
    chance = 2 * yes * (total - yes) / (total - 1)
    return {
        f"{JUDGED}judge_agreement": float(1 - differing / total),
        f"{JUDGED}judge_alpha": float(1 - differing / chance) if chance else float("nan"),
    }


def list_metrics(
    pairs: Pairs, key: NDArray[np.float32], lists: RankedLists, groups: Ints
) -> tuple[Metrics, Queries]:
    """Return judged/precision_at_<d> and judged/judged_at_<d>, and those of each query.

    key (p,) is what the pairs are ordered by, as lists are by theirs. precision_at_d is the share
    of good ones of the judged among the first d neighbors, judged_at_d the share of those that are
    judged. Of images with the score of the d-th, each counts by its probability to be among the
    first d. Images of one group (n,) are no neighbors. Depths beyond the lists are omitted.

    >>> lists = RankedLists(np.array([[1, 2], [0, 2], [1, 0]]), np.float32([[9, 8]] * 3))
    >>> pairs = Pairs(np.array([0, 0]), np.array([1, 2]), np.array([True, False]))
    >>> metrics, _ = list_metrics(pairs, np.float32([9, 8]), lists, np.arange(3))
    >>> metrics["judged/precision_at_1"], metrics["judged/judged_at_1"]
    (1.0, 1.0)
    """
    n, k = lists.index.shape
    rows, place = np.unique(pairs.query, return_inverse=True)
    metrics: Metrics = {}
    queries: Queries = {}
    for depth in (depth for depth in DEPTHS if depth <= k):
        last, above, tied = _ends(lists, rows, depth, groups)
        share = np.where(key == last[place], ((depth - above) / tied)[place], key > last[place])
        judged = np.bincount(place, share, minlength=len(rows))
        good = np.bincount(place, share * pairs.is_good, minlength=len(rows))
        precision = np.divide(good, judged, out=np.full(len(rows), np.nan), where=judged > 0)
        for name, values in (("precision_at", precision), ("judged_at", judged / depth)):
            _add(f"{JUDGED}{name}_{depth}", values, rows, n, metrics, queries)
    return metrics, queries


def _ends(
    lists: RankedLists, rows: Ints, depth: int, groups: Ints
) -> tuple[NDArray[np.float32], Ints, Ints]:
    """Return of lists of rows (q,) the key at a depth, how many are above it, and how many have it.

    The latter are also those beyond a list that ends with this key.
    """
    key = lists.key
    assert key is not None  # those of the pairs compare with them
    last = key[rows, depth - 1]
    above = (key[rows] > last[:, None]).sum(axis=1)
    tied = (key[rows] == last[:, None]).sum(axis=1)
    is_open = lists.is_open[rows] & (key[rows, -1] == last)
    if lists.tied_images is not None and is_open.any():
        place = dict(zip(rows.tolist(), range(len(rows)), strict=True))
        for part, flags in lists.tied_images(rows[is_open]):
            for row in part.tolist():
                tied[place[row]] = (flags & (groups != groups[row])).sum()
    return last, above, tied


def ranking_metrics(pairs: Pairs, key: NDArray[np.float32], n: int) -> tuple[Metrics, Queries]:
    """Return judged/agreement and judged/map of n images, and those of each query.

    Each query ranks its judged images alone, by key (p,). agreement is the share of pairs of a good
    and a bad one in which the good one is above, and half of those with equal keys. map is the mean
    average precision of such condensed lists (Sakai, Alternatives to Bpref, 2007).

    >>> pairs = Pairs(np.zeros(3, int), np.array([1, 2, 3]), np.array([True, False, True]))
    >>> metrics, _ = ranking_metrics(pairs, np.float32([0.9, 0.5, 0.1]), 4)
    >>> metrics["judged/agreement"], round(metrics["judged/map"], 4)
    (0.5, 0.8333)
    """
    rows, start, size = np.unique(pairs.query, return_index=True, return_counts=True)
    agreement, precision = np.full((2, len(rows)), np.nan)
    for some in _blocks(size):
        columns = np.arange(size[some].max())
        is_judged = columns < size[some, None]  # (b, j); the rest fills the block up
        at = np.where(is_judged, start[some, None] + columns, 0)
        rankings = rank(torch.from_numpy(np.where(is_judged, key[at], np.float32(-np.inf))))
        is_good = np.take_along_axis(is_judged & pairs.is_good[at], rankings.order, axis=1)
        filled = np.take_along_axis(~is_judged, rankings.order, axis=1)
        measured, *_ = measure(rankings, np.flatnonzero(is_good), candidates_of(filled))
        agreement[some], precision[some] = measured.label_auc, measured.map
    metrics: Metrics = {}
    queries: Queries = {}
    _add(f"{JUDGED}agreement", agreement, rows, n, metrics, queries)
    if metrics:
        metrics[f"{JUDGED}agreement_chance"] = 0.5
    _add(f"{JUDGED}map", precision, rows, n, metrics, queries)
    return metrics, queries


def _blocks(size: Ints) -> Iterator[Ints]:
    """Yield the numbers of queries with size (q,) pairs each in blocks of similar size."""
    width = 2 ** np.ceil(np.log2(size)).astype(np.int64)
    for wide in np.unique(width):
        some = np.flatnonzero(width == wide)
        step = max(1, PER_BLOCK // int(wide))
        yield from (some[at : at + step] for at in range(0, len(some), step))


def _add(name: str, values: Floats, rows: Ints, n: int, metrics: Metrics, queries: Queries) -> None:
    """Add the mean of a metric over rows (q,) with a value, their number, and the value of each of
    n, if there are any."""
    if not np.isnan(values).all():
        metrics[name] = float(np.nanmean(values))
        metrics[f"{name}_queries"] = int((~np.isnan(values)).sum())
        queries[name] = np.full(n, np.nan)
        queries[name][rows] = values
