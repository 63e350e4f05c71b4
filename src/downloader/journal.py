"""Append-only CSV of download outcomes, one line per requested image; the last line of an image
wins. A killed process leaves at most one incomplete line at the end.
"""

import csv
import errno
import io
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

from src.downloader.errors import Failure, Outcome
from src.io.bounded import open_regular
from src.io.files import open_to_write

TAIL_BYTES = 65_536


def now() -> str:
    """Return the current time in UTC as ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class DownloadRecord:
    """Outcome of one image; the fields are the columns of the file, empty if unknown."""

    image_id: str
    outcome: str  # value of an Outcome
    reason: str = ""  # of a failure
    status: str = ""  # HTTP status, empty without a response
    attempts: str = ""
    bytes: str = ""
    sha256: str = ""  # hexadecimal
    width: str = ""  # pixels of the upright picture
    height: str = ""
    time: str = field(default_factory=now)  # UTC
    url: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the image was downloaded."""
        return self.outcome == Outcome.ok.value

    @property
    def final(self) -> bool:
        """Return whether the host answered that the image is permanently unavailable."""
        return self.outcome == Outcome.permanent.value and self.status != ""


COLUMNS = [column.name for column in fields(DownloadRecord)]


def failure_record(image_id: str, url: str, failure: Failure) -> DownloadRecord:
    """Return the record of an image that could not be downloaded."""
    return DownloadRecord(
        image_id,
        failure.outcome.value,
        failure.reason,
        status="" if failure.status is None else str(failure.status),
        attempts=str(failure.attempts),
        url=url,
    )


def read_journal(path: Path) -> dict[str, DownloadRecord]:
    """Return the last record of each image, by id. Skips incomplete and damaged lines."""
    if not path.exists():
        return {}
    with io.TextIOWrapper(open_regular(path), "utf-8", "replace", newline="") as file:
        rows = filter(None, (_parse(line) for line in file if line.endswith("\n")))
        next(rows, None)
        return {row[0]: DownloadRecord(*row) for row in rows}


def _parse(line: str) -> list[str]:
    """Return the fields of a line, [] if it is damaged."""
    try:
        row = next(csv.reader([line]))
    except csv.Error:
        return []
    return row if len(row) == len(COLUMNS) else []


class Journal:
    """The file, opened for appending by several threads; see open_journal."""

    def __init__(self, file: int, end: int) -> None:
        self._file, self._end = file, end  # descriptor, size in bytes
        self._lock = threading.Lock()

    def add(self, record: DownloadRecord) -> None:
        """Append a record; the operating system has it on return. Raises OSError."""
        with self._lock:
            self.append_row(" ".join(value.split()) for value in astuple(record))

    def append_row(self, values: Iterable[str]) -> None:
        """Append a line whole or not at all. Raises OSError if the disk is full."""
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(values)
        text = line.getvalue().encode("utf-8", "replace")
        if os.pwrite(self._file, text, self._end) < len(text):
            os.ftruncate(self._file, self._end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._end += len(text)

    def close(self) -> None:
        """Close the file; a later `add` of another thread raises OSError."""
        with self._lock:
            file, self._file = self._file, -1
        os.close(file)


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Open a journal for the block: drop an incomplete last line, write the header if it is new.

    Raises UserError if something else than a file is in its place.
    """
    file = open_to_write(path, os.O_RDWR | os.O_CREAT)
    end = _complete_size(file)
    with closing(Journal(file, end)) as journal:
        os.ftruncate(file, end)
        if not end:
            journal.append_row(COLUMNS)
        yield journal


def _complete_size(file: int) -> int:
    """Return the number of bytes up to the end of the last complete line."""
    size = os.fstat(file).st_size
    tail = os.pread(file, TAIL_BYTES, max(0, size - TAIL_BYTES))
    return size - len(tail) + tail.rfind(b"\n") + 1
