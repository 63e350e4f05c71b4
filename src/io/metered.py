"""A file whose reads are counted while a parser looks for the picture."""

import io
import math
from typing import Any, BinaryIO, cast

from src.io.unreadable import MAX_METADATA_BYTES, Unreadable

MAX_READS = 2**18  # usual files need less than 1000
MAX_HEADER_BYTES = 2**24  # before the pixels of a JPEG: profile, thumbnails, remarks
TIMES = 4  # how often a parser may read the whole file


class MeteredFile:
    """A file that raises Unreadable when a parser reads too often from it, or too much.

    A list of a million tiny records would keep a parser written in Python busy for hours, and one
    record that is named a million times would fill memory. Other methods are those of the file.
    """

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file = file
        self._reads: float = MAX_READS
        self._bytes: float = max_bytes

    def read(self, size: int | None = -1) -> bytes:
        """Read as a file does. Raises Unreadable."""
        data = self._file.read(-1 if size is None else size)
        self._reads -= 1
        self._bytes -= len(data)
        if self._reads < 0 or self._bytes < 0:
            raise Unreadable("too much metadata before the picture")
        return data

    def release(self) -> None:
        """Stop counting."""
        self._reads = self._bytes = math.inf

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def metered(file: BinaryIO) -> BinaryIO:
    """Return a file for a parser that looks for the picture, at its start.

    It is the file itself if that is a JPEG with fewer bytes than a parser may read pieces: it is
    read from start to end. Most images are, and counting takes 5% of their time.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    is_jpeg = file.read(2) == b"\xff\xd8"
    file.seek(0)
    if is_jpeg and size < MAX_READS:
        return file
    # of a JPEG Pillow reads the header only, in a time that grows with the square of its size
    max_bytes = MAX_HEADER_BYTES if is_jpeg else TIMES * size + MAX_METADATA_BYTES
    return cast(BinaryIO, MeteredFile(file, max_bytes))


def release(file: BinaryIO) -> None:
    """Stop counting, as the picture is found."""
    if isinstance(file, MeteredFile):
        file.release()
