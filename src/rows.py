"""The rows of features.npy, written as the predict loop brings them, and kept however it ends."""

import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import BasePredictionWriter
from numpy.typing import NDArray
from torch import Tensor

from src.checks import UserError
from src.data import Batch
from src.files import create_npy, replacing, write_all
from src.progress import progress
from src.spread import ALONE, World

SECONDS = 5.0  # between two flushes: as much work is lost at most
FEATURES, DONE = "features.npy", "done-*.jsonl"


def create_rows(folder: Path, n: int, dims: dict[str, int]) -> bool:
    """For each layer a features.npy of (n, d) float32, where there is none; whether one was made.

    Raises UserError when the disk has no room for them.
    """
    missing = {path: dim for a, dim in dims.items() if not (path := folder / a / FEATURES).exists()}
    for path, dim in missing.items():
        with replacing(path) as part, part.open("w+b") as file:
            create_npy(file, (n, dim), np.float32)
    return bool(missing)


class Finished:
    """The rows that are on the disk, and those that cannot be had: lines of JSON.

    A line that was cut off does not count. Each process adds to a file of its own.
    """

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self._path = folder / DONE.replace("*", str(rank))
        self.rows: set[int] = set()
        self.unreadable: dict[int, str] = {}  # row: reason
        for path in folder.glob(DONE):
            for line in path.read_text().splitlines():
                with suppress(ValueError):  # cut off, or empty
                    self._take(**json.loads(line))

    def _take(self, rows: list[int], unreadable: list[tuple[int, str]]) -> None:
        self.rows |= {*rows, *(row for row, _ in unreadable)}
        self.unreadable |= dict(unreadable)

    def add(self, rows: list[int], unreadable: list[tuple[int, str]]) -> None:
        """Onto the disk before it returns."""
        with self._path.open("a") as file:
            # a cut-off line of an earlier process must not run into this one
            file.write("\n" + json.dumps({"rows": rows, "unreadable": unreadable}) + "\n")
            file.flush()
            os.fdatasync(file.fileno())
        self._take(rows, unreadable)


class RowWriter(BasePredictionWriter):
    """Writes each prediction to its image's row, in whatever order batches arrive.

    folder holds a features.npy for each layer; several processes write their own rows into it.
    """

    def __init__(
        self, folder: Path, layers: list[str], files: list[str], todo: int, world: World = ALONE
    ):
        super().__init__("batch")
        self.paths = [folder / layer / FEATURES for layer in layers]
        self.finished = Finished(folder, world.rank)
        self.files, self.todo, self.world = files, todo, world
        self.waited = 0.0  # seconds
        self._done: tuple[list[int], list[tuple[int, str]]] = ([], [])

    def __enter__(self) -> "RowWriter":
        self._starts = [np.load(path, mmap_mode="r").offset for path in self.paths]
        self._files: list[BinaryIO] = [path.open("r+b") for path in self.paths]
        for file in self._files if self.world.size > 1 else []:
            # without, an NFS client writes whole pages, with what it takes for others' rows
            fcntl.flock(file, fcntl.LOCK_SH)
        self._bar = progress(None, "embedding", self.todo, " images", shown=self.world.first)
        self._flushed = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
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
        if time.monotonic() - self._flushed > SECONDS:
            self._flush()
        self.world.meet()
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
            write_all(file.fileno(), values[first:end].tobytes(), at)

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
        self.world.meet(finished=True)


def keep_rows(path: Path, kept: list[int]) -> None:
    """Rewrite a .npy with these rows alone, in this order; done already, it is left alone."""
    rows = np.load(path, mmap_mode="r")
    if len(rows) == len(kept):
        return
    with replacing(path) as part, part.open("wb") as file:
        start = create_npy(file, (len(kept), rows.shape[1]), rows.dtype)
        file.seek(start)
        for at in range(0, len(kept), 1024):
            file.write(rows[kept[at : at + 1024]].tobytes())
