"""Write files so that they appear whole or not at all, lock folders, and reserve disk space."""

import errno
import glob
import hashlib
import logging
import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import BaseFileLock, FileLock, Timeout
from numpy.lib import format as npy
from numpy.typing import DTypeLike
from rich import filesize

from src.errors import UserError

log = logging.getLogger(__name__)

# What is there instead of a file, by the error of opening it without following links
NOT_A_FILE = {
    errno.ELOOP: "a symbolic link",
    errno.EISDIR: "a folder",
    errno.ENXIO: "a pipe or a socket",
}
_in_use = set[str]()  # names of temporary files that threads of this process write at the moment


def temporary_name(path: Path) -> Path:
    """Return a name under which this process may write path, which nobody can guess.

    Removes files and folders of this pattern that killed processes of this machine have left.
    """
    host = socket.gethostname()
    pattern = rf"{re.escape(f'{path.name}.{host}')}-(\d{{1,10}})(-[0-9a-f]{{16}})?\.part"
    for part in path.parent.glob(f"{glob.escape(path.name)}.{glob.escape(host)}-*.part"):
        if match := re.fullmatch(pattern, part.name, re.ASCII):
            pid = int(match[1])
            is_left = pid == os.getpid() and part.name not in _in_use  # by a process of this number
            if is_left or not _is_alive(pid):
                remove_own(part)
    return path.with_name(f"{path.name}.{host}-{os.getpid()}-{secrets.token_hex(8)}.part")


def remove_own(part: Path) -> None:
    """Remove a file, a link or a folder, if it exists and belongs to this user."""
    with suppress(FileNotFoundError):  # another process has just removed it
        status = part.lstat()
        if status.st_uid == os.geteuid():
            shutil.rmtree(part) if stat.S_ISDIR(status.st_mode) else part.unlink()


def _is_alive(pid: int) -> bool:
    """Return whether a process of this machine exists."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # the latter: no system has so many
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside path; rename it to path if the block ends without error.

    A link at path is replaced, and its target stays as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = temporary_name(path)
    _in_use.add(part.name)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
        _in_use.discard(part.name)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder for the block; wait, and log it, while it is locked.

    The operating system releases the lock of a process that dies. A thread must not lock the same
    folder twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = file_lock(folder / ".lock")
    with refused(lock.lock_file):
        try:
            lock.acquire(blocking=False)
        except Timeout:
            log.info("%s is locked by another process; waiting", folder)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def file_lock(path: Path) -> BaseFileLock:
    """Return a lock that ends with its process; it follows no link, and no file is truncated.

    Raises UserError if open_to_write refuses what is there: another user could hold the lock of a
    pipe, or of a file that has other names elsewhere.
    """
    with suppress(FileNotFoundError):
        os.close(open_to_write(path))
    # Where flock is unavailable, a soft lock would survive a kill: raise OSError instead
    return FileLock(path, fallback_to_soft=False)


@contextmanager
def refused(path: Path | str) -> Iterator[None]:
    """Turn the errors of the block that opens path, if a file cannot be there, into UserError."""
    try:
        yield
    except OSError as error:
        if error.errno not in NOT_A_FILE:
            raise
        raise _foreign(path, NOT_A_FILE[error.errno]) from error


def _foreign(path: Path | str, kind: str) -> UserError:
    """Return the error for what only somebody else can have put at path."""
    return UserError(f"{path} is {kind}, which this program never puts there: delete it")


def open_if_regular(path: Path) -> BinaryIO | None:
    """Open a file for reading, following links; None if it is no file but a pipe, say.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # no wait for a pipe
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    return None


def open_to_write(path: Path, flags: int = os.O_RDWR) -> int:
    """Open a file whose name others can guess, and return its descriptor.

    Raises UserError if it is a link, has another name, or is no regular file: another user of a
    shared folder could let this process write to a file elsewhere.
    """
    safe = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # without blocking: it may be a pipe
    with refused(path):
        file = os.open(path, flags | safe, 0o666)
    status = os.fstat(file)
    if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1:
        return file
    os.close(file)
    if stat.S_ISREG(status.st_mode):
        raise UserError(
            f"{path} is a hard link, a file with several names: put a copy in its place"
        )
    raise _foreign(path, "not a regular file")


def append_durably(path: Path, text: str) -> None:
    """Append text to a file, which open_to_write opens or creates; on return it is on disk."""
    with os.fdopen(open_to_write(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "a") as file:
        file.write(text)
        file.flush()
        os.fdatasync(file.fileno())


def begin_folder(folder: Path) -> None:
    """Create a folder, empty, in place of what is there. Raises UserError if that is a link."""
    refuse_link(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def refuse_link(path: Path) -> None:
    """Raise UserError if path is a symbolic link."""
    if path.is_symlink():
        raise _foreign(path, "a symbolic link")


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
