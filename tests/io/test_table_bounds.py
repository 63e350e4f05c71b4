"""Hostile tables: rows, quotes and lines without end take bounded time and memory."""

import tracemalloc
from pathlib import Path

import pytest

from src.errors import UserError
from src.io import tables
from src.io.tables import read_columns

UNITS = {  # what a table repeats without end, and the error that it ends in
    "a quote that each line opens": (b'a","\n', "is damaged: .* data.refresh=true"),
    "quotes of two lines": (b'"x\n', "more than 20000 rows"),
    "letters after quotes": (b'"a"b\n', "more than 20000 rows"),
    "blank lines": (b"\n", "more than 20000 rows"),
    "rows": (b"1,2,3\n", "more than 20000 rows"),
    "a record of many lines": (b'"\n",', "more than 20000 rows"),
    "a line": (b"x", None),
    "fields": (b",", None),
    "NUL": (b"\0", None),
    "a quoted line": (b'"",', None),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("unit", "message"), UNITS.values(), ids=UNITS)
def test_repetition_without_end_is_bounded(
    unit: bytes, message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("MAX_RECORD", 10_000), ("MAX_ROWS", 20_000), ("MAX_REREAD", 300_000)):
        monkeypatch.setattr(tables, name, value)
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,b,c\n" + unit * (4_000_000 // len(unit)) + b"\n1,2,3\n")
    tracemalloc.start()
    try:
        if message:
            with pytest.raises(UserError, match=message):
                read_columns(path, ["a", "b", "c"])
        else:
            table, damaged = read_columns(path, ["a", "b", "c"])
            assert (table.to_numpy().tolist(), damaged > 0) == ([["1", "2", "3"]], True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8e6  # bytes: 20,000 rows


@pytest.mark.parametrize("size", [9_998, 9_999, 10_000, 10_001, 20_000, 25_000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_line_that_is_too_long_is_skipped_whole(
    size: int, end: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_RECORD", 10_000)
    path, long = tmp_path / "table.csv", b"1,2," + b"3" * (size - 4 - len(end))
    path.write_bytes(end.join([b"a,b,c", b"0,0,0", long, b"4,5,6", b"7,8,9", b""]))
    table, damaged = read_columns(path, ["a", "b"])
    rows = [["0", "0"], *[["1", "2"]] * (size < 10_000), ["4", "5"], ["7", "8"]]
    assert (table.to_numpy().tolist(), damaged) == (rows, int(size >= 10_000))


@pytest.mark.parametrize("size", [100, 10**6])
@pytest.mark.parametrize("start", [b"x", b'"x\n', b'"\n",', b"a,b,"])
def test_a_header_without_end_is_an_error(start: bytes, size: int, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(start * size)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"table\.csv has no column c: .*'$"):
        read_columns(tmp_path / "table.csv", ["c"])
    assert tracemalloc.get_traced_memory()[1] < 8e6
    tracemalloc.stop()


def test_a_column_that_is_read_occurs_once(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"a,b,b,c,a\n1,2,3,4,5\n")
    assert list(read_columns(tmp_path / "table.csv", ["c"])[0]["c"]) == ["4"]
    with pytest.raises(UserError, match=r"table\.csv has several columns a: which one counts"):
        read_columns(tmp_path / "table.csv", ["c", "a"])
