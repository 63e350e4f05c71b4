"""Runs whose image loader fails while it reads one file, each in its way."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from src.embedding import dataset, loader_guard
from tests.support.processes import run_module

FILE = "bea/1.png"


def wait_for_ever() -> None:
    """Read what never comes."""
    os.read(os.pipe()[0], 1)


def wait_uninterruptibly() -> None:
    """Read what never comes, and handle no signal, like a process that waits for a dead server."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [loader_guard.SIGNAL])
    wait_for_ever()


def end_by(number: int) -> Callable[[], None]:
    """Return a fault that sends the process a signal."""
    return lambda: os.kill(os.getpid(), number)


def use_up_open_files() -> None:
    """Raise the error of too many open files."""
    raise OSError(24, "Too many open files", FILE)


def use_up_memory() -> None:
    """Raise the error of too little memory."""
    raise MemoryError


FAULTS: dict[str, Callable[[], Any]] = {
    "killed": end_by(signal.SIGKILL),
    "segfault": end_by(signal.SIGSEGV),
    "stopped": end_by(signal.SIGSTOP),
    "exit 3": lambda: os._exit(3),
    "exit 0": lambda: os._exit(0),
    "hangs": wait_for_ever,
    "hangs uninterruptibly": wait_uninterruptibly,
    "open files": use_up_open_files,
    "memory": use_up_memory,
}


def run_with_fault(fault: str, words: list[str], rank: int = 0) -> NoReturn:
    """Run src.run with these options, where the file FILE makes the loader fail in this rank."""
    loader_guard.GRACE_SECONDS = 1
    load = dataset.load_with_remark

    def load_or_fail(path: Path, *arguments: Any) -> Any:
        """Read an image, but fail for the one file."""
        if str(path).endswith(FILE) and int(os.environ.get("LOCAL_RANK", "0")) == rank:
            FAULTS[fault]()
        return load(path, *arguments)

    dataset.load_with_remark = load_or_fail  # type: ignore[assignment]
    run_module("src.run", words, dict(os.environ))


if __name__ == "__main__":  # a rank of several, which Lightning starts by this command
    run_with_fault(os.environ["FAULT"], sys.argv[1:], int(os.environ["FAULTY_RANK"]))
