"""Pairs of almost equal images, and the groups that they form.

n = images, m = pairs. Only neighbors are looked at, so that no other pairs need to be compared.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.browser.opened import OpenRun
from src.browser.site import Site
from src.io.printable import printable

MOST, FEWEST = 20_000, 2_000  # pairs that can be grouped; fewer are only if a gallery has no more
ALIKE = 0.9  # pairs from this score on are all grouped, up to MOST
DIGITS = 4  # of scores, as they are shown: equal files score 0.99999994, too
KINDS = ("", "other views of one object", "same file")
PER_CHUNK = 1000  # captions


class NearPairs(NamedTuple):
    """The pairs that score best, best first."""

    rows: NDArray[np.int64]  # (m, 2) the lower row first, each pair once
    scores: NDArray[np.float64]  # (m,) with DIGITS
    kinds: NDArray[np.int64]  # (m,) which of KINDS
    floor: float  # all pairs of neighbors from this score on are there
    step: float  # by which a threshold moves

    @property
    def images(self) -> NDArray[np.int64]:
        """Return the rows of all pairs, each once, in the order of their best pair."""
        rows, first = np.unique(self.rows, return_index=True)
        return np.asarray(rows[np.argsort(first, kind="stable")])


class Group(NamedTuple):
    """Images that pairs join."""

    rows: list[int]  # in order
    pairs: list[int]  # numbers of the pairs, best first


@lru_cache(maxsize=64)
def near_pairs(run: OpenRun) -> NearPairs:
    """Return the best pairs of images that have a page: mutual neighbors, or one of the other's."""
    k, scores = run.index.shape[1], run.score.ravel().astype(np.float64)
    firsts, others = np.repeat(np.arange(len(run)), k), run.index.ravel().astype(np.int64)
    if run.written is not None:
        both = run.written[firsts] & run.written[others]
        firsts, others, scores = firsts[both], others[both], scores[both]
    if len(scores) > 2 * MOST + 2:  # a pair is in up to two lists
        best = scores >= np.partition(scores, -2 * MOST - 2)[-2 * MOST - 2]
        firsts, others, scores = firsts[best], others[best], scores[best]
    keys = np.minimum(firsts, others) * len(run) + np.maximum(firsts, others)
    keys, at = np.unique(keys, return_index=True)
    order = np.argsort(-scores[at], kind="stable")
    keys, scores = keys[order], np.round(scores[at][order], DIGITS)
    alike = int(np.count_nonzero(scores >= ALIKE))
    count = min(len(keys), MOST, max(alike, FEWEST))
    floor, step = _range(scores[:count], is_cut=count < len(keys))
    rows = np.stack(np.divmod(keys[:count], len(run)), axis=1)
    return NearPairs(rows, scores[:count], _kinds(run, rows), floor, step)


def _range(scores: NDArray[np.float64], is_cut: bool) -> tuple[float, float]:
    """Return the lowest threshold, and a step by which people move it up to 1."""
    lowest = float(scores[-1]) if len(scores) else 1.0
    step = 0.001 if lowest < 0.98 else 10.0**-DIGITS
    steps = round(lowest / step, 6)
    return round(step * (math.ceil(steps) if is_cut else math.floor(steps)), DIGITS), step


def _kinds(run: OpenRun, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what the images of each pair have in common, as numbers of KINDS."""
    kinds = np.zeros(len(rows), np.int64)
    for kind, column in ((1, "object_id"), (2, "sha256")):
        if column in run.columns:
            first, second = run.columns[column][rows].T
            kinds[(first == second) & (first != "")] = kind
    return kinds


def groups_of(rows: NDArray[np.int64]) -> list[Group]:
    """Return the groups that pairs of rows (m, 2), best first, join: the largest group first.

    Of groups of one size, the one with the best pair is first.
    """
    parent: dict[int, int] = {}

    def root(row: int) -> int:
        """Return the row that stands for the group of a row."""
        while parent.setdefault(row, row) != row:
            parent[row] = row = parent[parent[row]]
        return row

    pairs: list[list[int]] = rows.tolist()
    for first, second in pairs:
        parent[root(first)] = root(second)
    members: dict[int, set[int]] = {}
    joined: dict[int, list[int]] = {}
    for number, pair in enumerate(pairs):
        members.setdefault(root(pair[0]), set()).update(pair)
        joined.setdefault(root(pair[0]), []).append(number)
    groups = [Group(sorted(members[top]), joined[top]) for top in members]
    return sorted(groups, key=lambda group: (-len(group.rows), group.pairs[0]))


def pairs_data(site: Site, run: OpenRun, number: int) -> dict[str, Any]:
    """Return the pairs for the script: flat first, second, score and kind.

    Images are numbers into the list of rows; scores are in units of the last digit.
    """
    pairs = near_pairs(run)
    images = pairs.images
    order = np.argsort(images)
    places = order[np.searchsorted(images, pairs.rows, sorter=order)]
    scores = np.rint(pairs.scores * 10**DIGITS).astype(np.int64)
    flat = np.column_stack([places, scores, pairs.kinds])
    return {"rows": images.tolist(), "pairs": flat.ravel().tolist()}


def captions(site: Site, run: OpenRun, number: int) -> list[list[str]]:
    """Return title, artist, date, alternative text and file of some of the images of pairs."""
    rows = near_pairs(run).images[number * PER_CHUNK : (number + 1) * PER_CHUNK]
    return [
        [printable(x) for x in (*run.caption(row), run.alt(row), run.gallery.files[row])]
        for row in rows.tolist()
    ]


def caption_chunks(run: OpenRun) -> int:
    """Return the number of chunks of captions."""
    return -(-len(near_pairs(run).images) // PER_CHUNK)
