"""Memory that the main process shares with the processes that it forks to decode images.

It is anonymous: unlike torch's shared tensors it needs no room in /dev/shm, which is small in
containers, no Unix socket in TMPDIR, whose path may be too long, and no open file per batch.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from torch.utils.data import get_worker_info


def shared_array(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return zeros that this process and the processes that it forks later share."""
    memory = mmap(-1, prod(shape) * np.dtype(dtype).itemsize)
    return np.frombuffer(memory, dtype).reshape(shape)


def _worker() -> int:
    """Return the number of this worker process, 0 in the main process."""
    info = get_worker_info()
    return info.id if info else 0


class Activity:
    """Which image each process decodes, and how many it has finished."""

    def __init__(self, workers: int = 0) -> None:
        # of each process its id, 1 + row of the gallery or 0, and the number of finished images
        self._records = shared_array((max(1, workers), 3), np.int64)

    @contextmanager
    def decoding(self, row: int) -> Iterator[None]:
        """Record that this process decodes a row of the gallery."""
        record = self._records[_worker()]
        record[:2] = os.getpid(), row + 1
        yield
        record[1:] = 0, record[2] + 1

    def finished(self) -> int:
        """Return how many images all processes together have finished."""
        return int(self._records[:, 2].sum())

    def rows(self, pid: int | None = None) -> list[int]:
        """Return the rows that are being decoded, by all processes or by one."""
        records = self._records[self._records[:, 1] > 0]
        return [row - 1 for process, row, _ in records.tolist() if pid in (None, process)]


class BatchMemory:
    """The pixels of the batches that worker processes have decoded and that are not used yet."""

    # DataLoader asks a worker for two batches more than have been taken; one is in use, and one
    # may be held by whoever fetches ahead
    SLOTS = 4

    def __init__(self, workers: int, batch_size: int, size: int) -> None:
        self._pixels = shared_array((workers, self.SLOTS, batch_size, size, size, 3), np.uint8)
        self._next = 0  # of this worker

    def store(self, images: list[NDArray[np.uint8]]) -> tuple[int, int, int]:
        """Copy images, decoded by this worker, into its next slot; return the key for load."""
        worker, slot, count = _worker(), self._next % self.SLOTS, len(images)
        self._next += 1
        for target, image in zip(self._pixels[worker, slot], images, strict=False):
            target[:] = image
        return worker, slot, count

    def load(self, key: tuple[int, int, int]) -> NDArray[np.uint8]:
        """Return the stored images: (b, size, size, 3), valid until the worker's slot is reused."""
        worker, slot, count = key
        return self._pixels[worker, slot, :count]
