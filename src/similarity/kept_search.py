"""Searches that begin with the kept lists of earlier ones, and keep their own.

n = images.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from src.runtime.processes import ProcessGroup
from src.similarity.growing import NONE, Growth, grow
from src.similarity.growth import Digests, row_digests
from src.similarity.kept import Found, KeptLists, find_kept, kept_path, write_kept
from src.similarity.lists import Lists
from src.similarity.numerics import exact_scores
from src.similarity.plan import SearchOptions, SearchPlan

log = logging.getLogger(__name__)

SPARE = 16  # entries kept beyond k: of images that are removed, so many may be in a list
CHECKED = 32  # lists whose scores are computed again before they are used


class Search(Protocol):
    """A NeighborSearch."""

    rows: Tensor  # (n, d)
    norms: Tensor  # (n,) float64
    groups: Tensor  # (n,)
    max_k: int
    options: SearchOptions
    plan: SearchPlan
    processes: ProcessGroup

    @property
    def features_hash(self) -> str:
        """Hash of the rows."""

    @property
    def groups_hash(self) -> str:
        """Hash of the groups."""

    def compare(
        self,
        k: int,
        width: int,
        penalties: Tensor | None = None,
        keep_tiles: bool = False,
        growth: Growth | None = None,
        keep: Callable[[Lists], None] = ...,
    ) -> Lists:
        """Return lists of width entries, at least k of them proven; keep is called with them."""


def nearest_by_kept(search: Search, folder: Path, k: int, keep_tiles: bool = False) -> Lists:
    """Return lists of at least k entries, from kept ones as far as those go; keep them in folder.

    Lists of the same rows are returned as they are. Those of other rows, some of which are the
    same, are gone on from if that takes less than comparing all pairs.
    """
    digests: list[Digests] = []  # of rank 0

    def known() -> Lists | tuple[Growth, int] | None:
        """Return the lists, or what to go on from and how many entries to keep, or None."""
        digests.append(row_digests(search.rows))
        found = find_kept(digests[0], k, own, search.options.earlier)
        return None if found is None else _what_is_known(search, found, k)

    def keep(lists: Lists) -> None:
        """Write the lists on rank 0."""
        if search.processes.is_rank_zero:
            columns = [column.numpy() for column in lists.columns]
            write_kept(own, KeptLists(digests[0], search.groups.long().numpy(), *columns))

    own = kept_path(folder, search.features_hash, search.groups_hash)
    start = search.processes.broadcast_from_rank_zero(known)
    if isinstance(start, Lists):
        return start
    if start is None:
        width = min(k + SPARE, search.max_k)
        return search.compare(width, width, None, keep_tiles, keep=keep)
    growth, width = start
    return search.compare(k, width, growth=growth, keep=keep)


def _scores_are_right(search: Search, growth: Growth) -> bool:
    """Return whether the scores of some lists are those of their rows, to the bit."""
    some = torch.linspace(0, max(0, len(growth.index) - 1), min(len(growth.index), CHECKED)).long()
    queries, index = growth.places[growth.parts.searched :][some], growth.index[some].long()
    exact = exact_scores(search.rows, search.norms, queries, index.clamp(min=0))
    is_left = index != NONE
    return torch.equal(exact[is_left], growth.score[some][is_left])


def _what_is_known(search: Search, found: Found, k: int) -> Lists | tuple[Growth, int] | None:
    """Return the lists if they are of the same rows, or what to go on from, if that pays."""
    lists = found.lists
    growth = grow(lists, found.earlier, search.groups, k)
    new, searched = growth.parts
    n, where = len(growth.places), found.path.parent
    if not _scores_are_right(search, growth):
        log.warning(
            "similarity: not used: %s has other scores than its rows: delete it", found.path
        )
        return None
    if not searched and found.is_same and (lists.depth >= k).all():
        log.info("similarity: the neighbors are known from %s", where)
        columns = lists.index, lists.score, lists.depth, lists.unproven
        return Lists(*(torch.from_numpy(column) for column in columns))
    again = f" and {searched - new:,} others again" if searched > new else ""
    if not growth.pays:
        log.info(
            "similarity: comparing all, since that takes less than comparing %s new images%s of %s",
            *(f"{new:,}", again, f"{n:,}"),
        )
        return None
    log.info(
        "similarity: %s of %s images are those of %s; comparing %s new %s%s with all",
        *(f"{n - new:,}", f"{n:,}", where, f"{new:,}", "one" if new == 1 else "ones", again),
    )
    return growth, min(max(k + SPARE, lists.index.shape[1]), search.max_k)
