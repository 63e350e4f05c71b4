"""The neighbors that the pages of an export hold: what can be chosen there without the program.

n = images, k = neighbors of each.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.browser.filters import MOST, Neighbor, default_count, possible_only, stored
from src.browser.opened import OpenRun
from src.browser.run_search import exclusion_groups, run_search
from src.errors import UserError
from src.gallery.exclusion import max_neighbors
from src.runtime.progress import progress

if TYPE_CHECKING:
    from src.similarity.queries import QuerySearch

KEPT = 8  # runs
ROWS_PER_STEP = 64
SHARE = 50  # of the rows: more than one in so many are found faster by a search among all


class Listed(NamedTuple):
    """A neighbor and the lists that it is in."""

    row: int
    score: float
    lists: list[str]  # "" is the run's own; others are keys of filters.ONLY


def listed(run: OpenRun, row: int) -> list[Listed]:
    """Return the neighbors of an image in any of the lists, in the order that all of them have."""
    found = {other: Listed(other, score, [""]) for other, score in list(stored(run, row))[:MOST]}
    for only, ids in possible_only(run).items():
        for entry in found.values():
            if "" in entry.lists and ids[entry.row] != ids[row]:
                entry.lists.append(only)
        for other, score in more(run, only).get(row, []):
            found.setdefault(other, Listed(other, score, [])).lists.append(only)
    entries = list(found.values())
    if all("" in entry.lists for entry in entries):  # a csls run of an earlier version has no more
        return entries
    return sorted(entries, key=lambda entry: _place(run, entry))


def _place(run: OpenRun, entry: Listed) -> tuple[float, int]:
    """Return what neighbors are sorted by: those of the run's own list keep their order."""
    penalties = _penalties(run)
    penalty = 0.0 if penalties is None else penalties[entry.row]
    return -float(np.float32(entry.score - penalty)), entry.row


@lru_cache(KEPT)
def _penalties(run: OpenRun) -> NDArray[np.float64] | None:
    """Return what csls subtracts from each image's score, None for other runs."""
    return run.files.penalty() if run.settings.get("similarity.ranking") == "csls" else None


@lru_cache(2 * KEPT)
def more(run: OpenRun, only: str) -> dict[int, list[Neighbor]]:
    """Return by row what a choice of filters.ONLY adds to a list to make it as long as the run's.

    Of the images that have a page. Where the features are gone, nothing.
    """
    ids = possible_only(run)[only]
    loses = (ids[run.index[:, :MOST]] == ids[:, None]).any(axis=1)
    rows = run.rows[loses[run.rows]]
    if not len(rows):
        return {}
    try:
        search = run_search(run)
    except (UserError, OSError):
        return {}
    found = dict[int, list[Neighbor]]()
    for row, neighbors in _nearest(run, search, ids, rows):
        known = set(run.index[row, :MOST].tolist())
        found[row] = [neighbor for neighbor in neighbors if neighbor[0] not in known]
    return found


def _nearest(
    run: OpenRun, search: "QuerySearch", ids: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[tuple[int, list[Neighbor]]]:
    """Yield rows with their nearest that have another number of ids (n,)."""
    groups, k = exclusion_groups(run), default_count(run)
    # images that the run leaves out are found by the search among all, and left out here
    spare = len(run) - max_neighbors(groups) - 1
    if len(rows) * SHARE > len(run) and k + spare <= max_neighbors(ids):
        found = _among_all(search, ids, k + spare)
        for row in rows.tolist():
            keeps = groups[found[0][row]] != groups[row]
            yield row, _pairs(found[0][row][keeps][:k], found[1][row][keeps][:k])
        return
    for row in progress(rows.tolist(), "filtered neighbors", len(rows)):
        mask = (ids != ids[row]) & (groups != groups[row])
        index, score = search.nearest_to_rows([row], k, mask)
        yield row, _pairs(index[0], score[0])


def _among_all(
    search: "QuerySearch", ids: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return index and score (n, k) of each image's nearest with another number."""
    from src.similarity import NeighborSearch, SearchOptions

    compared = search.all_compared(progress)
    engine = NeighborSearch(compared, ids, SearchOptions(watch=progress))
    neighbors = engine.nearest(k, search.penalty)
    return neighbors.index, neighbors.score


def _pairs(index: NDArray[np.int32], score: NDArray[np.float32]) -> list[Neighbor]:
    return list(zip(index.tolist(), score.tolist(), strict=True))
