"""Read the tables that users make: CSV as spreadsheets write it, and .xlsx workbooks."""

import csv
import io
import logging
import re
import warnings
import zipfile
from datetime import datetime, time
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from src.errors import UserError
from src.io.decoding import read_text

log = logging.getLogger(__name__)

SEPARATORS = ",;\t|"
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # .xlsx and others; .xls
END = "\0"  # a line that no text holds, as read_text removes NUL characters
REMEDY = "save the sheet as CSV UTF-8"
Rows = list[tuple[int, list[str]]]  # number of the line or row in the file, from 1, and its cells


def read_spreadsheet(path: Path, key: str) -> pd.DataFrame:
    """Return the table of a CSV or of the first sheet of an .xlsx, as text, "" for empty cells.

    What the file is depends on its content, not on its name. `key` is the column that users must
    have: the separator is the one that makes it a column. Blank rows, empty columns at the end and
    blanks around column names are left out. No text counts as missing: NA may be an artist. Raises
    UserError if it is no table, or a row has more cells than the header.
    """
    with path.open("rb") as file:
        start = file.read(8)
    if start == OLE:
        raise UserError(
            f"{path} is an old Excel workbook (.xls) or protected by a password: {REMEDY}, or as"
            " .xlsx without a password"
        )
    is_archive = start.startswith(ZIP)
    rows = _workbook_rows(path) if is_archive else _csv_rows(path, read_text(path), key)
    filled = [(number, cells) for number, cells in rows if any(map(str.strip, cells))]
    if not filled:
        raise UserError(f"{_not_csv(path)}: No columns, the file is empty")
    (_, header), *body = filled
    names = _trimmed(header)
    for number, cells in body:
        if any(map(str.strip, cells[len(names) :])):
            raise UserError(
                f"{_not_csv(path)}: rows have more fields than the header: Expected {len(names)}"
                f" fields in line {number}, saw {len(_trimmed(cells))}"
            )
    width = len(names)
    values = [[*cells[:width], *[""] * (width - len(cells))] for _, cells in body]
    return pd.DataFrame(values, columns=pd.Index(names, dtype=object), dtype=object)


def _not_csv(path: Path) -> str:
    return f"{path} is not a table of comma-separated values"


def _trimmed(cells: list[str]) -> list[str]:
    """Return the cells without blanks around them, up to the last one that is not empty."""
    cells = [cell.strip() for cell in cells]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _csv_rows(path: Path, text: str, key: str) -> Rows:
    """Return the rows of a CSV, separated as its line sep= says or as makes `key` a column."""
    if named := re.match(r'"?sep=(.)"?[;,\t]*(?=\r|\n|$)', text, re.IGNORECASE):
        end = re.compile(r"\r\n|\r|\n|$").search(text, named.end())
        assert end is not None
        return _parse(path, text[end.end() :], named[1], first_line=2)
    headers = {sign: _trimmed(_first_row(text, sign)) for sign in SEPARATORS}
    fitting = [sign for sign in SEPARATORS if key in headers[sign]]
    if not fitting:
        return _parse(path, text, max(SEPARATORS, key=lambda sign: len(headers[sign])))
    # Several fit a table of one column, whose cells may hold any of them
    parsed = [_parse(path, text, sign) for sign in fitting]
    return min(parsed, key=lambda rows: max((len(_trimmed(cells)) for _, cells in rows), default=0))


def _first_row(text: str, separator: str) -> list[str]:
    """Return the cells of the first row that is not blank."""
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        return next((cells for cells in rows if any(map(str.strip, cells))), [])
    except csv.Error:  # a field of more than 131,072 characters
        return []


def _parse(path: Path, text: str, separator: str, first_line: int = 1) -> Rows:
    """Return the rows of a CSV. Raises UserError for a quote that is never closed.

    Blanks before a quote are no part of a field: they would make the quote a letter.
    """
    lines = chain(io.StringIO(text, newline=""), [END])
    has_blanks = f'{separator} "' in text
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=has_blanks)
    rows, number = Rows(), first_line
    try:
        for cells in reader:
            rows.append((number, cells))
            number = first_line + reader.line_num
    except csv.Error as error:
        raise UserError(f"{_not_csv(path)}: line {number}: {error}") from error
    number, last = rows.pop()
    if last != [END]:
        raise UserError(
            f"{_not_csv(path)}: EOF inside string: a quote in line {number} is never closed"
        )
    return rows


def _workbook_rows(path: Path) -> Rows:
    """Return the rows of the first sheet of an .xlsx. Raises UserError if it cannot be read."""
    if not _is_workbook(path):
        raise UserError(f"{path} is neither CSV nor .xlsx: {REMEDY}")
    if find_spec("openpyxl") is None:
        raise UserError(
            f"{path} is an Excel workbook, which needs the optional dependency excel:"
            f" pip install -e .[excel]; or {REMEDY}"
        )
    import openpyxl  # type: ignore[import-untyped]

    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and other parts that are not read
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            first = book.worksheets[0]
            first.reset_dimensions()  # some programs write too small ones
            rows = [[_cell_text(cell) for cell in cells] for cells in first.iter_rows()]
            titles = book.sheetnames
            book.close()
    except Exception as error:  # the parser raises anything for a damaged file
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{path} cannot be read ({text}): {REMEDY}") from error
    if len(titles) > 1:
        log.info("%s: the sheet %s is read, the first of %d", path, first.title, len(titles))
    return list(enumerate(rows, 1))


def _is_workbook(path: Path) -> bool:
    """Return whether a ZIP archive holds a workbook that openpyxl reads."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def _cell_text(cell: Any) -> str:
    """Return a cell of a workbook as a spreadsheet writes it into a CSV; dates as 1887-05-01."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and re.fullmatch("0+", cell.number_format):
        return str(value).zfill(len(cell.number_format))  # the inventory number 0042
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    return str(value)
