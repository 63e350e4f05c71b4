"""Read the first sheet of an .xlsx workbook, in bounded time and memory."""

import io
import logging
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime, time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich import filesize

from src.errors import UserError

log = logging.getLogger(__name__)

REMEDY = "save the sheet as CSV UTF-8"
PART = b"PK\x01\x02"  # begins the entry of each part in the archive's directory
# Of a ZIP that is damaged or has a password
ARCHIVE_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError),
)
MAX_PARTS = 10_000
MAX_UNPACKED = 2**28  # bytes of all parts together
MAX_TAGS = 10_000_000  # in all parts together; a cell takes four
MAX_OTHER_TAGS = 500_000  # in those without cells, such as styles, which become many objects each
CELLS = ("xl/worksheets/", "xl/sharedStrings.xml")  # where cells are
MAX_CELLS = 5_000_000  # of a table, each row counted, too: 500,000 images with nine columns
PIECE_BYTES = 2**20
Rows = list[tuple[int, list[str]]]  # number of the line or row in the file, from 1, and its cells


def is_filled(cells: list[str]) -> bool:
    """Return whether a row is not blank."""
    return any(map(str.strip, cells))


def too_many_cells(path: Path) -> str:
    """Return the message for a table that is too large."""
    return f"{path} has more than {MAX_CELLS} rows and cells: keep only the columns and rows of use"


def read_workbook(path: Path, data: bytes) -> Rows:
    """Return the rows of the first sheet that are not blank, as text.

    `data` is the content of path. Raises UserError if it is too large or cannot be read.
    """
    _check_archive(path, data)
    if find_spec("openpyxl") is None:
        raise UserError(
            f"{path} is an Excel workbook, which needs the optional dependency excel:"
            f" pip install -e .[excel]; or {REMEDY}"
        )
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and other parts that are not read
            book = openpyxl.load_workbook(
                io.BytesIO(data), read_only=True, data_only=True, keep_links=False
            )
            first = book.worksheets[0]
            first.reset_dimensions()  # some programs write too small ones
            rows = list(_filled_rows(path, first))
            titles = book.sheetnames
            book.close()
    except UserError:
        raise
    except Exception as error:  # the parser raises anything for a damaged file
        raise _damaged(path, error) from error
    if len(titles) > 1:
        log.info("%s: the sheet %s is read, the first of %d", path, first.title, len(titles))
    return rows


def _damaged(path: Path, error: Exception) -> UserError:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return UserError(f"{path} cannot be read ({text}): {REMEDY}")


def _check_archive(path: Path, data: bytes) -> None:
    """Raise UserError if an archive is no workbook, or one that takes too long or much to read."""
    if data.count(PART) > MAX_PARTS:
        raise UserError(f"{path} is an archive of more than {MAX_PARTS} files: {REMEDY}")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except ARCHIVE_ERRORS as error:
        raise UserError(f"{path} is neither CSV nor .xlsx: {REMEDY}") from error
    with archive:
        if "xl/workbook.xml" not in archive.namelist():
            raise UserError(f"{path} is neither CSV nor .xlsx: {REMEDY}")
        try:
            _check_parts(path, archive)
        except ARCHIVE_ERRORS as error:
            raise _damaged(path, error) from error


def _check_parts(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise UserError if the parts of a workbook are too large, or declare entities.

    A few declarations of XML stand for any amount of text. No spreadsheet writes one.
    """
    parts = archive.infolist()
    size = sum(part.file_size for part in parts)
    methods = {part.compress_type for part in parts}
    # Python unpacks the other methods without a limit
    if size > MAX_UNPACKED or not methods <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise UserError(
            f"{path} is not unpacked: its parts are larger than {filesize.decimal(MAX_UNPACKED)}"
            f" together, or not compressed as a spreadsheet does: {REMEDY}"
        )
    tags = other_tags = 0
    for part in parts:
        for piece in _pieces(archive, part):
            tags += (count := piece.count(b"<"))
            other_tags += 0 if part.filename.startswith(CELLS) else count
            if tags > MAX_TAGS:
                raise UserError(too_many_cells(path))
            if other_tags > MAX_OTHER_TAGS:
                raise UserError(f"{path} has too many styles or other settings: {REMEDY}")
            if b"<!DOCTYPE" in piece:
                raise UserError(f"{path} declares entities of XML ({part.filename}): {REMEDY}")


def _pieces(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a part piece by piece, without NUL so that UTF-16 is readable; pieces overlap."""
    end = b""
    with archive.open(part) as file:
        while piece := file.read(PIECE_BYTES):
            piece = end + piece.replace(b"\0", b"")
            yield piece
            end = piece[-8:]  # one less than the text that is looked for


def _filled_rows(path: Path, sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each row that is not blank.

    Counts those that are, too: a sheet of a few bytes may name a cell a million rows below.
    """
    total = size = 0
    for number, cells in enumerate(sheet.iter_rows(), 1):
        total += 1 + len(cells)
        if total > MAX_CELLS:
            raise UserError(too_many_cells(path))
        if cells and is_filled(texts := [_cell_text(cell) for cell in cells]):
            size += sum(map(len, texts))  # of texts that several cells may share
            if size > MAX_UNPACKED:
                raise UserError(f"{path} has more than {MAX_UNPACKED} characters: {REMEDY}")
            yield number, texts


def _cell_text(cell: Any) -> str:
    """Return a cell of a workbook as a spreadsheet writes it into a CSV; dates as 1887-05-01."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and re.fullmatch("0{1,99}", cell.number_format):
        return str(value).zfill(len(cell.number_format))  # the inventory number 0042
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    return str(value)
