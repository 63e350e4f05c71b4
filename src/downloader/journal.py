"""What came of every image that was asked for: a CSV that only ever grows, a line an image asked
for, the last one counting. A process that is killed leaves at most one half line at its end.
"""

import csv
import errno
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

from src.downloader.errors import Failure, Outcome


def now() -> str:
    """The time as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class DownloadRecord:
    """One image's outcome. Texts, as they stand in the file; empty where unknown."""

    image_id: str
    outcome: str
    reason: str = ""
    status: str = ""  # of HTTP; empty where there was no answer
    attempts: str = ""
    bytes: str = ""
    sha256: str = ""
    width: str = ""  # pixels of the upright picture
    height: str = ""
    time: str = field(default_factory=now)  # UTC
    url: str = ""

    @property
    def ok(self) -> bool:
        """Whether the image was had."""
        return self.outcome == Outcome.ok.value

    @property
    def final(self) -> bool:
        """Whether the host said that it will never be had."""
        return self.outcome == Outcome.permanent.value and self.status != ""


COLUMNS = [column.name for column in fields(DownloadRecord)]


def failed(image_id: str, url: str, failure: Failure) -> DownloadRecord:
    """The record of an image that was not had."""
    return DownloadRecord(
        image_id,
        failure.outcome.value,
        failure.reason,
        status="" if failure.status is None else str(failure.status),
        attempts=str(failure.attempts),
        url=url,
    )


def read_journal(path: Path) -> dict[str, DownloadRecord]:
    """The last record of each image; a half line at the end is none."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = filter(None, (_fields(line) for line in file if line.endswith("\n")))
        next(rows, None)
        return {row[0]: DownloadRecord(*row) for row in rows}


def _fields(line: str) -> list[str]:
    """The fields of a record, none of what is no record."""
    try:
        row = next(csv.reader([line]))
    except csv.Error:
        return []
    return row if len(row) == len(COLUMNS) else []


class Journal:
    """The file, open for adding; threads may share it."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self._end = _whole_lines(self._file)
        os.ftruncate(self._file, self._end)
        if not self._end:
            self._add(COLUMNS)

    def add(self, record: DownloadRecord) -> None:
        """Add a line; it is with the system when this returns. Raises OSError on a full disk."""
        with self._lock:
            self._add(" ".join(value.split()) for value in astuple(record))

    def _add(self, values: Iterator[str] | list[str]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(values)
        text = line.getvalue().encode("utf-8", "replace")
        if os.pwrite(self._file, text, self._end) < len(text):
            os.ftruncate(self._file, self._end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._end += len(text)

    def close(self) -> None:
        """No more lines: a thread that comes late gets an OSError."""
        with self._lock:
            file, self._file = self._file, -1
        os.close(file)


def _whole_lines(file: int) -> int:
    """The number of bytes up to the end of the last line that ends."""
    size = os.fstat(file).st_size
    tail = os.pread(file, 65_536, max(0, size - 65_536))
    return size - len(tail) + tail.rfind(b"\n") + 1
