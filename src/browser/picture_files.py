"""Write the pictures of an export, several at once: decoding them takes most of its time."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from src.browser.pictures import cached_picture, picture_of, placeholder
from src.errors import UserError
from src.reporting.contact_sheets import NO_PICTURE, UNREADABLE

AT_ONCE = 16  # pictures that a process gets
FEW = 100  # pictures that are made before processes have started
PART = ".part"


class Job(NamedTuple):
    """A picture to be made."""

    source: Path
    target: Path
    size: int  # pixels
    quality: int
    cached: Path | None = None  # where the browser may have put it already


def write_picture(job: Job) -> None:
    """Write a picture, which appears whole or not at all; one that is there stays.

    A placeholder does not: the image may be readable by now.
    """
    if job.target.exists() and not _is_placeholder(job):
        return
    content = cached_picture(job.cached) if job.cached else b""
    content = content or picture_of(job.source, job.size, job.quality)[0]
    part = job.target.with_name(job.target.name + PART)  # nobody else writes here: see begun()
    try:
        part.write_bytes(content)
        os.replace(part, job.target)
    finally:
        part.unlink(missing_ok=True)


def _is_placeholder(job: Job) -> bool:
    """Return whether the file that is there stands for an image that could not be read."""
    grays = [placeholder(job.size, job.quality, text) for text in (UNREADABLE, NO_PICTURE)]
    size = job.target.stat().st_size
    return any(len(gray) == size and job.target.read_bytes() == gray for gray in grays)


@contextmanager
def written(jobs: Sequence[Job]) -> Iterator[Iterator[None]]:
    """Yield an iterator that waits for each picture; they are made from now on, in processes.

    Two processes make 1.3 times as many pictures as two threads. If the block fails, those that are
    not begun are not made. Raises UserError if the system ends a process, else what write_picture
    raises.
    """
    for folder in {job.target.parent for job in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
    if len(jobs) < FEW:
        yield map(write_picture, jobs)
        return
    pool = ProcessPoolExecutor(
        min(os.cpu_count() or 1, 32), multiprocessing.get_context("spawn"), _start
    )
    try:
        yield pool.map(write_picture, jobs, chunksize=AT_ONCE)
    except BrokenProcessPool as error:
        raise UserError(
            "the system has ended a process that made pictures, probably for lack of memory: free"
            " some, then the same command goes on"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    """Prepare a process: Ctrl-C is for the one that started it, and it ends with that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
