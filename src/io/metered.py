"""A file whose reads are counted while a parser looks for the picture."""

import io
import math
from typing import Any, BinaryIO

from src.io.unreadable import MAX_METADATA_BYTES, Unreadable

MAX_READS = 2**18  # usual files need less than 1000
MAX_HEADER_BYTES = 2**25  # before the pixels of a JPEG: profile, thumbnails, remarks
TIMES = 4  # how often a parser may read the whole file


class MeteredFile:
    """A file that raises Unreadable when a parser reads too often from it, or too much.

    A list of a million tiny records would keep a parser written in Python busy for hours, and one
    record that is named a million times would fill memory. Other methods are those of the file.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._reads: float = MAX_READS
        file.seek(0)
        # of a JPEG Pillow reads the header only, in a time that grows with the square of its size
        is_jpeg = file.read(2) == b"\xff\xd8"
        size = TIMES * file.seek(0, io.SEEK_END) + MAX_METADATA_BYTES
        self._bytes: float = MAX_HEADER_BYTES if is_jpeg else size
        file.seek(0)

    def read(self, size: int | None = -1) -> bytes:
        """Read as a file does. Raises Unreadable."""
        data = self._file.read(-1 if size is None else size)
        self._reads -= 1
        self._bytes -= len(data)
        if self._reads < 0 or self._bytes < 0:
            raise Unreadable("too much metadata before the picture")
        return data

    def release(self) -> None:
        """Stop counting: the picture is found."""
        self._reads = self._bytes = math.inf

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __repr__(self) -> str:
        return repr(self._name)  # Pillow's messages have it
