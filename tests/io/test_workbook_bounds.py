"""Hostile workbooks and long CSV of users: bounded in time and memory, refused in one line."""

import io
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from src.errors import UserError
from src.io import spreadsheets, workbooks
from src.io.spreadsheets import read_spreadsheet

pytest.importorskip("openpyxl", reason="needs the optional dependency excel")
NAMES = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
SHEET, STRINGS, STYLES = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml"
WORKSHEET = "<worksheet " + NAMES + "><sheetData>{}</sheetData></worksheet>"
MANY_CELLS = "more than 5000000 rows and cells: keep only the columns and rows of use"


def book(parts: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a workbook of one sheet with some of its parts replaced."""
    import openpyxl

    made, stream = io.BytesIO(), io.BytesIO()
    plain = openpyxl.Workbook()
    plain.active.append(["file", "a"])
    plain.save(made)
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(stream, "w", method) as new:
        all_parts = {name: old.read(name) for name in old.namelist()} | parts
        if STRINGS in parts:
            types = all_parts["[Content_Types].xml"]
            assert isinstance(types, bytes)
            override = f'<Override PartName="/{STRINGS}" ContentType="{TYPES}"/></Types>'
            all_parts["[Content_Types].xml"] = types.replace(b"</Types>", override.encode())
        for name, content in all_parts.items():
            new.writestr(name, content)
    return stream.getvalue()


def sheet(cells: str) -> dict[str, str | bytes]:
    return {SHEET: WORKSHEET.format(cells)}


def laughing(encoding: str = "utf-8", gap: int = 0) -> dict[str, str | bytes]:
    """Return a sheet of entities that stand for a billion letters."""
    entities = '<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)
    )
    cell = '<row><c t="inlineStr"><is><t>&a9;</t></is></c></row>'
    text = f"<?xml version='1.0'?>{' ' * gap}<!DOCTYPE x [{entities}]>" + WORKSHEET.format(cell)
    return {SHEET: text.encode(encoding)}


def lying() -> bytes:
    """Return a workbook whose directory declares another size of a part than it has."""
    data = bytearray(book(sheet("<row/>" * 100_000), zipfile.ZIP_STORED))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = archive.getinfo(SHEET).file_size
    return bytes(data).replace(struct.pack("<II", size, size), struct.pack("<II", size, 10))


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "unpacked": (lambda: book({SHEET: b" " * (2**28 + 1)}), "parts are larger than 268.4 MB"),
    "other method": (lambda: book(sheet(""), zipfile.ZIP_BZIP2), "not compressed as a spread"),
    "tags": (lambda: book(sheet("<a></a>" * 5_100_000)), MANY_CELLS),
    "row far below": (lambda: book(sheet('<row r="2000000000"><c/></row>')), MANY_CELLS),
    "cells far right": (lambda: book(sheet('<row><c r="XFD1"/></row>' * 400)), MANY_CELLS),
    "styles": (lambda: book({STYLES: "<xf/>" * 600_000}), "too many styles or other settings"),
    "entities": (lambda: book(laughing()), r"declares entities of XML \(xl/worksheets/sheet1"),
    "entities in UTF-16": (lambda: book(laughing("utf-16")), "declares entities of XML"),
    "entities later": (lambda: book(laughing(gap=2**20 - 24)), "declares entities of XML"),
    "depth": (lambda: book(sheet("<a>" * 100_000)), "cannot be read"),
    "files": (lambda: book({f"x{n}": b"" for n in range(10_000)}), "more than 10000 files"),
    "lie": (lying, "cannot be read|neither CSV nor"),
    "digits": (lambda: book(sheet(f"<row><c><v>{'9' * 5000}</v></c></row>")), "cannot be read"),
    "far column": (lambda: book(sheet('<row><c r="ZZZZZZ1"/></row>')), "cannot be read"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("make", "message"), BOMBS.values(), ids=BOMBS)
def test_a_workbook_that_is_a_bomb_is_refused(
    make: Callable[[], bytes], message: str, tmp_path: Path
) -> None:
    (tmp_path / "works.xlsx").write_bytes(make())
    began = time.process_time()
    with pytest.raises(UserError, match=message) as caught:
        read_spreadsheet(tmp_path / "works.xlsx", "file")
    assert "\n" not in str(caught.value)
    assert time.process_time() - began < 4


def test_many_cells_of_one_long_text_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"<sst {NAMES}><si><t>{'x' * 10_000}</t></si></sst>"
    cells = '<row><c t="s"><v>0</v></c></row>' * 100
    (tmp_path / "works.xlsx").write_bytes(book({STRINGS: text, **sheet(cells)}))
    assert len(read_spreadsheet(tmp_path / "works.xlsx", "file")) == 99
    monkeypatch.setattr(workbooks, "MAX_UNPACKED", 900_000)
    with pytest.raises(UserError, match="has more than 900000 characters: save the sheet as CSV"):
        read_spreadsheet(tmp_path / "works.xlsx", "file")


LONG = {  # what a CSV repeats after its header
    "lines": (b"\n", "more than 20000 rows and cells"),
    "Mac lines": (b"\r", "more than 20000 rows and cells"),
    "rows": (b"a,b\n", "more than 20000 rows and cells"),
    "fields": (b",", "line 2: a row of more than 10000 characters"),
    "a quote that each line opens": (b'a","\n', "more than 20000 rows and cells"),
    "a line": (b"a", "line 2: a row of more than 10000 characters"),
    "wide rows": (b"a" + b"," * 9_000 + b"\n", "more than 20000 rows and cells"),
}


@pytest.mark.parametrize(("unit", "message"), LONG.values(), ids=LONG)
def test_a_csv_without_end_is_refused(
    unit: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_CELLS", 20_000)
    monkeypatch.setattr(workbooks, "MAX_CELLS", 20_000)
    monkeypatch.setattr(spreadsheets, "MAX_ROW", 10_000)
    (tmp_path / "works.csv").write_bytes(b"file,a\n" + unit * (500_000 // len(unit)))
    tracemalloc.start()
    with pytest.raises(UserError, match=message):
        read_spreadsheet(tmp_path / "works.csv", "file")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6


@pytest.mark.timeout(60)
def test_lines_that_are_not_utf_8_take_no_more_memory_for_each(tmp_path: Path) -> None:
    (tmp_path / "works.csv").write_bytes(b"file,a\n" + b"\xe9\n" * 50_000)
    tracemalloc.start()
    table = read_spreadsheet(tmp_path / "works.csv", "file")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(table["file"]) == {"é"}
    assert peak < 17e6  # the rows; a message for each line took as much again
