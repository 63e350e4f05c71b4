"""The rows of features.npy, written as the predict loop brings them, and kept however it ends."""

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import BasePredictionWriter
from numpy.typing import NDArray
from torch import Tensor

from src.embedding.dataset import Batch
from src.embedding.unfinished import FEATURES, DoneRows
from src.errors import UserError
from src.io.files import pwrite_all
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import progress

FLUSH_SECONDS = 5.0  # between two flushes: as much work is lost at most


class RowWriter(BasePredictionWriter):
    """Writes each prediction to its image's row, in whatever order batches arrive.

    folder holds a features.npy for each layer; several processes write their own rows into it.
    """

    def __init__(
        self,
        folder: Path,
        layers: list[str],
        files: list[str],
        todo: int,
        processes: ProcessGroup = SINGLE_PROCESS,
    ):
        super().__init__("batch")
        self.paths = [folder / layer / FEATURES for layer in layers]
        self.finished = DoneRows(folder, processes.rank)
        self.files, self.todo, self.processes = files, todo, processes
        self.waited = 0.0  # seconds
        self._done: tuple[list[int], list[tuple[int, str]]] = ([], [])

    def __enter__(self) -> "RowWriter":
        self._starts = [np.load(path, mmap_mode="r").offset for path in self.paths]
        self._files: list[BinaryIO] = [path.open("r+b") for path in self.paths]
        for file in self._files if self.processes.size > 1 else []:
            # without, an NFS client writes whole pages, with what it takes for others' rows
            fcntl.flock(file, fcntl.LOCK_SH)
        self._before = signal.getsignal(signal.SIGTERM)
        self._bar = progress(
            None, "embedding", self.todo, " images", shown=self.processes.is_rank_zero
        )
        self._flushed = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)
        self._flush()
        for file in self._files:
            file.close()

    def on_predict_start(self, *_: object) -> None:
        """SIGTERM ends the run: Lightning has just made it a request that only training hears."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

    def on_predict_epoch_start(self, *_: object) -> None:
        """From here on the network waits for data."""
        self._idle_since = time.perf_counter()

    def on_predict_batch_start(self, *_: object) -> None:
        """The network waited for this batch since the last one was written."""
        self.waited += time.perf_counter() - self._idle_since

    def write_on_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        prediction: list[Tensor],
        batch_indices: Sequence[int] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Put each layer's (b, d) at the rows that the batch names. Raises UserError for NaN."""
        for file, start, values in zip(self._files, self._starts, prediction, strict=True):
            self._put(file, start, batch.rows, values.cpu().numpy())
        # in one step, whatever signal comes
        self._done = (self._done[0] + batch.rows, self._done[1] + batch.unreadable)
        self._bar.update(len(batch.rows) + len(batch.unreadable))
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush()
        self.processes.heartbeat()
        self._idle_since = time.perf_counter()

    def _put(
        self, file: BinaryIO, start: int, rows: list[int], values: NDArray[np.float32]
    ) -> None:
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            raise UserError(
                f"the embedding of {self.files[rows[bad[0]]]} holds NaN or infinity: try"
                " trainer.precision=32-true, or another backbone.layer"
            )
        gaps = [i for i, (a, b) in enumerate(pairwise(rows), 1) if b != a + 1]
        for first, end in pairwise([0, *gaps, len(rows)]):
            at = start + rows[first] * values[0].nbytes if rows else start
            pwrite_all(file.fileno(), values[first:end].tobytes(), at)

    def _flush(self) -> None:
        """What is written so far need not be done again."""
        (rows, unreadable), self._done = self._done, ([], [])
        if rows or unreadable:
            # where that fails, these rows do not count: a second sync may say nothing
            for file in self._files:
                os.fdatasync(file.fileno())
            self.finished.add(rows, unreadable)
        self._flushed = time.monotonic()

    def on_predict_end(self, *_: object) -> None:
        """The others may have batches left."""
        self._flush()
        self.processes.heartbeat(finished=True)
