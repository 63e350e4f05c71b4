"""Read CSV files with string columns; large ones row by row, skipping damaged rows."""

import csv
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TextIO

import pandas as pd

from src.errors import UserError


def read_columns(path: Path, columns: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """Return columns of a CSV, as strings, and the number of damaged rows, which are skipped.

    A row is damaged if it has more or fewer fields than the header. Columns whose name starts with
    ? are optional. Raises UserError as check_header does.
    """
    present = check_header(path, columns)
    with _open(path) as file:
        reader = _TolerantReader(file)
        records = iter(reader)
        header = next(records)
        pick = itemgetter(*(header.index(name) for name in present))
        table = pd.DataFrame(map(pick, records), columns=present, dtype=object)
    return table, reader.damaged


def check_header(path: Path, columns: Sequence[str]) -> list[str]:
    """Return the names of those columns that a CSV has, in the order of `columns`.

    Raises UserError if the file does not exist, or lacks a column whose name does not start with ?.
    """
    try:
        with _open(path) as file:
            header = next(csv.reader(file, strict=True), [])
    except csv.Error:
        header = []
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: data.tables must contain it") from error
    missing = [name for name in columns if not name.startswith("?") and name not in header]
    if missing:
        raise UserError(
            f"{path.name} has no column {', '.join(missing)}: it is not one of the museum's tables,"
            f" or its schema is newer than this program; it starts with {','.join(header)[:80]!r}"
        )
    return [name for column in columns if (name := column.removeprefix("?")) in header]


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


class _TolerantReader:
    """Iterate over the records of a CSV, skipping and counting damaged ones.

    A quote that is never closed would swallow all rows up to the next quote, where the parser
    reports an error. Only the first line of such a record is skipped; the others are parsed again.
    """

    def __init__(self, file: TextIO) -> None:
        self.damaged = 0
        self._file = file
        self._reread = list[str]()  # lines to parse again, the next one last
        self._record = list[str]()  # lines of the current record
        self._width = 0  # fields of the header

    def __iter__(self) -> Iterator[list[str]]:
        """Yield the header, then each row with the same number of fields."""
        while True:
            try:
                for row in csv.reader(self._lines(), strict=True):
                    self._width = self._width or len(row)
                    if len(row) == self._width:
                        yield row
                    elif row:  # an empty line is not a row
                        self.damaged += 1
                    self._record.clear()
                return
            except csv.Error:  # also for a field of more than 131,072 characters
                self.damaged += 1
                self._reread += reversed(self._record[1:])
                self._record.clear()

    def _lines(self) -> Iterator[str]:
        """Yield lines to parse again, then those of the file; collect them in _record."""
        while self._reread:
            self._record.append(self._reread.pop())
            yield self._record[-1]
        for line in self._file:
            self._record.append(line)
            yield line


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
