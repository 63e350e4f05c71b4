"""Writes tiles of a matrix and their transposes to its file, without waiting for the disk."""

import logging
import os
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from src.io.files import open_to_write, pwrite_all
from src.runtime.resume import DoneTiles

log = logging.getLogger(__name__)

QUEUED_TILES = 3  # tiles that wait to be written while the next is computed
SYNC_SECONDS = 10.0  # between two syncs of written tiles to disk


class TileWriter:
    """Writes tiles to an existing (n, n) .npy inside a with block.

    Args:
        path: the .npy.
        finished: the log of the tiles that are on disk.
    """

    def __init__(self, path: Path, finished: DoneTiles):
        array = np.load(path, mmap_mode="r")
        self.dtype, self.n = array.dtype, len(array)
        self.finished = finished
        self._file = open_to_write(path)
        self._data_start = path.stat().st_size - array.nbytes  # bytes of the header
        self._writer, self._syncer = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._queue: deque[Future[None]] = deque()
        self._unsynced: list[int] = []  # tiles written, but perhaps not on disk yet
        self._syncing, self._last_sync = self._syncer.submit(lambda: None), time.monotonic()

    def __enter__(self) -> "TileWriter":
        """Return the writer."""
        return self

    def add(self, number: int, rows: slice, columns: slice, tile: Tensor) -> None:
        """Queue a tile (b, b), which is not to be changed afterwards, and its transpose."""
        tile = tile.to(getattr(torch, str(self.dtype)))
        pieces = [(rows, columns, *_on_host(tile))]
        if rows != columns:
            pieces.append((columns, rows, *_on_host(tile.T.contiguous())))
        while len(self._queue) >= QUEUED_TILES:
            self._queue.popleft().result()
        self._queue.append(self._writer.submit(self._write, number, pieces))

    def _write(self, number: int, pieces: list[tuple[slice, slice, Tensor, Any]]) -> None:
        size, n = self.dtype.itemsize, self.n
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
        self.finished.append(written)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is queued, or after an error only finish the tile being written."""
        failed = kind is not None
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
