"""Callbacks of a predict loop: progress and waiting time, SIGTERM, heartbeat."""

import signal
import sys
import threading
import time

import lightning as L
from torch import Tensor

from src.embedding.dataset import Batch
from src.runtime.processes import ProcessGroup
from src.runtime.progress import progress


class Throughput(L.Callback):
    """A progress bar over n images, and the time that the network waits for data.

    A context manager that closes the bar. Comes after the writer in the list of callbacks, so that
    writing does not count as waiting.
    """

    def __init__(self, n: int, shown: bool) -> None:
        self.waiting_seconds = 0.0
        self._idle_since = 0.0
        self._bar = progress(None, "embedding", n, " images", shown=shown)

    def __enter__(self) -> "Throughput":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def on_predict_epoch_start(self, *_: object) -> None:
        """Start to wait for the first batch."""
        self._idle_since = time.perf_counter()

    def on_predict_batch_start(self, *_: object) -> None:
        """Add the time since the last batch."""
        self.waiting_seconds += time.perf_counter() - self._idle_since

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: list[Tensor],
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Advance the bar and start to wait for the next batch."""
        self._bar.update(len(batch.rows) + len(batch.unreadable))
        self._idle_since = time.perf_counter()


class ExitOnSigterm(L.Callback):
    """Exits with code 143 on SIGTERM while a predict loop runs.

    At the start of the loop Lightning installs a handler that only affects training; this replaces
    it. A context manager that restores the previous handler.
    """

    def __init__(self) -> None:
        self._previous = signal.getsignal(signal.SIGTERM)

    def __enter__(self) -> "ExitOnSigterm":
        return self

    def __exit__(self, *_: object) -> None:
        self._handle(self._previous or signal.SIG_DFL)

    def on_predict_start(self, *_: object) -> None:
        """Replace Lightning's handler."""
        self._handle(lambda *_: sys.exit(128 + signal.SIGTERM))

    def _handle(self, handler: "signal._HANDLER") -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


class Heartbeat(L.Callback):
    """Synchronizes with the other ranks every few seconds, so that a dead one is noticed.

    Comes after the writer in the list of callbacks: rows are on disk before a failure is raised.
    """

    def __init__(self, processes: ProcessGroup) -> None:
        self._processes = processes

    def on_predict_batch_end(self, *_: object) -> None:
        """Send a heartbeat if one is due."""
        self._processes.heartbeat()

    def on_predict_end(self, *_: object) -> None:
        """Keep sending heartbeats until all ranks have finished their batches."""
        self._processes.heartbeat(finished=True)
