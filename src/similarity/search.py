"""Cosine similarity of every image with every other: exact neighbors, and the whole matrix.

A fast pass multiplies the rows tile by tile in float32, each pair once, and only proposes
candidates; a bound on its rounding error proves that none is missing; the candidates are scored
again in float64. So the answer never depends on block size, device, threads or storage.

n = images, d = width of a row, k = neighbors kept, c = candidates of a row, b = rows of a block.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from src.runtime.memory import block_rows
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.similarity.candidates import Candidates
from src.similarity.centering import Centered, center
from src.similarity.checkpoint import Checkpoint, SearchRecord
from src.similarity.matrix import matrix_file
from src.similarity.numerics import Precision, checked, threads
from src.similarity.plan import (
    choose_device,
    choose_precision,
    finite_error,
    group_ids,
    search_record,
    usable_matrix,
)
from src.similarity.refinement import refine
from src.similarity.tiles import TileConsumer, Watch, for_each_tile

MARGIN = 16  # candidates kept beyond k: the more, the fewer rows have to be searched again


@dataclass(frozen=True)
class Neighbors:
    """Each image's k best others, best first: by score, or less a penalty; equal ones by row."""

    index: NDArray[np.int32]  # (n, k)
    score: NDArray[np.float32]  # (n, k)
    fallback_share: float  # share of rows that the fast pass left open and that were searched again


def top_k(
    features: ArrayLike | Tensor,
    k: int = 10,
    *,
    block_size: int | None = None,
    device: str = "auto",
    precision: Literal["auto"] | Precision = "auto",
    groups: ArrayLike | None = None,
    penalty: ArrayLike | Tensor | None = None,
    matrix: Path | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    watch: Watch = iter,
    processes: ProcessGroup = SINGLE_PROCESS,
    resume: Path | None = None,
) -> Neighbors:
    """Each row's k nearest others by cosine; a row itself is left out by its place, never by rank.

    The score is float32(float64 dot / float64 norms) of the rows given, 0 where one is zero; order
    is by score descending, then row ascending; with a penalty (n,), by float32(score - that of the
    neighbor). Rows of one group (n,) are no neighbors of each other. With matrix, the same pass
    writes the (n, n) cosines there, as write_matrix does, or takes candidates from one that is
    there. precision is that of the fast pass; it changes no result. Several processes (world) share
    out the tiles, and all get the result. A call that was killed is gone on with from resume.
    Raises ValueError for features or a penalty that are not finite, or for k out of range.
    """
    rows = checked(features)
    group = group_ids(groups, len(rows), k)
    where = choose_device(device)
    # one for all: candidates of one process are settled by the bound of another
    centered = center(
        rows,
        where,
        processes.broadcast_from_rank_zero(lambda: choose_precision(precision, where, matrix)),
    )
    found = Candidates(
        group, min(k + MARGIN, len(rows) - 1), centered, finite_error(penalty, len(rows))
    )
    size = block_rows(centered.rows.shape[1], where) if block_size is None else block_size
    wanted = search_record(rows, found, centered, size)
    matrix = processes.broadcast_from_rank_zero(
        lambda: usable_matrix(matrix, rows, dtype, wanted, where)
    )
    kept = None if matrix or resume is None else Checkpoint(resume, found, wanted, processes)
    slack = _propose(centered, found, wanted, matrix, dtype, kept, watch, processes)
    index, score, fallback_share = refine(rows, centered, found, k, slack, processes)
    if kept is not None:
        kept.remove()
    return Neighbors(index.numpy(), score.numpy(), fallback_share)


def _propose(
    centered: Centered,
    found: Candidates,
    wanted: SearchRecord,
    matrix: Path | None,
    dtype: Literal["float32", "float16"],
    kept: Checkpoint | None,
    watch: Watch,
    processes: ProcessGroup,
) -> float:
    """Every tile once, for the candidates and the matrix; what the matrix's rounding admits."""
    with ExitStack() as files:
        sinks: list[TileConsumer] = [found]
        record, stored = wanted if kept is None else kept.record, None
        if matrix is not None:
            stored = files.enter_context(matrix_file(matrix, centered, dtype, wanted, processes))
            sinks.append(stored)
            record = stored.record
            files.enter_context(threads(record.threads))
        size = processes.broadcast_from_rank_zero(lambda: record.block)
        between = (lambda: None) if kept is None else kept.tick
        for_each_tile(centered, sinks, size, watch, processes, stored, between)
    return stored.rounding if stored is not None and stored.readable else 0.0


def write_matrix(
    features: ArrayLike | Tensor,
    path: str | Path,
    dtype: Literal["float32", "float16"] = "float32",
    block_size: int | None = None,
    device: str = "auto",
) -> None:
    """The (n, n) cosines as a .npy: symmetric to the bit, 1 on the diagonal, 0 for a zero row.

    A matrix that is already there is left alone. Raises UserError when the disk is too small.
    """
    rows = checked(features)
    centered = center(rows, choose_device(device))
    size = block_rows(centered.rows.shape[1], centered.device) if block_size is None else block_size
    wanted = search_record(rows, None, centered, size)
    with (
        matrix_file(Path(path), centered, dtype, wanted, SINGLE_PROCESS) as sink,
        threads(sink.record.threads),
    ):
        for_each_tile(centered, [sink], sink.record.block)
