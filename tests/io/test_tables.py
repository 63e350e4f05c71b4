import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import UserError
from src.gallery.nga_tables import SCHEMA
from src.io.tables import check_header, read_columns

COLUMNS = ["a", "b", "c"]
FIELDS = {
    "comma": (b'1,"2, two",3', ["1", "2, two", "3"]),
    "quote": (b'1,"said ""two""",3', ["1", 'said "two"', "3"]),
    "lines": (b'1,"two\n\nlines\r\nmore\r!",3', ["1", "two\n\nlines\r\nmore\r!", "3"]),
    "quoted": (b'"","",""', ["", "", ""]),
    "empty": (b",,", ["", "", ""]),
    "NA": (b" 1 ,NA,null", [" 1 ", "NA", "null"]),
    "bare quote": (b'1,2 "two" 2,3"', ["1", '2 "two" 2', '3"']),
    "odd": (b"1,\xe2\x80\xa8\xc2\x85\x0c,3", ["1", "\u2028\x85\f", "3"]),
    "NUL": (b"1,t\0wo,3", ["1", "t\0wo", "3"]),
    "not UTF-8": (b"1,t\xffwo\xc3,3", ["1", "t\ufffdwo\ufffd", "3"]),
    "long": (b"1," + b"2" * 131_072 + b",3", ["1", "2" * 131_072, "3"]),
}
DAMAGED = {
    "one": (b"1", 1),
    "two": (b"1,2", 1),
    "four": (b"1,2,3,4", 1),
    "several": (b"1,2,3,4\n1,2\n1\n1,2,3,", 4),
    "unclosed": (b'1,"2', 1),
    "first unclosed": (b'"1,2,3', 1),
    "long": (b"1," + b"2" * 131_073 + b",3", 1),
    "long unclosed": (b'1,"' + b"2" * 140_000, 1),
    "NUL": (b"1\0", 1),
    "bytes": (b"\xff\xfe", 1),
    "space": (b"  ", 1),
    "two of two lines": (b'1,"2\ntwo"', 1),
    "four of two lines": (b'1,"2\n2",3,4', 1),
    "four of six lines": (b'1,"2\n\n""2"", 2\n2",3,"4\n4\n"\n1,2', 2),
}
UNCLOSED = {
    "to the end": (b'1,2,"3', b"4,5,6\n7,8,9\n"),
    "no last line end": (b'1,2,"3', b"4,5,6\n7,8,9"),
    "last": (b'1,2,"3', b'4,5,"6"\n7,8,9\n'),
    "middle": (b'1,"2,3', b'4,"5",6\n7,8,9\n'),
    "other column": (b'1,"2,3', b'4,5,6\n"7","8","9"\n'),
    "first": (b'"1,2,3', b'"4","5","6"\n7,8,9\n'),
}
FOREIGN = {
    "lacks": (b"a,c\n1,2\n", "b"),
    "case": (b"A,B,c\n1,2,3\n", "a, b"),
    "empty": (b"", "a, b, c"),
    "blank": (b"\n\n", "a, b, c"),
    "UTF-16": (b"\xff\xfea\0,\0b\0,\0c\0", "a, b, c"),
    "HTML": (b'<!DOCTYPE html>\n<html lang="en">\n<p>Sign in</p>\n</html>\n', "a, b, c"),
    "long HTML": (b"<html>" + b" " * 140_000 + b"</html>", "a, b, c"),
    "long JSON": (b'{"message": "' + b"x" * 140_000 + b'"}', "a, b, c"),
    "unclosed": (b'"a,b,c\n' + b"1,2,3\n" * 30_000, "a, b, c"),
    "last unclosed": (b'a,b,c,"d\n1,2,3,4\n5,6,7,8\n', ".*"),
}
# No text for UTF-8: half of a pair. Fields of one table, three each row.
texts = st.text(st.characters(exclude_categories=["Cs"]))
# Bytes with many of the signs that mean something
signs = st.lists(st.sampled_from([b'"', b",", b"\r", b"\n", b"a", b"b,c", b"\0", b"\xff", b"\xc3"]))


def read(folder: Path, content: bytes) -> tuple[list[list[str]], int]:
    """The rows of a table with this content, and how many are damaged."""
    (folder / "table.csv").write_bytes(content)
    table, damaged = read_columns(folder / "table.csv", COLUMNS)
    assert list(table) == COLUMNS
    return table.to_numpy().tolist(), damaged


def words(*rows: str) -> list[list[str]]:
    return [row.split() for row in rows]


def test_columns_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    result, damaged = read(tmp_path, b"x,c,b,more,a\n0,3,2,9,1\n0,6,5,9,4\n")
    assert (result, damaged) == (words("1 2 3", "4 5 6"), 0)


@pytest.mark.parametrize(
    ("head", "present"), [("b,a", ["a", "b"]), ("?a,b", ["b"]), ("a,b,c", ["a", "b", "c"])]
)
def test_an_optional_column_is_read_if_it_exists(
    tmp_path: Path, head: str, present: list[str]
) -> None:
    path, names = tmp_path / "table.csv", ["?a", "b", "?c"]
    path.write_text(f"{head}\n")
    assert check_header(path, names) == list(read_columns(path, names)[0]) == present


@pytest.mark.parametrize(("row", "fields"), FIELDS.values(), ids=FIELDS)
def test_a_field_is_read_as_it_was_written(tmp_path: Path, row: bytes, fields: list[str]) -> None:
    result = read(tmp_path, b"a,b,c\nx,y,z\n" + row + b"\n7,8,9\n")
    assert result == ([["x", "y", "z"], fields, ["7", "8", "9"]], 0)


@pytest.mark.parametrize(("row", "damaged"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_row_is_skipped_and_counted(tmp_path: Path, row: bytes, damaged: int) -> None:
    result = read(tmp_path, b"a,b,c\nx,y,z\n" + row + b'\n4,5,6\n7,"8, ""eight""\n8",9\n')
    assert result == ([["x", "y", "z"], ["4", "5", "6"], ["7", '8, "eight"\n8', "9"]], damaged)


@pytest.mark.parametrize(("row", "after"), UNCLOSED.values(), ids=UNCLOSED)
def test_a_quote_that_is_never_closed_loses_only_its_own_row(
    tmp_path: Path, row: bytes, after: bytes
) -> None:
    result = read(tmp_path, b"a,b,c\n0,0,0\n" + row + b"\n" + after)
    assert result == (words("0 0 0", "4 5 6", "7 8 9"), 1)


def test_a_quote_that_is_never_closed_in_the_last_row_is_counted(tmp_path: Path) -> None:
    assert read(tmp_path, b'a,b,c\n1,2,3\n4,5,"6\n') == (words("1 2 3"), 1)


def test_rows_after_a_field_that_is_too_long_survive(tmp_path: Path) -> None:
    row = b'1,"' + b"2\n" * 70_000 + b'",3'
    result, damaged = read(tmp_path, b"a,b,c\n" + row + b"\n4,5,6\n7,8,9\n")
    assert result == words("4 5 6", "7 8 9")
    assert damaged >= 1


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n\r\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["no BOM", "BOM"])
def test_line_ends_blank_lines_and_a_byte_order_mark_change_nothing(
    tmp_path: Path, end: bytes, start: bytes
) -> None:
    lines = [b"a,b,c", b"1,2,3", b'4,"5",6']
    assert read(tmp_path, start + end.join(lines)) == (words("1 2 3", "4 5 6"), 0)
    assert read(tmp_path, start + end.join([*lines, b""])) == (words("1 2 3", "4 5 6"), 0)


def test_a_table_without_rows_is_valid(tmp_path: Path) -> None:
    assert read(tmp_path, b"a,b,c\n") == read(tmp_path, b"a,b,c") == ([], 0)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"table\.csv does not exist: data\.tables"):
        read_columns(tmp_path / "table.csv", COLUMNS)


@pytest.mark.parametrize(("content", "missing"), FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_is_not_such_a_table_is_an_error(
    tmp_path: Path, content: bytes, missing: str
) -> None:
    with pytest.raises(
        UserError,
        match=rf"table\.csv has no column {missing}: it is not one of the museum's tables",
    ):
        read(tmp_path, content)


@given(st.lists(st.tuples(texts, texts, texts)), st.permutations(COLUMNS))
def test_any_text_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], header: list[str]
) -> None:
    path = tmp_path_factory.mktemp("any") / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    table, damaged = read_columns(path, header)
    assert (table.to_numpy().tolist(), damaged) == ([list(row) for row in rows], 0)


@given(st.binary() | signs.map(b"".join), st.sampled_from([b"", b"a,b,c\n", b"a,b,c,d\r\n"]))
def test_any_bytes_are_a_table_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, header: bytes
) -> None:
    try:
        rows, damaged = read(tmp_path_factory.mktemp("any"), header + content)
    except UserError:
        assert not header
    else:
        assert all(len(row) == 3 and all(isinstance(f, str) for f in row) for row in rows)
        assert damaged >= 0


@given(signs.map(b"".join))
def test_the_last_row_survives_anything_before_it(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    last = b'\n1,"2 ""two"", 2",3\n'
    rows, _ = read(tmp_path_factory.mktemp("any"), b"a,b,c\n" + content + last)
    assert rows[-1] == ["1", '2 "two", 2', "3"]


def test_the_real_images_are_read_in_both_schemas(shared_data: Path) -> None:
    folder, names = shared_data / "nga", ["uuid", "width", "maxpixels", "?openaccess"]
    old, damaged = read_columns(folder / "published_images.real_rows.2023schema.csv", names)
    assert (list(old), damaged) == (["uuid", "width", "maxpixels"], 0)
    assert list(old["width"]) == ["28841", "18412", "4736", "5669", "18397"]
    assert list(old["maxpixels"]) == ["", "", "", "640", ""]
    new, damaged = read_columns(folder / "published_images.real_row.2026schema.csv", names)
    row = ["03ee67ee-dd0e-443f-84ef-ede5f62ce0cd", "12375", "", "1"]
    assert (new.to_numpy().tolist(), damaged) == ([row], 0)


def test_the_real_texts_keep_their_lines_quotes_and_commas(shared_data: Path) -> None:
    names = ["objectid", "dimensions", "provenancetext", "customprinturl"]
    table, damaged = read_columns(shared_data / "nga" / "objects.real_rows.csv", names)
    assert (list(table["objectid"]), damaged) == (["37003", "46569", "66755", "119052"], 0)
    assert table["dimensions"][0].splitlines()[1].startswith("framed: 99.7 × 91.12 × 8.89 cm")
    note = 'gift 1949 to NGA.\r\n\r\n\r\n[1] [note shortened here] consigned by "Pritchard" to'
    assert note in table["provenancetext"][0]
    assert table["customprinturl"][2] == ""


def test_the_real_constituents_are_read(shared_data: Path) -> None:
    names = ["constituentid", "forwarddisplayname", "nationality"]
    table, damaged = read_columns(shared_data / "nga" / "constituents.csv", names)
    assert (len(table), damaged) == (27_438, 0)
    people = table.set_index("constituentid")
    assert list(people.loc["1485"]) == ["Judith Leyster", "Dutch"]
    assert list(people.loc["1902"]) == ["Théophile Alexandre Steinlen", "Swiss"]


def test_the_real_headers_have_what_is_read(shared_data: Path, tmp_path: Path) -> None:
    headers = json.loads((shared_data / "nga" / "headers.json").read_text())
    for name, header in headers.items():
        table, _, year = name.partition(" ")
        (tmp_path / table).write_text(",".join(header) + "\n")
        result = check_header(tmp_path / table, SCHEMA[table])
        assert len(result) == len(SCHEMA[table]) - ("no openaccess" in year)
    assert {name.partition(" ")[0] for name in headers} == set(SCHEMA)
