"""The matrix of scores as a file: tile by tile, resumable after a crash, reused once complete.

n = images, b = rows of a tile.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.io.files import folder_lock
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import Watch, unwatched
from src.runtime.resume import LOGS, DoneTiles, begin_or_resume, read_record
from src.similarity.digests import Digests, row_digests
from src.similarity.exact_tiles import ExactTiles, blocks
from src.similarity.matrix_assembly import assemble
from src.similarity.matrix_files import (
    PARTIAL,
    MatrixDtype,
    MatrixRecord,
    is_finished,
    part_folder,
    publish,
    reserve,
)
from src.similarity.matrix_growth import GrowthRecord, begin_growth, fill_new_rows
from src.similarity.tile_writer import TileWriter
from src.similarity.tiles import tile_pairs

log = logging.getLogger(__name__)


class _Job(NamedTuple):
    """A matrix that is to be written."""

    path: Path
    exact: ExactTiles
    dtype: MatrixDtype
    record: MatrixRecord
    processes: ProcessGroup
    watch: Watch


@contextmanager
def complete_matrix(
    path: Path,
    exact: ExactTiles,
    dtype: MatrixDtype,
    record: MatrixRecord,
    processes: ProcessGroup = SINGLE_PROCESS,
    watch: Watch = unwatched,
    earlier: Sequence[Path] = (),
) -> Iterator[NDArray[Any]]:
    """Yield the matrix of path, (n, n), written first unless it is complete.

    It is grown from one of the matrices of earlier collections, if there is one of most rows. An
    unfinished matrix is in path.part/ with the record from which the next call resumes; the
    record of a complete one is beside it. The processes share the tiles; watch goes through this
    one's. The folder is locked in the meantime. Raises UserError if the disk is too small, or path
    holds something else.
    """
    n = len(exact)
    with folder_lock(path.parent) if processes.is_rank_zero else nullcontext():
        if not processes.broadcast_from_rank_zero(
            lambda: is_finished(path, n, dtype, record.features)
        ):
            if processes.is_rank_zero and path.exists():
                log.info("similarity: not exact, of an earlier version, so written anew: %s", path)
                path.unlink()
            digests = row_digests(exact.rows) if processes.is_rank_zero else None
            job = _Job(path, exact, dtype, record, processes, watch)
            in_force = record if _grow(job, digests, earlier) else _write(job)
            if digests is not None:
                publish(path, in_force, digests)
        elif processes.is_rank_zero and part_folder(path).is_dir():
            shutil.rmtree(part_folder(path))  # of a process that was killed just before this
        processes.barrier()
        yield np.load(path, mmap_mode="r")
        processes.barrier()


def _grow(job: _Job, digests: Digests | None, earlier: Sequence[Path]) -> bool:
    """Grow the matrix from an earlier one; return whether that was possible.

    digests are those of rank 0.
    """
    path, exact, dtype, record, processes, watch = job

    def begin() -> GrowthRecord | None:
        """Return the record of unfinished growth, or of a new one, if all is not yet begun."""
        if read_record(part_folder(path), record, ("block",)) is not None or digests is None:
            return None
        return begin_growth(path, exact, digests, dtype, record.features, earlier)

    growth = processes.broadcast_from_rank_zero(begin)
    if growth is None:
        return False
    fill_new_rows(part_folder(path), exact, growth, processes, watch)
    return processes.broadcast_from_rank_zero(lambda: assemble(path, exact, growth, watch))


def _write(job: _Job) -> MatrixRecord:
    """Compute and write the tiles that are missing; return the record in force."""
    path, exact, dtype, record, processes, watch = job
    n, folder = len(exact), part_folder(path)
    in_force = processes.broadcast_from_rank_zero(lambda: _begin(path, n, dtype, record))
    pairs = tile_pairs(n, in_force.block)
    finished = DoneTiles(folder, processes)
    missing = [number for number in range(len(pairs)) if number not in finished.done]
    shard = missing[processes.own_slice(len(missing))]
    with TileWriter(folder / PARTIAL, finished) as writer:
        for number in watch(shard, "filling the matrix", len(shard)):
            rows, columns = pairs[number]
            writer.add(number, rows, columns, scores(exact, rows, columns))
            processes.heartbeat()
    processes.heartbeat(finished=True)
    processes.barrier()
    return in_force


def scores(exact: ExactTiles, rows: slice, columns: slice) -> Tensor:
    """Return the scores of rows with columns, (b, b) float32 on the device.

    On the diagonal, where they are the same, each pair is multiplied once.
    """
    height, width = rows.stop - rows.start, columns.stop - columns.start
    tile = torch.empty(height, width, device=exact.device)
    parts = blocks(columns, exact.side)
    for part in blocks(rows, exact.side):
        own = slice(part.start - rows.start, part.stop - rows.start)
        if rows != columns:
            exact.fill(tile[own], part, parts, columns.start)
            continue
        exact.fill(tile[own], part, [at for at in parts if at.start >= part.start], rows.start)
        tile[own.stop :, own] = tile[own, own.stop :].T
    return tile


def _begin(path: Path, n: int, dtype: MatrixDtype, record: MatrixRecord) -> MatrixRecord:
    """Reserve space for a matrix in its folder unless that is done; return the record in force."""
    folder = part_folder(path)
    in_force = begin_or_resume(folder, record, ("block",))
    if not (folder / PARTIAL).exists():
        for stale in folder.glob(LOGS):  # of a matrix file that was deleted
            stale.unlink()
        reserve(folder / PARTIAL, n, dtype)
    return in_force
