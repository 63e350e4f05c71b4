"""Prediction writer: stores each batch's rows in features.npy, durable across crashes."""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

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


class OpenRows(NamedTuple):
    """The open files of a folder of unfinished rows."""

    targets: list[tuple[BinaryIO, int]]  # of each layer, its features.npy and the offset of row 0
    log: DoneRows
    before: frozenset[int]  # rows that were done before, and are not written again


class RowWriter(BasePredictionWriter):
    """Writes each prediction to its image's row, in whatever order batches arrive."""

    def __init__(self, folders: list[OpenRows], names: list[str]):
        super().__init__("batch")
        self._folders = folders
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
        """Write each output's (b, d) to batch.rows. Raises UserError for NaN or infinity."""
        targets = [(each, target) for each in self._folders for target in each.targets]
        for (each, (file, offset)), values in zip(targets, prediction, strict=True):
            rows = values.cpu().numpy()
            self._check_finite(rows, batch.rows)
            new = [at for at, row in enumerate(batch.rows) if row not in each.before]
            _write_rows(file, offset, [batch.rows[at] for at in new], rows[new])
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
            for each in self._folders:
                for file, _ in each.targets:
                    os.fdatasync(file.fileno())
                each.log.append(*_without(pending, each.before))
        self._flushed = time.monotonic()

    def _check_finite(self, values: NDArray[np.float32], rows: list[int]) -> None:
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            raise UserError(
                f"the embedding of {self._names[rows[bad[0]]]} holds NaN or infinity: try"
                " trainer.precision=32-true, or another backbone.layer"
            )


def _without(notes: Notes, rows: frozenset[int]) -> Notes:
    """Return notes on other rows than these."""
    return Notes(
        [row for row in notes.rows if row not in rows],
        [(row, reason) for row, reason in notes.unreadable if row not in rows],
        [(row, damage) for row, damage in notes.damaged if row not in rows],
    )


def _write_rows(file: BinaryIO, offset: int, rows: list[int], values: NDArray[np.float32]) -> None:
    """Write values (b, d) to rows of file, whose row 0 starts at offset; adjacent rows at once."""
    gaps = [i for i, (a, b) in enumerate(pairwise(rows), 1) if b != a + 1]
    for first, end in pairwise([0, *gaps, len(rows)] if rows else []):
        start = offset + rows[first] * values[0].nbytes
        pwrite_all(file.fileno(), values[first:end].tobytes(), start)


@contextmanager
def open_writer(
    folders: Iterable[tuple[Path, list[str]]],
    names: list[str],
    processes: ProcessGroup = SINGLE_PROCESS,
) -> Iterator[RowWriter]:
    """Open folder/<layer>/features.npy of the layers of each folder; flush and close them.

    Predictions have the outputs in that order. names are those of the gallery's images, by row.
    Several processes write into the same files.
    """
    with ExitStack() as stack:
        opened = []
        for folder, layers in folders:
            targets = [_open_rows(folder / layer / FEATURES, stack, processes) for layer in layers]
            log = DoneRows(folder, processes.rank)
            opened.append(OpenRows(targets, log, frozenset(log.rows)))
        writer = RowWriter(opened, names)
        stack.callback(writer.flush)
        yield writer


def _open_rows(path: Path, stack: ExitStack, processes: ProcessGroup) -> tuple[BinaryIO, int]:
    """Return a features.npy that stack closes, and the offset of its row 0."""
    file = stack.enter_context(os.fdopen(open_to_write(path), "r+b"))
    if processes.world_size > 1:
        # a shared lock disables an NFS client's page cache, which would overwrite other ranks' rows
        # with stale data
        fcntl.flock(file, fcntl.LOCK_SH)
    return file, np.load(path, mmap_mode="r").offset
