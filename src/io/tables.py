"""Read CSV files with string columns; large ones row by row, skipping damaged rows."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TextIO

import pandas as pd

from src.errors import UserError
from src.io.sources import open_source

# pyarrow, in which pandas keeps text where it is installed, takes no file names that are not UTF-8
pd.set_option("mode.string_storage", "python")

# Bounds of one of the museum's tables. The largest have 120 MB and 650,000 rows, a header of 400
# characters and records of 20,000.
MAX_BYTES = 400_000_000
MAX_ROWS = 2_000_000  # damaged and blank ones too
MAX_HEADER = 65_536  # characters
MAX_RECORD = 2**20  # characters
MAX_REREAD = 50_000_000  # characters after quotes that are never closed, which are parsed again


def read_columns(path: Path, columns: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """Return columns of a CSV, as strings, and the number of damaged rows, which are skipped.

    A row is damaged if it has more or fewer fields than the header. Columns whose name starts with
    ? are optional. Raises UserError as check_header does, and if the table is too long or damaged.
    """
    present = check_header(path, columns)
    with _open(path) as file:
        reader = _TolerantReader(file, path)
        records = iter(reader)
        header = next(records)
        pick = itemgetter(*(header.index(name) for name in present))
        table = pd.DataFrame(map(pick, records), columns=present, dtype=object)
    return table, reader.damaged


def check_header(path: Path, columns: Sequence[str]) -> list[str]:
    """Return the names of those columns that a CSV has, in the order of `columns`.

    Raises UserError if the file does not exist, is no regular file or too large, lacks a column
    whose name does not start with ?, or has one of them twice.
    """
    try:
        with _open(path) as file:
            header = next(csv.reader(_first_lines(file), strict=True), [])
    except csv.Error:
        header = []
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: data.tables must contain it") from error
    present = [name for column in columns if (name := column.removeprefix("?")) in header]
    missing = [name for name in columns if not name.startswith("?") and name not in header]
    if missing:
        raise UserError(
            f"{path.name} has no column {', '.join(missing)}: it is not one of the museum's tables,"
            f" or its schema is newer than this program; it starts with {','.join(header)[:80]!r}"
        )
    if repeated := [name for name in present if header.count(name) > 1]:
        raise UserError(f"{path.name} has several columns {repeated[0]}: which one counts?")
    return present


def _open(path: Path) -> TextIO:
    file = open_source(path, MAX_BYTES)
    return io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")


def _first_lines(file: TextIO) -> Iterator[str]:
    """Yield the first lines of a file. Raises csv.Error where they exceed MAX_HEADER."""
    remaining = MAX_HEADER
    while line := file.readline(remaining + 1):
        remaining -= len(line)
        if remaining < 0:
            raise csv.Error("a header without end")
        yield line


class _TolerantReader:
    """Iterate over the records of a CSV, skipping and counting damaged ones.

    A quote that is never closed would swallow all rows up to the next quote, where the parser
    reports an error. Only the first line of such a record is skipped; the others are parsed again.
    """

    def __init__(self, file: TextIO, path: Path) -> None:
        self.damaged = 0
        self._file, self._path = file, path
        self._reread = list[str]()  # lines to parse again, the next one last
        self._record = list[str]()  # lines of the current record
        self._size = 0  # characters of the current record
        self._width = 0  # fields of the header
        self._records = self._reread_size = 0  # so far; characters that were parsed again

    def __iter__(self) -> Iterator[list[str]]:
        """Yield the header, then each row with the same number of fields.

        Raises UserError if there are too many rows, or too many quotes that are never closed.
        """
        while True:
            try:
                for row in csv.reader(self._lines(), strict=True):
                    self._width = self._width or len(row)
                    if len(row) == self._width:
                        yield row
                    elif row:  # an empty line is not a row
                        self.damaged += 1
                    self._end_record()
                return
            except csv.Error:  # also for a field of more than 131,072 characters
                self.damaged += 1
                self._reread += reversed(self._record[1:])
                self._reread_size += self._size
                self._end_record()

    def _end_record(self) -> None:
        self._record.clear()
        self._size, self._records = 0, self._records + 1
        if self._records > MAX_ROWS:
            raise UserError(f"{self._path} has more than {MAX_ROWS} rows, which is too many")
        if self._reread_size > MAX_REREAD:
            raise UserError(
                f"{self._path} is damaged: {self.damaged} rows so far are not such as a CSV has;"
                " data.refresh=true downloads the museum's tables again"
            )

    def _lines(self) -> Iterator[str]:
        """Yield lines to parse again, then those of the file; collect them in _record.

        Raises csv.Error where a record exceeds MAX_RECORD: it may be a quote that is never closed.
        """
        while line := self._reread.pop() if self._reread else self._next_line():
            self._record.append(line)
            self._size += len(line)
            if self._size >= MAX_RECORD:
                raise csv.Error("a record without end")
            yield line

    def _next_line(self) -> str:
        """Return the next line of the file, only the start of one that exceeds MAX_RECORD."""
        line = rest = self._file.readline(MAX_RECORD)
        while len(rest) == MAX_RECORD and not rest.endswith(("\n", "\r")):
            rest = self._file.readline(MAX_RECORD)
        return line


def read_table(path: Path, separator: str = ",", encoding: str = "utf-8") -> pd.DataFrame:
    """Return a CSV with string columns, "" for empty fields.

    No text counts as missing: NA may be an artist.

    Raises UserError if the file is not a CSV, or its rows have more fields than its header.
    """
    try:
        table = pd.read_csv(
            path,
            sep=separator,
            encoding=encoding,
            encoding_errors="surrogateescape",
            dtype=object,
            keep_default_na=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not a table of comma-separated values: {reason}") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas used the first column as row names
        raise UserError(f"{path}: rows have more fields than the header")
    return table.fillna("")


def map_text(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """Return a table of strings with each cell and each name of a column changed."""
    columns = {change(str(name)): list(map(change, table[name])) for name in table}
    return pd.DataFrame(columns, index=table.index, dtype=object)
