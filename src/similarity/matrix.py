"""The whole matrix as a file: written tile by tile, gone on with after a kill, read where finished.

n = images, b = rows of a block.
"""

import json
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.errors import UserError
from src.io.files import atomic_write, create_npy, folder_lock, format_bytes, pwrite_all
from src.runtime.processes import ProcessGroup
from src.runtime.resume import LOGS, RECORD, DoneTiles, begin
from src.similarity.centering import Centered
from src.similarity.checkpoint import OWN, SearchRecord
from src.similarity.tiles import tile_pairs

AHEAD = 3  # tiles that wait to be written while the next is computed
SYNC_SECONDS = 10.0  # between two moments at which the disk is known to have what was written
# A stored value is rounded when m.m is added and once more when it is taken away; for float16 the
# largest step of its grid below 1 is 2^-11.
ROUNDING = {"float32": 2.0**-22, "float16": 2.0**-12 + 2.0**-22}


class Matrix:
    """An (n, n) array in a file that takes tiles with their mirror images, and gives them back."""

    def __init__(self, path: Path, centered: Centered, record: SearchRecord, log: DoneTiles | None):
        self.array: NDArray[Any] = np.load(path, mmap_mode="r")
        self.record, self.log = record, log
        tiles = len(tile_pairs(len(self.array), record.block))
        self.done = set(range(tiles)) if log is None else log.done
        self.readable = frozenset(self.done)  # in this call
        self.rounding = ROUNDING[str(self.array.dtype)]
        self._offset = centered.offset
        self._zero = centered.zero if centered.zero.any() else None
        self._file = os.open(path, os.O_RDONLY if log is None else os.O_RDWR)
        self._start = path.stat().st_size - self.array.nbytes
        self._writer, self._syncer = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()
        self._written: list[int] = []  # and not yet known to be on the disk
        self._syncing, self._synced = self._syncer.submit(lambda: None), time.monotonic()

    def read(self, rows: slice, columns: slice) -> Tensor:
        """(b, b) float32 cosines."""
        return torch.from_numpy(self.array[rows, columns].astype(np.float32))

    def add(self, number: int, rows: slice, columns: slice, tile: Tensor) -> None:
        """Write a tile twice; on the diagonal, its upper triangle. The disk is not waited for."""
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
        while len(self._waiting) >= AHEAD:
            self._waiting.popleft().result()
        self._waiting.append(self._writer.submit(self._write, number, pieces))

    def _write(self, number: int, pieces: list[tuple[slice, slice, Tensor, Any]]) -> None:
        size, n = self.array.itemsize, len(self.array)
        for rows, columns, values, arrived in pieces:
            if arrived is not None:
                arrived.synchronize()
            place = self._start + (rows.start * n + columns.start) * size
            for row, line in enumerate(values.numpy()):
                pwrite_all(self._file, line.view(np.uint8).data, place + row * n * size)
        self._written.append(number)
        if self._syncing.done() and time.monotonic() - self._synced > SYNC_SECONDS:
            self._syncing.result()
            self._syncing = self._syncer.submit(self._sync, self._written)
            self._written, self._synced = [], time.monotonic()

    def _sync(self, written: list[int]) -> None:
        """Tiles count as finished when the disk has them."""
        os.fdatasync(self._file)
        assert self.log is not None
        self.log.append(written)

    def close(self, failed: bool) -> None:
        """Finish what waits, or after an error just what is being written."""
        self._writer.shutdown(cancel_futures=failed)
        self._syncer.shutdown()
        try:
            if not failed:
                for future in [*self._waiting, self._syncing]:
                    future.result()
            # after a sync that failed the next may say nothing, though what was written is lost
            if self._written and not self._syncing.exception():
                self._sync(self._written)
        finally:
            os.close(self._file)


def _on_host(values: Tensor) -> tuple[Tensor, "torch.cuda.Event | None"]:
    """The values in memory of the host, and the event after which they are there."""
    if not values.is_cuda:
        return values, None
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    return host, torch.cuda.current_stream(values.device).record_event()


@contextmanager
def matrix_file(
    path: Path, centered: Centered, dtype: str, wanted: SearchRecord, processes: ProcessGroup
) -> Iterator[Matrix]:
    """The matrix at path: a finished one to read, or one that appears there once all is written.

    Until then it lies in path.part/, with a record from which the next call goes on; the record of
    a finished one lies beside it. Raises UserError when the disk is too small, or path holds
    something else.
    """
    wanted = replace(wanted, groups="")  # left out of neighbors, never of the matrix
    n, folder = len(centered.rows), path.with_name(path.name + ".part")
    with folder_lock(path.parent) if processes.is_rank_zero else nullcontext():
        there = processes.broadcast_from_rank_zero(lambda: is_finished(path, n, dtype, wanted))
        record = (
            wanted
            if there
            else processes.broadcast_from_rank_zero(lambda: _begin(folder, n, dtype, wanted))
        )
        place = path if there else folder / "matrix.npy"
        matrix = Matrix(place, centered, record, None if there else DoneTiles(folder, processes))
        failed = True
        try:
            yield matrix
            failed = False
        finally:
            matrix.close(failed)
        processes.barrier()
        if not there and processes.is_rank_zero:
            # a copy: one that is killed before the matrix has its place goes on from the folder
            with atomic_write(path.with_suffix(".json")) as part:
                shutil.copy(folder / RECORD, part)
            os.replace(place, path)
        if (
            processes.is_rank_zero and folder.is_dir()
        ):  # or left by one that was killed just before this
            shutil.rmtree(folder)
        processes.barrier()


def _begin(folder: Path, n: int, dtype: str, wanted: SearchRecord) -> SearchRecord:
    record = begin(folder, wanted, OWN)
    if not (folder / "matrix.npy").exists():
        for log in folder.glob(LOGS):  # of one that somebody has deleted
            log.unlink()
        item = np.dtype(dtype).itemsize
        hint = f"similarity.dtype=float16 needs {format_bytes(2 * n * n)}, " if item == 4 else ""
        new = folder / "matrix.npy.new"
        with new.open("w+b") as file:
            advice = f"{hint}similarity=topk next to nothing; or put outputs= on another disk"
            create_npy(file, (n, n), dtype, advice)
        new.rename(folder / "matrix.npy")
    return record


def is_finished(path: Path, n: int, dtype: str, wanted: SearchRecord) -> bool:
    """Whether the matrix is there. Raises UserError where something else is."""
    if not path.exists():
        return False
    try:
        array = np.load(path, mmap_mode="r")
        right = (array.shape, str(array.dtype)) == ((n, n), dtype)
    except ValueError:
        right = False
    if not right:
        raise UserError(f"{path} is no ({n}, {n}) matrix of {dtype}: delete it")
    record = path.with_suffix(".json")
    if not record.is_file() or json.loads(record.read_text())["features"] != wanted.features:
        raise UserError(f"{path} is not known to be of these features ({record}): delete it")
    return True
