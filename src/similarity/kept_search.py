"""What a search can begin with from the kept lists of earlier ones, and what it keeps itself.

n = images, d = width of a row.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from src.runtime.processes import ProcessGroup
from src.similarity.digests import Digests, row_digests
from src.similarity.growth import NONE, Growth, grow
from src.similarity.kept_lists import Found, KeptLists, find_kept, write_kept
from src.similarity.lists import Lists
from src.similarity.refinement import Scorer

log = logging.getLogger(__name__)

SPARE = 16  # entries kept beyond k: of images that are removed, so many may be in a list
CHECKED = 32  # lists whose scores are computed again before they are used
Start = tuple[Growth | None, int]  # how the lists of a search are found, and their length


class KeptSearch:
    """The kept lists that a search begins with, and the file of those that it finds.

    Args:
        scorer: the rows (n, d) that are compared, and their groups.
        path: file of the lists of these rows and groups.
        earlier: folders of other lists.
        processes: rank 0 reads and writes the files.
    """

    def __init__(
        self, scorer: Scorer, path: Path, earlier: Sequence[Path], processes: ProcessGroup
    ):
        self._scorer, self._path, self._earlier = scorer, path, earlier
        self._processes = processes
        self._digests: Digests | None = None  # of the rows, on rank 0

    def begin(self, k: int, max_k: int) -> Lists | Start:
        """Return lists of at least k entries if they are known, else how to find them.

        That is the growth of lists that have some of the rows, or None where all pairs are to be
        compared; and the number of entries to find, at most max_k.
        """

        def known() -> Lists | Start:
            """Return what rank 0 finds in the files."""
            self._digests = row_digests(self._scorer.rows)
            found = find_kept(self._digests, k, self._path, self._earlier)
            start = None if found is None else self._known(found, k)
            if isinstance(start, Lists):
                return start
            before = 0 if start is None else start.index.shape[1]
            return start, min(max(k + SPARE, before), max_k)

        return self._processes.broadcast_from_rank_zero(known)

    def keep(self, lists: Lists) -> None:
        """Write the lists that were found, on rank 0."""
        if self._digests is not None:
            columns = [column.numpy() for column in lists.columns]
            groups = self._scorer.groups.long().numpy()
            write_kept(self._path, KeptLists(self._digests, groups, *columns))

    def _known(self, found: Found, k: int) -> Lists | Growth | None:
        """Return the lists if they are of the same rows, or their growth if that pays."""
        growth = grow(found.lists, found.earlier, self._scorer.groups, k)
        if not self._scores_are_right(growth):
            log.warning(
                "similarity: not used: %s has other scores than its rows: delete it", found.path
            )
            return None
        if not growth.parts.searched and found.is_same and (found.lists.depth >= k).all():
            log.info("similarity: the neighbors are known from %s", found.path.parent)
            lists = found.lists
            columns = lists.index, lists.score, lists.depth, lists.unproven
            return Lists(*(torch.from_numpy(column) for column in columns))
        _log_parts(growth, found.path.parent)
        return growth if growth.pays else None

    def _scores_are_right(self, growth: Growth) -> bool:
        """Return whether the scores of some lists are those of their rows, to the bit."""
        r = len(growth.index)
        some = torch.linspace(0, max(0, r - 1), min(r, CHECKED)).long()
        queries, index = growth.places[growth.parts.searched :][some], growth.index[some].long()
        exact = self._scorer.scores(queries, index.clamp(min=0))
        is_left = index != NONE
        return torch.equal(exact[is_left], growth.score[some][is_left])


def _log_parts(growth: Growth, where: Path) -> None:
    """Log how many images are compared with all, given the lists in a folder."""
    new, searched = growth.parts
    n = len(growth.places)
    again = f" and {searched - new:,} others again" if searched > new else ""
    if not growth.pays:
        log.info(
            "similarity: comparing all, since that takes less than comparing %s new images%s of %s",
            *(f"{new:,}", again, f"{n:,}"),
        )
        return
    log.info(
        "similarity: %s of %s images are those of %s; comparing %s new %s%s with all",
        *(f"{n - new:,}", f"{n:,}", where, f"{new:,}", "one" if new == 1 else "ones", again),
    )
