"""Read the tables that users make: CSV as spreadsheets write it, and .xlsx workbooks."""

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from src.errors import UserError
from src.io.decoding import decode_text
from src.io.sources import open_source
from src.io.workbooks import MAX_CELLS, REMEDY, Rows, is_filled, read_workbook, too_many_cells

SEPARATORS = ",;\t|"
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # .xlsx and others; .xls
END = "\0"  # a line that no text holds, as decode_text removes NUL characters
MAX_BYTES = 2**27  # of a table
MAX_ROW = 2**20  # characters


def read_spreadsheet(path: Path, *keys: str) -> pd.DataFrame:
    """Return the table of a CSV or of the first sheet of an .xlsx, as text, "" for empty cells.

    No text counts as missing: NA may be an artist. Otherwise as read_rows.
    """
    names, rows = read_rows(path, *keys)
    values = [cells for _, cells in rows]
    return pd.DataFrame(values, columns=pd.Index(names, dtype=object), dtype=object)


def read_rows(path: Path, *keys: str) -> tuple[list[str], Rows]:
    """Return the names of a table's columns, and its rows: line from 1, and a text for each name.

    What the file is depends on its content, not on its name. `keys` are columns that users may
    have: the separator is one that makes the first of them, else the next one, a column. Blank
    rows, empty columns at the end and blanks around column names are left out. Raises UserError if
    it is no table, or a row has more cells than the header.
    """
    with open_source(path, MAX_BYTES) as file:
        data = file.read(os.fstat(file.fileno()).st_size)  # a limit is reserved at once
    if data.startswith(OLE):
        raise UserError(
            f"{path} is an old Excel workbook (.xls) or protected by a password: {REMEDY}, or as"
            " .xlsx without a password"
        )
    is_archive = data.startswith(ZIP)
    rows = read_workbook(path, data) if is_archive else _csv_rows(path, data, keys)
    if not rows:
        raise UserError(f"{_not_csv(path)}: No columns, the file is empty")
    (_, header), *body = rows
    names = _trimmed(header)
    for number, cells in body:
        if any(map(str.strip, cells[len(names) :])):
            raise UserError(
                f"{_not_csv(path)}: rows have more fields than the header: Expected {len(names)}"
                f" fields in line {number}, saw {len(_trimmed(cells))}"
            )
    width = len(names)
    return names, [
        (number, [*cells[:width], *[""] * (width - len(cells))]) for number, cells in body
    ]


def _not_csv(path: Path) -> str:
    return f"{path} is not a table of comma-separated values"


def _trimmed(cells: list[str]) -> list[str]:
    """Return the cells without blanks around them, up to the last one that is not empty."""
    cells = [cell.strip() for cell in cells]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _csv_rows(path: Path, data: bytes, keys: Sequence[str]) -> Rows:
    """Return the rows of a CSV, separated as its line sep= says or as makes a key a column."""
    if max(data.count(b"\n"), data.count(b"\r")) > MAX_CELLS:
        raise UserError(too_many_cells(path))
    text = decode_text(data, path)
    if named := re.match(r'"?sep=(.)"?[;,\t]*(?=\r|\n|$)', text, re.IGNORECASE):
        end = re.compile(r"\r\n|\r|\n|$").search(text, named.end())
        assert end is not None
        return _parse(path, text[end.end() :], named[1], first_line=2)
    headers = {sign: _trimmed(_first_row(text, sign)) for sign in SEPARATORS}
    fits = ([sign for sign in SEPARATORS if key in headers[sign]] for key in keys)
    fitting = next(filter(None, fits), [])
    if not fitting:
        return _parse(path, text, max(SEPARATORS, key=lambda sign: len(headers[sign])))
    if len(fitting) == 1:
        return _parse(path, text, fitting[0])
    # Several fit a table of one column, whose cells may hold any of them
    best = min(fitting, key=lambda sign: _widest(_parse(path, text, sign)))
    return _parse(path, text, best)


def _widest(rows: Rows) -> int:
    return max((len(_trimmed(cells)) for _, cells in rows), default=0)


def _first_row(text: str, separator: str) -> list[str]:
    """Return the cells of the first row that is not blank."""
    try:
        return next((cells for _, cells in _records(text, separator) if is_filled(cells)), [])
    except csv.Error:  # such as a field of more than 131,072 characters
        return []


def _parse(path: Path, text: str, separator: str, first_line: int = 1) -> Rows:
    """Return the rows of a CSV that are not blank.

    Raises UserError for a quote that is never closed, a row without end, or too many cells.
    """
    rows, number, cells, total = Rows(), first_line, list[str](), 0
    records = _records(text, separator, first_line)
    try:
        for number, cells in records:
            if is_filled(cells):
                rows.append((number, cells))
                total += 1 + len(cells)
            if total > MAX_CELLS:
                raise UserError(too_many_cells(path))
    except csv.Error as error:
        raise UserError(f"{_not_csv(path)}: {error}") from error
    if cells != [END]:
        raise UserError(
            f"{_not_csv(path)}: EOF inside string: a quote in line {number} is never closed"
        )
    rows.pop()
    return rows


def _records(text: str, separator: str, first_line: int = 1) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line of each row, and its cells; at last one of END.

    Blanks before a quote are no part of a field: they would make the quote a letter. Raises
    csv.Error for a row of more than MAX_ROW characters.
    """
    size = 0

    def lines() -> Iterator[str]:
        """Yield the lines, as long as they make no row without end."""
        nonlocal size
        stream = io.StringIO(text, newline="")
        while line := stream.readline(MAX_ROW + 1):
            size += len(line)
            if size > MAX_ROW:
                raise csv.Error(f"a row of more than {MAX_ROW} characters")
            yield line
        yield END

    has_blanks = f'{separator} "' in text
    reader, number = (
        csv.reader(lines(), delimiter=separator, skipinitialspace=has_blanks),
        first_line,
    )
    try:
        for cells in reader:
            yield number, cells
            size, number = 0, first_line + reader.line_num
    except csv.Error as error:
        raise csv.Error(f"line {number}: {error}") from error
