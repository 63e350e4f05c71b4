"""Open files that users name: never a pipe or a device, which may have no end, nor a huge file."""

import os
from pathlib import Path
from typing import BinaryIO

from rich import filesize

from src.errors import UserError
from src.io.files import open_if_regular


def open_source(path: Path, max_bytes: int) -> BinaryIO:
    """Open a file for reading; a symbolic link is followed.

    Raises FileNotFoundError, and UserError if it cannot be opened or is no regular file of at most
    max_bytes.
    """
    try:
        file = open_if_regular(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if file is None:
        raise UserError(f"{path} is not a regular file, but a folder, a pipe or a device")
    size = os.fstat(file.fileno()).st_size
    if size > max_bytes:
        file.close()
        limit = filesize.decimal(max_bytes)
        raise UserError(
            f"{path} has {filesize.decimal(size)}, but at most {limit} are read: make it smaller"
        )
    return file


def read_source(path: Path, max_bytes: int) -> bytes:
    """Return the content of a file. Raises as open_source does."""
    with open_source(path, max_bytes) as file:
        return file.read(max_bytes)
