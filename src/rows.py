"""The rows of features.npy, written as the predict loop brings them."""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from src.checks import UserError
from src.data import Batch
from src.files import create_npy, replacing
from src.progress import progress
from src.spread import ALONE, World


def create_rows(path: Path, n: int, dim: int) -> None:
    """A .npy of (n, dim) float32, for RowWriter to fill. Raises UserError on a full disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w+b") as file:
        create_npy(file, (n, dim), np.float32)


class RowWriter(BasePredictionWriter):
    """Writes each prediction to its image's row of a .npy, in whatever order batches arrive.

    Several processes write their own rows into one file.
    """

    def __init__(self, path: Path, files: list[str], world: World = ALONE):
        super().__init__("batch")
        self.path, self.files, self.world = path, files, world
        self.unreadable: dict[int, str] = {}  # row: reason
        self.waited = 0.0  # seconds

    def __enter__(self) -> "RowWriter":
        self._start = np.load(self.path, mmap_mode="r").offset
        self._file = self.path.open("r+b")
        share = -(-len(self.files) // self.world.size)
        self._bar = progress(None, "embedding", share, " images", shown=self.world.first)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._file.close()

    def on_predict_start(self, *_: object) -> None:
        """From here on the network waits for data, and SIGTERM ends the run.

        Lightning has just made it a request that only its training loop looks at.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        self._idle_since = time.perf_counter()

    def on_predict_batch_start(self, *_: object) -> None:
        """The network waited for this batch since the last one was written."""
        self.waited += time.perf_counter() - self._idle_since

    def write_on_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        prediction: Tensor,
        batch_indices: Sequence[int] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Put (b, d) predictions at the rows that the batch names. Raises UserError for NaN."""
        for row, values in zip(batch.rows, prediction.cpu().numpy(), strict=True):
            if not np.isfinite(values).all():
                raise UserError(
                    f"the embedding of {self.files[row]} holds NaN or infinity: try"
                    " trainer.precision=32-true, or another backbone.layer"
                )
            os.pwrite(self._file.fileno(), values.tobytes(), self._start + row * values.nbytes)
        self.unreadable |= dict(batch.unreadable)
        self._bar.update(len(batch.rows) + len(batch.unreadable))
        self.world.meet()
        self._idle_since = time.perf_counter()

    def on_predict_end(self, *_: object) -> None:
        """The others may have batches left."""
        self.world.meet(finished=True)


def keep_rows(path: Path, kept: list[int]) -> None:
    """Rewrite a .npy with these rows alone, in this order."""
    rows = np.load(path, mmap_mode="r")
    with replacing(path) as part, part.open("wb") as file:
        start = create_npy(file, (len(kept), rows.shape[1]), rows.dtype)
        file.seek(start)
        for at in range(0, len(kept), 1024):
            file.write(rows[kept[at : at + 1024]].tobytes())
