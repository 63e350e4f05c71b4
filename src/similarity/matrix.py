"""The matrix of cosines as a file: tile by tile, resumable after a crash, reused once complete.

n = images, b = rows of a block.
"""

import logging
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich import filesize
from torch import Tensor

from src.errors import UserError
from src.io.bounded import read_json
from src.io.files import atomic_write, create_npy, folder_lock, open_to_write, pwrite_all
from src.runtime.processes import ProcessGroup
from src.runtime.resume import LOGS, RECORD, DoneTiles, begin_or_resume
from src.similarity.centering import Centered
from src.similarity.record import FREE_TO_DIFFER, SearchRecord
from src.similarity.tiles import tile_pairs

log = logging.getLogger(__name__)

MatrixDtype = Literal["float32", "float16"]
QUEUED_TILES = 3  # tiles that wait to be written while the next is computed
SYNC_SECONDS = 10.0  # between two syncs of written tiles to disk
# A stored value is rounded when m.m is added and once more when it is subtracted; for float16 the
# largest step of its grid below 1 is 2^-11.
ROUNDING = {"float32": 2.0**-22, "float16": 2.0**-12 + 2.0**-22}


class Matrix:
    """An open (n, n) file; tiles are written to it with their transposes, or read from it.

    Args:
        path: an existing .npy.
        centered: the rows whose cosines it holds.
        record: its block is the size of the tiles.
        log: of the finished tiles; None for a complete matrix, which is only read.
    """

    def __init__(self, path: Path, centered: Centered, record: SearchRecord, log: DoneTiles | None):
        self.array: NDArray[Any] = np.load(path, mmap_mode="r")  # (n, n)
        self.record, self.log = record, log
        tiles = len(tile_pairs(len(self.array), record.block))
        self.done = set(range(tiles)) if log is None else log.done
        self.readable = frozenset(self.done)  # tiles that were there when it was opened
        self.rounding = ROUNDING[str(self.array.dtype)]  # largest error of a stored cosine
        self._offset = centered.offset
        self._zero = centered.zero if centered.zero.any() else None  # (n,) rows of zeros
        self._file = os.open(path, os.O_RDONLY) if log is None else open_to_write(path)
        self._data_start = path.stat().st_size - self.array.nbytes  # bytes of the header
        self._writer, self._syncer = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._queue: deque[Future[None]] = deque()
        self._unsynced: list[int] = []  # tiles written, but perhaps not on disk yet
        self._syncing, self._last_sync = self._syncer.submit(lambda: None), time.monotonic()

    def read(self, number: int, rows: slice, columns: slice) -> Tensor:
        """Return the stored cosines of rows with columns minus m.m, (b, b) float32."""
        return torch.from_numpy(self.array[rows, columns].astype(np.float32)) - self._offset

    def add(self, number: int, rows: slice, columns: slice, tile: Tensor) -> None:
        """Queue a tile and its transpose for writing, without waiting for the disk.

        On the diagonal the upper triangle is mirrored.
        """
        cosine = (tile + self._offset).clamp_(-1, 1)
        if rows == columns:
            cosine = cosine.triu(1) + cosine.triu(1).T
            cosine.fill_diagonal_(1)
        if self._zero is not None:
            cosine[self._zero[rows]] = 0
            cosine[:, self._zero[columns]] = 0
        cosine = cosine.to(getattr(torch, str(self.array.dtype)))
        pieces = [(rows, columns, *_on_host(cosine))]
        if rows != columns:
            pieces.append((columns, rows, *_on_host(cosine.T.contiguous())))
        while len(self._queue) >= QUEUED_TILES:
            self._queue.popleft().result()
        self._queue.append(self._writer.submit(self._write, number, pieces))

    def _write(self, number: int, pieces: list[tuple[slice, slice, Tensor, Any]]) -> None:
        size, n = self.array.itemsize, len(self.array)
        for rows, columns, values, copy_event in pieces:
            if copy_event is not None:
                copy_event.synchronize()
            position = self._data_start + (rows.start * n + columns.start) * size
            for row, line in enumerate(values.numpy()):
                pwrite_all(self._file, line.view(np.uint8).data, position + row * n * size)
        self._unsynced.append(number)
        if self._syncing.done() and time.monotonic() - self._last_sync > SYNC_SECONDS:
            self._syncing.result()
            self._syncing = self._syncer.submit(self._sync, self._unsynced)
            self._unsynced, self._last_sync = [], time.monotonic()

    def _sync(self, written: list[int]) -> None:
        """Log tiles as finished once they are on disk."""
        os.fdatasync(self._file)
        assert self.log is not None
        self.log.append(written)

    def close(self, failed: bool) -> None:
        """Write what is queued, or after an error only finish the tile being written."""
        self._writer.shutdown(cancel_futures=failed)
        self._syncer.shutdown()
        try:
            if not failed:
                for future in [*self._queue, self._syncing]:
                    future.result()
            # after a failed sync the next one may succeed although data was lost
            if self._unsynced and not self._syncing.exception():
                log.info("similarity: waiting until the disk has the last tiles of the matrix")
                self._sync(self._unsynced)
        finally:
            os.close(self._file)


def _on_host(values: Tensor) -> tuple[Tensor, "torch.cuda.Event | None"]:
    """Return values in host memory, and the event after which they have arrived there."""
    if not values.is_cuda:
        return values, None
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    return host, torch.cuda.current_stream(values.device).record_event()


@contextmanager
def matrix_file(
    path: Path,
    centered: Centered,
    dtype: MatrixDtype,
    record: SearchRecord,
    processes: ProcessGroup,
) -> Iterator[Matrix]:
    """Yield the matrix of path: a complete one to read, or one to write that is moved there.

    An unfinished matrix is in path.part/ with the record from which the next call resumes; the
    record of a complete one is beside it. Raises UserError if the disk is too small, or path holds
    something else.
    """
    record = replace(record, groups="")  # exclusion acts on neighbors, never on the matrix
    folder = path.with_name(path.name + ".part")

    def open_or_begin() -> tuple[bool, SearchRecord]:
        """Return whether the matrix is complete, and the record in force."""
        n = len(centered.rows)
        complete = is_finished(path, n, dtype, record)
        return complete, record if complete else _begin(folder, n, dtype, record)

    with folder_lock(path.parent) if processes.is_rank_zero else nullcontext():
        complete, record_in_force = processes.broadcast_from_rank_zero(open_or_begin)
        log = None if complete else DoneTiles(folder, processes)
        file = path if complete else folder / "matrix.npy"
        matrix, failed = Matrix(file, centered, record_in_force, log), True
        try:
            yield matrix
            failed = False
        finally:
            matrix.close(failed)
        processes.barrier()
        if processes.is_rank_zero:
            _publish(path, folder, complete)
        processes.barrier()


def _publish(path: Path, folder: Path, complete: bool) -> None:
    """Move a matrix that was just completed to its path, and remove its .part folder."""
    if not complete:
        # copied, not moved: if killed before the matrix is moved, the next call needs the record
        with atomic_write(path.with_suffix(".json")) as part:
            shutil.copy(folder / RECORD, part)
        os.replace(folder / "matrix.npy", path)
    if folder.is_dir():  # also one whose process was killed just before this
        shutil.rmtree(folder)


def _begin(folder: Path, n: int, dtype: MatrixDtype, record: SearchRecord) -> SearchRecord:
    """Reserve space for a matrix in folder unless that is done; return the record in force."""
    in_force = begin_or_resume(folder, record, FREE_TO_DIFFER)
    if not (folder / "matrix.npy").exists():
        for stale in folder.glob(LOGS):  # of a matrix file that was deleted
            stale.unlink()
        hint = f"similarity.dtype=float16 needs {filesize.decimal(2 * n * n)}, "
        advice = "similarity=topk almost none; or put outputs= on another disk"
        new = folder / "matrix.npy.new"
        size = filesize.decimal(n * n * np.dtype(dtype).itemsize)
        log.info("similarity: reserving %s for the matrix in %s", size, folder)
        new.unlink(missing_ok=True)  # of a process that was killed while it reserved space
        with new.open("x+b") as file:
            create_npy(file, (n, n), dtype, hint + advice if dtype == "float32" else advice)
        new.rename(folder / "matrix.npy")
    return in_force


def is_finished(path: Path, n: int, dtype: MatrixDtype, record: SearchRecord) -> bool:
    """Return whether path is the complete matrix. Raises UserError if it is something else."""
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
    if not isinstance(stored, dict) or stored.get("features") != record.features:
        raise UserError(f"{path} is not of these features according to {record_path}: delete it")
    return True
