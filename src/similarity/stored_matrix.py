"""Neighbors from a complete matrix of float32, whose entries are the scores.

n = images, k = neighbors kept, b = rows at once.
"""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import Watch, unwatched
from src.similarity.candidates import padded
from src.similarity.numerics import ranking_scores
from src.similarity.parallel import parallel_map
from src.similarity.refinement import best_columns
from src.similarity.row_sums import RowSums

NUMBERS_AT_ONCE = 2**20  # read by a thread
RUN_LENGTH = 32  # what the maxima of runs rule out need not be sorted


def nearest_stored(
    matrix: NDArray[Any],
    sums: RowSums,
    groups: Tensor,
    k: int,
    penalty: Tensor | None = None,
    processes: ProcessGroup = SINGLE_PROCESS,
    watch: Watch = unwatched,
) -> tuple[Tensor, Tensor]:
    """Return index (n, k) int32 and score (n, k) float32 of the nearest by matrix (n, n).

    groups (n,) and penalty (n,) float64 are those of a search. The processes share the rows; watch
    goes through parts of this one's. Raises UserError if rows do not have their sums.
    """
    n = len(matrix)
    shard = processes.own_slice(n)
    index = torch.empty(shard.stop - shard.start, k, dtype=torch.int32)
    score = torch.empty(shard.stop - shard.start, k)

    def read(part: slice) -> None:
        """Fill the neighbors of these rows of the shard."""
        rows = slice(shard.start + part.start, shard.start + part.stop)
        scores = torch.from_numpy(matrix[rows].copy())  # (b, n)
        sums.check(rows, scores)
        ranked = ranking_scores(scores, penalty)
        index[part] = _best(ranked.masked_fill(groups[rows, None] == groups, -torch.inf), k)
        score[part] = scores.gather(1, index[part].long())

    step = max(1, NUMBERS_AT_ONCE // n)
    parallel_map(read, len(index), step, watch, "reading the matrix")
    return processes.all_gather_rows(index, n), processes.all_gather_rows(score, n)


def _best(ranked: Tensor, k: int) -> Tensor:
    """Return the columns (b, k) of the k largest of (b, n), ties by ascending column."""
    runs = ranked.shape[1] // RUN_LENGTH
    # k entries at least are not below the k-th largest maximum
    maxima = ranked[:, : runs * RUN_LENGTH].unflatten(1, (runs, RUN_LENGTH)).amax(2)
    floor = (maxima if runs >= k else ranked).topk(k, dim=1).values[:, -1:]
    row, column = (ranked >= floor).nonzero(as_tuple=True)
    key, index = padded(row, column, ranked[row, column], len(ranked))
    return index.gather(1, best_columns(key, index, k))
