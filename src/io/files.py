"""Files that appear whole or not at all."""

import fcntl
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
from numpy.lib import format as npy
from numpy.typing import DTypeLike

from src.errors import UserError

log = logging.getLogger(__name__)


def temporary_name(path: Path) -> Path:
    """The name under which this process writes path, free of what killed processes left there."""
    host = socket.gethostname()
    for part in path.parent.glob(f"{glob.escape(path.name)}.{glob.escape(host)}-*.part"):
        number = part.name.removesuffix(".part").rpartition("-")[2]
        if number == str(os.getpid()) or not _alive(int(number)):
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
    return path.with_name(f"{path.name}.{host}-{os.getpid()}.part")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A name to write beside path; it takes path's place once the block has ended without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = temporary_name(path)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Only one process at a time is inside, for each folder; others wait, and say so."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another process works in %s; waiting for it", folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pwrite_all(file: int, data: memoryview | bytes, place: int) -> None:
    """All bytes to their place in an open file."""
    rest = memoryview(data)
    while rest:  # a nearly full disk takes a part of it
        written = os.pwrite(file, rest, place)
        rest, place = rest[written:], place + written


def format_bytes(size: int) -> str:
    """Bytes in the unit that suits them."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def create_npy(
    file: BinaryIO,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    advice: str = "free some space, or put outputs= on another disk",
) -> int:
    """Write the header of a .npy and reserve the room for its rows; returns where they start.

    The room is reserved first because a memory map that meets a full disk kills the process.
    Raises UserError when the disk has less than that.
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
            f"{Path(file.name).parent} has {format_bytes(free)} free, but {format_bytes(size)}"
            f" are needed: {advice}"
        )
    if hasattr(os, "posix_fallocate") and size:
        os.posix_fallocate(file.fileno(), start, size)
    else:
        file.truncate(start + size)
    return start
