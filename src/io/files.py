"""Write files so that they appear whole or not at all, lock folders, and reserve disk space."""

import glob
import hashlib
import logging
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.lib import format as npy
from numpy.typing import DTypeLike
from rich import filesize

from src.errors import UserError

log = logging.getLogger(__name__)


def temporary_name(path: Path) -> Path:
    """Return the name under which this process writes path.

    Removes files and folders of this pattern left by killed processes of this machine.
    """
    host = socket.gethostname()
    for part in path.parent.glob(f"{glob.escape(path.name)}.{glob.escape(host)}-*.part"):
        pid = int(part.name.removesuffix(".part").rpartition("-")[2])
        if pid == os.getpid() or not _is_alive(pid):
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
    return path.with_name(f"{path.name}.{host}-{os.getpid()}.part")


def _is_alive(pid: int) -> bool:
    """Return whether a process of this machine exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside path; rename it to path if the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = temporary_name(path)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder for the block; wait, and log it, while it is locked.

    The operating system releases the lock of a process that dies. A thread must not lock the same
    folder twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Where flock is unavailable, a soft lock would survive a kill: raise OSError instead
    lock = FileLock(folder / ".lock", fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        log.info("%s is locked by another process; waiting", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pwrite_all(file: int, data: memoryview | bytes, offset: int) -> None:
    """Write all bytes of data at an offset of an open file, given by its descriptor."""
    remaining = memoryview(data)
    while remaining:  # a nearly full disk may write only a part
        written = os.pwrite(file, remaining, offset)
        remaining, offset = remaining[written:], offset + written


def create_npy(
    file: BinaryIO,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    advice: str = "free some space, or put outputs= on another disk",
) -> int:
    """Write the header of a .npy file and reserve the space of its rows; return their offset.

    Space is reserved because a full disk kills a process that writes to a memory map. Raises
    UserError, which ends in `advice`, if the disk has too little free space.
    """
    kind = np.dtype(dtype)
    header = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, header)
    file.flush()
    start = file.tell()
    size = kind.itemsize * int(np.prod(shape, dtype=np.int64))
    free = shutil.disk_usage(Path(file.name).parent).free
    if size > free:
        raise UserError(
            f"{Path(file.name).parent} has {filesize.decimal(free)} free, but"
            f" {filesize.decimal(size)} are needed: {advice}"
        )
    if hasattr(os, "posix_fallocate") and size:
        os.posix_fallocate(file.fileno(), start, size)
    else:
        file.truncate(start + size)
    return start
