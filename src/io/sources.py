"""Open files that users name: never a pipe or a device, which may have no end, nor a huge file."""

import os
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from rich import filesize

from src.errors import UserError


def open_source(path: Path, max_bytes: int) -> BinaryIO:
    """Open a file for reading; a symbolic link is followed.

    Raises FileNotFoundError, and UserError if it cannot be opened or is no regular file of at most
    max_bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # no wait for a pipe
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path} is not a regular file, but a folder, a pipe or a device")
        if status.st_size > max_bytes:
            size, limit = filesize.decimal(status.st_size), filesize.decimal(max_bytes)
            raise UserError(f"{path} has {size}, but at most {limit} are read: make it smaller")
        stack.pop_all()
    return os.fdopen(descriptor, "rb")
