"""Exact nearest neighbors of every image by cosine similarity, and the whole matrix of cosines.

A fast pass multiplies the rows tile by tile in float32, each pair once, and only proposes
candidates; a bound on its rounding error proves that none is missing; the candidates are scored
again in float64. So the answer never depends on block size, device, threads or storage.

n = images, d = width of a row, k = neighbors kept, c = candidates of a row.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from src.runtime.memory import free_memory
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.similarity.candidates import Candidates
from src.similarity.centering import Centered, center
from src.similarity.checkpoint import Checkpoint, open_checkpoint
from src.similarity.exact_tiles import ExactTiles
from src.similarity.growth import Growth
from src.similarity.inputs import checked_rows, finite_penalty, group_ids
from src.similarity.kept_lists import kept_path
from src.similarity.kept_search import KeptSearch
from src.similarity.lists import Lists, Neighbors
from src.similarity.matrix import complete_matrix
from src.similarity.matrix_files import MatrixRecord
from src.similarity.merging import merge
from src.similarity.parallel import thread_count
from src.similarity.plan import SearchOptions, choose_device, make_plan
from src.similarity.record import hash_of
from src.similarity.refinement import Scorer, refine
from src.similarity.row_sums import RowSums
from src.similarity.stored_matrix import nearest_stored
from src.similarity.tiles import TileCache, TileConsumer, for_each_tile

MARGIN = 16  # candidates kept beyond k: the more, the fewer rows have to be searched again
DEFAULTS = SearchOptions()


class NeighborSearch:
    """Searches among the same rows, for any k and penalty; rows are hashed and centered once.

    Args:
        features: (n, d) floats of any scale.
        groups: (n,) integers; rows of one group are no neighbors of each other.
        options: how to search and what to store.
        processes: the ranks that share the tiles; each gets the whole result.

    Raises ValueError for features that are not (n, d) finite floats, or groups that are not (n,),
    and UserError if options.matrix is the file of something else.

    Example:
        >>> search = NeighborSearch([[3.0, 0.0], [2.0, 0.0], [1.0, 1.0]])
        >>> search.nearest(1).index.tolist()
        [[1], [0], [0]]
        >>> search.nearest(1, penalty=[0.5, 0.0, 0.0]).index.tolist()  # row 0 as a hub
        [[1], [2], [1]]
    """

    def __init__(
        self,
        features: ArrayLike | Tensor,
        groups: ArrayLike | Tensor | None = None,
        options: SearchOptions = DEFAULTS,
        processes: ProcessGroup = SINGLE_PROCESS,
    ):
        self.rows, self.norms = checked_rows(features)  # (n, d), and (n,) float64
        self.groups = group_ids(groups, len(self.rows))  # (n,)
        # neighbors that every row has
        self.max_k = len(self.rows) - int(self.groups.unique(return_counts=True)[1].max())
        self.options, self.processes = options, processes
        self.device = choose_device(options.device)
        self.plan = processes.broadcast_from_rank_zero(
            lambda: make_plan(self.rows, self.device, options)
        )
        self._unwritten = self.plan.matrix  # until the first search
        self._tiles: dict[int, Tensor] = {}  # for the next search, by number

    @cached_property
    def features_hash(self) -> str:
        """Hash of the rows, as in the names of files that depend on them."""
        return self.plan.record.features or hash_of(self.rows)

    @cached_property
    def groups_hash(self) -> str:
        """Hash of the groups, as in the names of files that depend on them."""
        return hash_of(self.groups)

    @cached_property
    def centered(self) -> Centered:
        """The rows as the fast pass multiplies them, computed on first use, after k is checked."""
        with thread_count(1):  # many small steps: two threads would wait for each other
            return center(self.rows, self.device, self.plan.precision, self.options.watch)

    def nearest(
        self, k: int = 10, penalty: ArrayLike | Tensor | None = None, keep_tiles: bool = False
    ) -> Neighbors:
        """Return the k nearest neighbors of each row, never the row itself.

        A score is float32(float64 dot / float64 norms) of the rows given, 0 if one is zero. The
        order is by descending score, then ascending row; with a penalty (n,), by float32(score -
        penalty of the neighbor). The first search writes options.matrix, from which neighbors are
        read if that is faster. With keep_tiles the products of the fast pass stay in memory, up to
        a quarter of what is free, and the next search need not recompute them.

        Raises ValueError if k is not in 1..max_k, or the penalty is not (n,) finite numbers.
        """
        n = len(self.rows)
        if not 1 <= k <= self.max_k:
            raise ValueError(f"k must be between 1 and {self.max_k} for these {n} rows, got {k}")
        penalties = finite_penalty(penalty, n)
        self.complete()
        if self.options.lists is not None and penalties is None:
            lists = self._nearest_by_kept(self.options.lists, k, keep_tiles)
        else:
            lists = self.compare(k, k, penalties, keep_tiles)
        index, score = lists.index[:, :k].numpy(), lists.score[:, :k].numpy()
        return Neighbors(index, score, int(lists.unproven.sum()) / n)

    def _nearest_by_kept(self, folder: Path, k: int, keep_tiles: bool) -> Lists:
        """Return lists of at least k entries, from kept ones as far as possible; keep them."""
        scorer = Scorer(self.rows, self.norms, None, self.groups)
        path = kept_path(folder, self.features_hash, self.groups_hash)
        kept = KeptSearch(scorer, path, self.options.earlier, self.processes)
        start = kept.begin(k, self.max_k)
        if isinstance(start, Lists):
            return start
        growth, width = start
        return self.compare(k, width, None, keep_tiles, growth=growth, keep=kept.keep)

    def complete(self) -> None:
        """Write options.matrix, if there is one and it is not complete."""
        if self._unwritten is not None:
            with self._complete_matrix(self._unwritten):
                self._unwritten = None

    def compare(
        self,
        k: int,
        width: int,
        penalties: Tensor | None = None,
        keep_tiles: bool = False,
        growth: Growth | None = None,
        keep: Callable[[Lists], None] = lambda lists: None,
    ) -> Lists:
        """Return lists of width entries of each row, the first k or more of them proven.

        Without growth, lists of an earlier collection, all pairs are compared and all entries
        proven. keep is called with the lists before the checkpoint is removed.
        """
        if growth is None and self.plan.readable is not None:
            lists = self._by_matrix(self.plan.readable, width, penalties)
            keep(lists)
            return lists
        centered = self.centered if growth is None else self.centered.in_order(growth.places)
        c = min(width + MARGIN, len(self.rows) - 1)
        candidates = Candidates(self.groups, c, centered, penalties, growth)
        scorer = Scorer(self.rows, self.norms, penalties, self.groups)
        processes, watch = self.processes, self.options.watch
        with self._checkpoint(candidates, penalties) as checkpoint:
            self._propose(centered, candidates, checkpoint, keep_tiles)
            index, score, unproven = refine(
                scorer, self.centered, candidates, width, processes, watch
            )
            lists = Lists(index, score, torch.full((len(index),), width).int(), unproven)
            if growth is not None:
                merged = merge(
                    scorer, self.centered, candidates, growth, k, width, processes, watch
                )
                lists = lists.followed_by(merged).in_order_of(growth.places)
            keep(lists)
        return lists

    def _complete_matrix(self, path: Path) -> AbstractContextManager[NDArray[Any]]:
        """Return the matrix, which is written first unless it is complete."""
        exact = ExactTiles(self.rows, self.norms, self.device)
        record = MatrixRecord(self.features_hash, self.plan.record.block)
        earlier = [folder / path.name for folder in self.options.earlier]
        dtype, watch = self.options.dtype, self.options.watch
        return complete_matrix(path, exact, dtype, record, self.processes, watch, earlier)

    def _by_matrix(self, path: Path, k: int, penalties: Tensor | None) -> Lists:
        """Return the lists of k entries of each row, read from the matrix.

        Raises UserError if it is damaged.
        """
        sums = RowSums(self.rows, self.norms, path)
        with self._complete_matrix(path) as matrix:
            index, score = nearest_stored(
                matrix, sums, self.groups, k, penalties, self.processes, self.options.watch
            )
        count = len(index)
        return Lists(index, score, torch.full((count,), k).int(), torch.zeros(count).bool())

    def _checkpoint(
        self, candidates: Candidates, penalties: Tensor | None
    ) -> AbstractContextManager[Checkpoint | None]:
        """Return the checkpoint of a search; None if options name no folder for it."""
        if self.options.checkpoints is None:
            return nullcontext()
        hashed = [self.groups] if penalties is None else [self.groups, penalties]
        if candidates.parts is not None:
            hashed += [
                candidates.places,
                torch.tensor(candidates.parts),
                candidates.key[:, -1].cpu(),
            ]
        record = replace(self.plan.record, groups=hash_of(*hashed))
        return open_checkpoint(self.options.checkpoints, candidates, record, self.processes)

    def _propose(
        self,
        centered: Centered,
        candidates: Candidates,
        checkpoint: Checkpoint | None,
        keep_tiles: bool,
    ) -> None:
        """Run the fast pass."""
        watch, processes, parts = self.options.watch, self.processes, candidates.parts
        record, save = self.plan.record, None
        if checkpoint is not None:
            record, save = checkpoint.record, checkpoint.save_if_due
        cache = None if parts else self._tile_cache(candidates, record.block, keep_tiles)
        consumers: list[TileConsumer] = [candidates] if cache is None else [candidates, cache]
        for_each_tile(centered, consumers, record.block, watch, processes, cache, save, parts)
        if not keep_tiles:
            self._tiles.clear()

    def _tile_cache(self, candidates: Candidates, block: int, keep: bool) -> TileCache | None:
        """Return the cache of a search; None on a GPU, where computing is faster than copying.

        A resumed search keeps its stored block; tiles of another size cannot be shared.
        """
        if self.device.type != "cpu" or block != self.plan.record.block:
            return None
        max_bytes = free_memory(self.device) // (4 * self.processes.world_size) if keep else 0
        return TileCache(self._tiles, candidates.done, max_bytes)
