"""Ends a predict loop whose images do not arrive, in the main process or from its workers.

DataLoader notices a worker that dies, but waits for ever for one that hangs or dies while it sends.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.process import BaseProcess
from typing import NoReturn

import lightning as L

from src.embedding.dataset import GalleryDataModule, LoaderError

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.5
DEAD_SECONDS = 15.0  # without an image after a worker's death; DataLoader should notice within 5
GRACE_SECONDS = 15.0  # for the main thread to end after it was interrupted
SIGNAL = signal.SIGVTALRM  # SIGUSR1 and SIGUSR2 belong to Slurm's launchers, SIGALRM to pytest
RESUME = "finished rows are kept, run the same command again to resume"


class _Stopped(BaseException):
    """Ends the main thread. Derives from BaseException, as readers of images catch Exception."""


class LoaderGuard(L.Callback):
    """Raises LoaderError if no image is decoded for timeout seconds, or if a worker dies.

    A context manager around Trainer.predict, and the last of its callbacks. With timeout=0 only
    deaths are noticed. If the main thread cannot be interrupted, the process prints the error and
    exits.
    """

    def __init__(self, images: GalleryDataModule, timeout: float) -> None:
        self._images, self._timeout = images, timeout
        self._workers: list[BaseProcess] = []
        self._waits_for = 0  # number of the batch that the main thread waits for; 0: it computes
        self._problem: str | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loader-guard", daemon=True)
        self._is_active = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "LoaderGuard":
        self._others = multiprocessing.active_children()
        if self._is_active:  # only the main thread can be interrupted by a signal
            self._previous = signal.signal(SIGNAL, self._interrupt)
            self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._done.set()
        if self._is_active:
            self._thread.join()
            signal.signal(SIGNAL, self._previous)
        if error is None:
            return
        if self._problem is None and _is_death(error):
            self._problem = self._death() or str(error).partition(". ")[0]
        _kill(self._started())
        if isinstance(error, OSError) and self._images.workers and not self._workers:
            self._problem = (
                f"data.workers={self._images.workers} processes cannot be started"
                f" ({error.strerror}): lower data.workers (0 = the main process decodes), or raise"
                " the limits of processes, memory and open files"
            )
        if self._problem is not None:
            raise LoaderError(self._problem) from error

    def on_predict_start(self, *_: object) -> None:
        """Find the workers, which the loop has started by now."""
        self._workers = self._started()

    def on_predict_epoch_start(self, *_: object) -> None:
        """Start to wait for the first batch."""
        self._waits_for = 1

    def on_predict_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: object,
        batch_idx: int,
        *_: int,
    ) -> None:
        """Stop waiting."""
        self._waits_for = 0

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Start to wait for the next batch."""
        self._waits_for = batch_idx + 2

    def on_predict_epoch_end(self, *_: object) -> None:
        """Stop waiting: there was no next batch."""
        self._waits_for = 0

    def _started(self) -> list[BaseProcess]:
        return [c for c in multiprocessing.active_children() if c not in self._others]

    def _watch(self) -> None:
        """Count the checks without progress; the clock runs on while the run is suspended."""
        seen, quiet = None, 0.0
        while not self._done.wait(CHECK_SECONDS):
            progress = self._waits_for, self._images.dataset.activity.finished()
            quiet = quiet + CHECK_SECONDS if self._waits_for and progress == seen else 0.0
            seen = progress
            self._problem = self._found(quiet)
            if self._problem is not None:
                signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL)
                if not self._done.wait(GRACE_SECONDS):
                    self._exit(self._problem)
                return

    def _found(self, quiet: float) -> str | None:
        """Return what is wrong after so many seconds without progress, None if nothing is."""
        is_too_long = 0 < self._timeout <= quiet
        if (is_too_long or quiet >= DEAD_SECONDS) and (death := self._death()):
            return death
        if not is_too_long:
            return None
        return (
            f"no image was decoded for data.timeout={self._timeout:g} seconds{self._reading()}: the"
            " disk or network drive may hang; move the file elsewhere, or raise data.timeout (0 ="
            f" wait for ever); {RESUME}"
        )

    def _death(self) -> str | None:
        """Return which worker has died, None if none has."""
        dead = [worker for worker in self._workers if worker.exitcode is not None]
        if not dead:
            return None
        # the others may have been ended since
        rows = self._images.dataset.activity.rows
        worker = max(dead, key=lambda dead: (bool(rows(dead.pid)), dead.exitcode != 0))
        code = worker.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        advice = "move the file elsewhere"
        if code == -signal.SIGKILL:
            advice = "if memory was exhausted, lower data.workers or data.max_pixels"
        return f"a process of data.workers {how}{self._reading(worker.pid)}: {advice}; {RESUME}"

    def _reading(self, pid: int | None = None) -> str:
        """Return which files are being read, by all processes or by one."""
        rows = self._images.dataset.activity.rows(pid)[:3]
        files = ", ".join(self._images.dataset.files[row] for row in rows)
        return f" while reading {files}" if files else ""

    def _interrupt(self, *_: object) -> None:
        """Handle the signal, in the main thread."""
        if not self._done.is_set():
            _kill(self._workers)
            raise _Stopped

    def _exit(self, problem: str) -> NoReturn:
        """End the process: the main thread is in a call that does not return."""
        log.error("error: %s", problem)
        sys.stdout.flush()
        for worker in self._workers:
            worker.kill()
        os._exit(LoaderError.code)


def _is_death(error: BaseException) -> bool:
    """Return whether DataLoader has noticed that a worker died; it has no class of its own."""
    return isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker")


def _kill(workers: list[BaseProcess]) -> None:
    """Kill workers, also those that are stopped and would make the end of the program wait."""
    # DataLoader's handler would raise an error for each of them
    previous = signal.getsignal(signal.SIGCHLD)
    is_main = threading.current_thread() is threading.main_thread()
    if is_main:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.join(1)
    if is_main:
        signal.signal(signal.SIGCHLD, previous)
