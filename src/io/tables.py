"""Large CSV files read row by row, since now and then a row is damaged."""

import csv
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TextIO

import pandas as pd

from src.errors import UserError


def read_columns(path: Path, columns: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """These columns of a CSV, as strings, and the number of rows left out because they have
    another number of fields than the header.

    Columns are found by name; those that start with ? may be absent. Raises UserError when the
    file or one of the others is missing.
    """
    present = check_header(path, columns)
    with _opened(path) as file:
        rows = _Rows(file)
        records = iter(rows)
        header = next(records)
        pick = itemgetter(*(header.index(name) for name in present))
        table = pd.DataFrame(map(pick, records), columns=present, dtype=object)
    return table, rows.ragged


def check_header(path: Path, columns: Sequence[str]) -> list[str]:
    """The names of those columns that a CSV has, in the order asked for.

    Raises UserError when the file is missing, or a column whose name does not start with ?.
    """
    try:
        with _opened(path) as file:
            header = next(csv.reader(file, strict=True), [])
    except csv.Error:
        header = []
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}, which data.tables should hold") from error
    missing = [name for name in columns if not name.startswith("?") and name not in header]
    if missing:
        raise UserError(
            f"{path.name} has no column {', '.join(missing)}: it is no table of the museum's, or of"
            f" a schema that this version does not know; it starts with {','.join(header)[:80]!r}"
        )
    return [name for column in columns if (name := column.removeprefix("?")) in header]


def _opened(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


class _Rows:
    """The records of a CSV, without those of another width than the header's.

    A quote that is never closed would swallow every row up to the next quote, which then stands
    where none may be. So of a record that makes no sense only the first line is given up, and the
    lines after it are read again.
    """

    def __init__(self, file: TextIO) -> None:
        self.ragged = 0
        self._file, self._again = file, list[str]()  # lines to read again, the next one last
        self._record = list[str]()  # the lines of the record under way
        self._width = 0

    def __iter__(self) -> Iterator[list[str]]:
        """The header, then each row."""
        while True:
            try:
                for row in csv.reader(self._lines(), strict=True):
                    self._width = self._width or len(row)
                    if len(row) == self._width:
                        yield row
                    elif row:  # an empty line is no row
                        self.ragged += 1
                    self._record.clear()
                return
            except csv.Error:  # also a field of more than 131,072 characters
                self.ragged += 1
                self._again += reversed(self._record[1:])
                self._record.clear()

    def _lines(self) -> Iterator[str]:
        while self._again:
            self._record.append(self._again.pop())
            yield self._record[-1]
        for line in self._file:
            self._record.append(line)
            yield line


def read_table(path: Path, separator: str = ",", encoding: str = "utf-8") -> pd.DataFrame:
    """A CSV of strings: nothing is guessed, so an artist called NA stays one.

    Raises UserError for what is no CSV.
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
        why = " ".join(str(error).split())
        raise UserError(f"{path} is not a table of comma-separated values: {why}") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first column for row names
        raise UserError(f"{path}: its lines have more fields than its header has names")
    return table.fillna("")
