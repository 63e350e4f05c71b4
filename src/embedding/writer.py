"""Prediction writer: stores each batch's rows in features.npy, durable across crashes."""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import BasePredictionWriter
from numpy.typing import NDArray
from torch import Tensor

from src.embedding.dataset import Batch, Notes
from src.embedding.row_files import FEATURES, DoneRows
from src.errors import UserError
from src.io.files import open_to_write, pwrite_all
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup

FLUSH_SECONDS = 5.0  # between two flushes: at most as much work is lost in a crash


class RowWriter(BasePredictionWriter):
    """Writes each prediction to its image's row, in whatever order batches arrive."""

    def __init__(self, targets: list[tuple[BinaryIO, int]], done: DoneRows, names: list[str]):
        super().__init__("batch")
        self._targets = targets  # of each layer, an open features.npy and the offset of its row 0
        self._done = done
        self._names = names  # of the gallery's images, for errors
        self._pending = Notes([], [], [])  # since the last flush
        self._flushed = time.monotonic()

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
        """Write each layer's (b, d) to batch.rows. Raises UserError for NaN or infinity."""
        for (file, offset), values in zip(self._targets, prediction, strict=True):
            rows = values.cpu().numpy()
            self._check_finite(rows, batch.rows)
            _write_rows(file, offset, batch.rows, rows)
        # one assignment, so that a signal cannot interrupt between the lists
        self._pending = Notes(
            self._pending.rows + batch.rows,
            self._pending.unreadable + batch.unreadable,
            [*self._pending.damaged, *batch.damaged],
        )
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def on_predict_end(self, *_: object) -> None:
        """Flush, before this process waits for the others."""
        self.flush()

    def flush(self) -> None:
        """Sync the rows written so far to disk, and log them as finished."""
        pending, self._pending = self._pending, Notes([], [], [])
        if pending.rows or pending.unreadable:
            # if this fails, the rows do not count: a second sync may succeed without the data
            for file, _ in self._targets:
                os.fdatasync(file.fileno())
            self._done.append(*pending)
        self._flushed = time.monotonic()

    def _check_finite(self, values: NDArray[np.float32], rows: list[int]) -> None:
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            raise UserError(
                f"the embedding of {self._names[rows[bad[0]]]} holds NaN or infinity: try"
                " trainer.precision=32-true, or another backbone.layer"
            )


def _write_rows(file: BinaryIO, offset: int, rows: list[int], values: NDArray[np.float32]) -> None:
    """Write values (b, d) to rows of file, whose row 0 starts at offset; adjacent rows at once."""
    gaps = [i for i, (a, b) in enumerate(pairwise(rows), 1) if b != a + 1]
    for first, end in pairwise([0, *gaps, len(rows)] if rows else []):
        start = offset + rows[first] * values[0].nbytes
        pwrite_all(file.fileno(), values[first:end].tobytes(), start)


@contextmanager
def open_writer(
    folder: Path, layers: list[str], names: list[str], processes: ProcessGroup = SINGLE_PROCESS
) -> Iterator[RowWriter]:
    """Open folder/<layer>/features.npy of each layer; flush and close them at the end.

    names are those of the gallery's images, by row. Several processes write into the same files.
    """
    with ExitStack() as stack:
        targets: list[tuple[BinaryIO, int]] = []
        for path in [folder / layer / FEATURES for layer in layers]:
            file = stack.enter_context(os.fdopen(open_to_write(path), "r+b"))
            if processes.world_size > 1:
                # a shared lock disables an NFS client's page cache, which would overwrite other
                # ranks' rows with stale data
                fcntl.flock(file, fcntl.LOCK_SH)
            targets.append((file, np.load(path, mmap_mode="r").offset))
        writer = RowWriter(targets, DoneRows(folder, processes.rank), names)
        stack.callback(writer.flush)
        yield writer
