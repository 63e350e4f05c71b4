"""The matrix of scores as a file: tile by tile, resumable after a crash, reused once complete.

n = images, b = rows of a tile.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich import filesize
from torch import Tensor

from src.errors import UserError
from src.io.bounded import read_json
from src.io.files import atomic_write, create_npy, folder_lock
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import Watch, unwatched
from src.runtime.resume import LOGS, RECORD, DoneTiles, begin_or_resume
from src.similarity.exact_tiles import ExactTiles, blocks
from src.similarity.tile_writer import TileWriter
from src.similarity.tiles import tile_pairs

log = logging.getLogger(__name__)

MatrixDtype = Literal["float32", "float16"]
VERSION = 1  # of what entries are; the matrix of an earlier program, of rounded products, has none


@dataclass(frozen=True)
class MatrixRecord:
    """What the entries are. Stored as JSON under these names."""

    features: str  # hash of the rows
    block: int  # rows of a tile, by which finished tiles are numbered
    version: int = VERSION


@contextmanager
def complete_matrix(
    path: Path,
    exact: ExactTiles,
    dtype: MatrixDtype,
    record: MatrixRecord,
    processes: ProcessGroup = SINGLE_PROCESS,
    watch: Watch = unwatched,
) -> Iterator[NDArray[Any]]:
    """Yield the matrix of path, (n, n), written first unless it is complete.

    An unfinished matrix is in path.part/ with the record from which the next call resumes; the
    record of a complete one is beside it. The processes share the tiles; watch goes through this
    one's. The folder is locked in the meantime. Raises UserError if the disk is too small, or path
    holds something else.
    """
    folder = part_folder(path)

    def begin() -> MatrixRecord | None:
        """Return the record in force, None if the matrix is complete."""
        n = len(exact)
        finished = is_finished(path, n, dtype, record.features)
        return None if finished else _begin(path, n, dtype, record)

    with folder_lock(path.parent) if processes.is_rank_zero else nullcontext():
        in_force = processes.broadcast_from_rank_zero(begin)
        if in_force is not None:
            _fill(folder, exact, in_force.block, processes, watch)
            processes.barrier()
        if processes.is_rank_zero:
            publish(path, in_force is None)
        processes.barrier()
        yield np.load(path, mmap_mode="r")
        processes.barrier()


def _fill(
    folder: Path, exact: ExactTiles, block: int, processes: ProcessGroup, watch: Watch
) -> None:
    """Compute and write this process's share of the tiles that are missing."""
    pairs = tile_pairs(len(exact), block)
    finished = DoneTiles(folder, processes)
    missing = [number for number in range(len(pairs)) if number not in finished.done]
    shard = missing[processes.own_slice(len(missing))]
    with TileWriter(folder / "matrix.npy", finished) as writer:
        for number in watch(shard, "filling the matrix", len(shard)):
            rows, columns = pairs[number]
            writer.add(number, rows, columns, scores(exact, rows, columns))
            processes.heartbeat()
    processes.heartbeat(finished=True)


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


def part_folder(path: Path) -> Path:
    """Return the folder of an unfinished matrix."""
    return path.with_name(path.name + ".part")


def publish(path: Path, complete: bool = False) -> None:
    """Move a matrix that was just completed to its path, and remove its .part folder."""
    folder = part_folder(path)
    if not complete:
        # copied, not moved: if killed before the matrix is moved, the next call needs the record
        with atomic_write(path.with_suffix(".json")) as part:
            shutil.copy(folder / RECORD, part)
        os.replace(folder / "matrix.npy", path)
    if folder.is_dir():  # also one whose process was killed just before this
        shutil.rmtree(folder)


def _begin(path: Path, n: int, dtype: MatrixDtype, record: MatrixRecord) -> MatrixRecord:
    """Reserve space for a matrix in its folder unless that is done; return the record in force."""
    if path.exists():
        log.info("similarity: not exact, of an earlier version, so written anew: %s", path)
        path.unlink()
    folder = part_folder(path)
    in_force = begin_or_resume(folder, record, ("block",))
    if not (folder / "matrix.npy").exists():
        for stale in folder.glob(LOGS):  # of a matrix file that was deleted
            stale.unlink()
        reserve(folder / "matrix.npy", n, dtype)
    return in_force


def reserve(path: Path, n: int, dtype: MatrixDtype) -> None:
    """Reserve the space of an (n, n) .npy at path. Raises UserError if the disk is too small."""
    hint = f"similarity.dtype=float16 needs {filesize.decimal(2 * n * n)}, "
    advice = "similarity=topk almost none; or put outputs= on another disk"
    new = path.with_name(path.name + ".new")
    size = filesize.decimal(n * n * np.dtype(dtype).itemsize)
    log.info("similarity: reserving %s for the matrix in %s", size, path.parent)
    new.unlink(missing_ok=True)  # of a process that was killed while it reserved space
    with new.open("x+b") as file:
        create_npy(file, (n, n), dtype, hint + advice if dtype == "float32" else advice)
    new.rename(path)


def is_finished(path: Path, n: int, dtype: MatrixDtype, features: str) -> bool:
    """Return whether path is the complete matrix of the rows with this hash.

    One of an earlier version is not. Raises UserError if path is something else.
    """
    if not path.exists():
        return False
    try:
        array = np.load(path, mmap_mode="r")
        matches = (array.shape, str(array.dtype)) == ((n, n), dtype)
    except (ValueError, EOFError, AttributeError):  # the last: it is a zip file of arrays
        matches = False
    if not matches:
        raise UserError(f"{path} is not a ({n}, {n}) matrix of {dtype}: delete it")
    record_path = path.with_suffix(".json")
    stored = read_json(record_path) if record_path.is_file() else None
    if not isinstance(stored, dict) or stored.get("features") != features:
        raise UserError(f"{path} is not of these features according to {record_path}: delete it")
    return stored.get("version") == VERSION
