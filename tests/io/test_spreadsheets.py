"""Users' tables, as spreadsheets of several systems write them."""

import csv
import datetime
import importlib.util
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import UserError
from src.io import workbooks
from src.io.spreadsheets import read_spreadsheet

ROWS = [["file", "artist, name", "note"], ["a.png", "Künstler; x", "1\t2"], ["b.png", "Å", ""]]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
# What a cell of a table can hold; the encodings of spreadsheets know these letters
cells = st.text(st.sampled_from("aé,;\t|\"' =1\n"), max_size=6)


def written(separator: str, rows: list[list[str]] = ROWS, end: str = "\r\n") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=end).writerows(rows)
    return text.getvalue()


def read(folder: Path, data: bytes, name: str = "works.csv") -> list[list[str]]:
    """Return header and rows of a table with these bytes."""
    (folder / name).write_bytes(data)
    table = read_spreadsheet(folder / name, "file")
    return [list(table), *table.to_numpy().tolist()]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("separator", list(",;\t|"))
def test_a_table_is_read_as_any_spreadsheet_writes_it(
    tmp_path: Path, separator: str, encoding: str
) -> None:
    assert read(tmp_path, written(separator).encode(encoding)) == ROWS


@pytest.mark.parametrize(("encoding", "name"), [("cp1252", "Windows"), ("mac_roman", "Mac OS")])
def test_lines_that_are_not_utf_8_are_decoded_with_a_warning(
    tmp_path: Path, encoding: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    end = "\r" if encoding == "mac_roman" else "\n"
    assert read(tmp_path, written(";", end=end).encode(encoding)) == ROWS
    assert "not UTF-8 in 2 of 3 lines, first in line 2, column 9 (byte 0x" in caplog.text
    assert f"read as {name}" in caplog.text and "save it as CSV UTF-8" in caplog.text


def test_lines_in_utf_8_stay_so_beside_others(tmp_path: Path) -> None:
    data = "file,artist\na,Künstler\n".encode() + "b,Künstler\n".encode("cp1252")
    assert read(tmp_path, data)[1:] == [["a", "Künstler"], ["b", "Künstler"]]


def test_utf_8_is_read_without_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(tmp_path, written(",").encode())
    assert not caplog.text


def test_damaged_utf_16_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is damaged: it starts as UTF-16 text, but byte 13"):
        read(tmp_path, "file,".encode("utf-16") + b"x")


def test_nul_characters_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert read(tmp_path, b"file,b\0\0\na,1\0\0\0\n") == [["file", "b"], ["a", "1"]]
    assert "5 NUL characters" in caplog.text


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("sep=;\r\nfile;x,y,z\r\na;1\r\n", [["file", "x,y,z"], ["a", "1"]]),
        ('"sep=\t"\nfile\tx,y\na\t1\n', [["file", "x,y"], ["a", "1"]]),
        ("sep=|\nfile|b\na|1\n", [["file", "b"], ["a", "1"]]),
        ("file\na,b;c|d.png\n", [["file"], ["a,b;c|d.png"]]),
        ('file,"a;b;c;d",e\na,"1;2",3\n', [["file", "a;b;c;d", "e"], ["a", "1;2", "3"]]),
        ('file, "a, b"\na, "1, 2"\n', [["file", "a, b"], ["a", "1, 2"]]),
        ("\n\n;;\nfile;b;;\na;c;;\n;;\n\nd\n", [["file", "b"], ["a", "c"], ["d", ""]]),
        (" file ; b \n a ; c \n", [["file", "b"], [" a ", " c "]]),
        ("file;b\n", [["file", "b"]]),
    ],
)
def test_separators_and_blank_rows(tmp_path: Path, text: str, rows: list[list[str]]) -> None:
    assert read(tmp_path, text.encode()) == rows


@given(
    st.lists(st.tuples(cells, cells), max_size=4),
    st.sampled_from(",;\t|"),
    st.sampled_from(ENCODINGS),
    cells,
)
def test_any_cells_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    separator: str,
    encoding: str,
    name: str,
) -> None:
    table = [["file", f"x{name}x"], *([f"f{one}", two] for one, two in rows)]
    folder = tmp_path_factory.mktemp("any")
    result = read(folder, written(separator, table, "\n").encode(encoding))
    assert result == table


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not a table of comma-separated values: No columns"),
        (b'file,a\nx,1\ny,"2\n\n3\n', "EOF inside string: a quote in line 3 is never closed"),
        (b'file,a\nx,"1\n2"\ny,2,3\n', "Expected 2 fields in line 4, saw 3"),
        (b"file," + b"x" * 140_000, "line 1: field larger than field limit"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old", "old Excel workbook .* save the sheet as CSV"),
        (b"PK\x03\x04 cut", "is neither CSV nor .xlsx: save the sheet as CSV UTF-8"),
    ],
)
def test_what_is_no_table_is_an_error_of_one_line(
    tmp_path: Path, data: bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, data)
    assert "\n" not in str(caught.value)


def workbook() -> bytes:
    """A workbook whose first sheet has a cell of each kind."""
    openpyxl = pytest.importorskip("openpyxl", reason="needs the optional dependency excel")
    book = openpyxl.Workbook()
    first = book.active
    first.append(["file", "year", "day", "time", "size", "real", "none", "number"])
    day, moment = datetime.datetime(1887, 5, 1), datetime.datetime(1887, 5, 1, 12, 30)
    first.append(["a.png", 1887, day, moment, 1.5, True, None, 42])
    first.append([None] * 8)
    first.append(["b.png", 1887.0])
    first["H2"].number_format = "0000"
    book.create_sheet("other").append(["no file"])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["works.xlsx", "works.csv"])
def test_the_first_sheet_of_a_workbook_is_read_as_it_is_written(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    header, *rows = read(tmp_path, workbook(), name)
    assert header[0] == "file"
    day = ["1887", "1887-05-01", "1887-05-01 12:30:00", "1.5", "TRUE", "", "0042"]
    assert rows == [["a.png", *day], ["b.png", "1887", *[""] * 6]]
    assert "the sheet Sheet is read, the first of 2" in caplog.text


def test_a_damaged_workbook_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl", reason="needs the optional dependency excel")
    with zipfile.ZipFile(tmp_path / "works.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<broken")
    with pytest.raises(UserError, match=r"cannot be read \(.*\): save the sheet as CSV UTF-8"):
        read_spreadsheet(tmp_path / "works.xlsx", "file")


def test_without_openpyxl_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = workbook()
    find = importlib.util.find_spec
    monkeypatch.setattr(
        workbooks, "find_spec", lambda name: None if name == "openpyxl" else find(name)
    )
    with pytest.raises(UserError, match=r"pip install -e .\[excel\]; or save the sheet as CSV"):
        read(tmp_path, data)
