"""Tables of verdicts about pairs of images: what is read, what is refused."""

from pathlib import Path

import pandas as pd
import pytest

from src.errors import UserError
from src.gallery.judgements import (
    Verdict,
    gallery_verdicts,
    match_verdicts,
    name_finder,
    read_verdicts,
)
from src.io import spreadsheets, workbooks

HEAD = "query,neighbor,judgement\n"
WORKS = pd.DataFrame(
    {"image_id": ["i0", "i1", "i2"], "file": ["a.png", "sub/é.png", "=c.png"]}, dtype=object
)


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "j.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_one_and_yes_are_good_and_an_empty_cell_takes_back(tmp_path: Path) -> None:
    lines = ["a,b,1", "a,c,0", "a,d, YES ", "a,e,no", "a,f,1.0", "a,g,1", "a,g,", "", "a,h,0.0"]
    lines += ["a,i,True", "a,j,False"]
    verdicts = read_verdicts(write(tmp_path, HEAD + "\n".join(lines)))
    assert [(verdict.neighbor, verdict.is_good) for verdict in verdicts] == [
        *(("b", True), ("c", False), ("d", True), ("e", False), ("f", True)),
        *(("g", None), ("h", False), ("i", True), ("j", False)),
    ]


def test_the_last_line_of_each_judge_counts(tmp_path: Path) -> None:
    text = (
        "judge,query,time,neighbor,judgment\nann,a,1,b,1\nbob,a,2,b,0\n ann ,a,3,b,0\nann,b,4,a,1"
    )
    assert read_verdicts(write(tmp_path, text)) == [
        *(Verdict("a", "b", "bob", False), Verdict("a", "b", "ann", False)),
        Verdict("b", "a", "ann", True),  # a pair has a direction
    ]


@pytest.mark.parametrize(("column", "warned"), [("note", True), ("judge", False)])
def test_contradictions_of_nobody_by_name_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, column: str, warned: bool
) -> None:
    lines = ["a,b,1", "a,b,1", "a,c,1", "a,b,0", "a,c,", "a,c,0"]  # the last two: taken back
    text = f"query,neighbor,judgement,{column}\n" + "".join(f"{line},x\n" for line in lines)
    assert [verdict.is_good for verdict in read_verdicts(write(tmp_path, text))] == [False, False]
    assert ("1 of 6 lines contradict an earlier one" in caplog.text) == warned


def test_columns_are_found_in_any_case_and_in_british_spelling(tmp_path: Path) -> None:
    text = "Query;NEIGHBOUR;Judgement\n007;7;1\n7;007;0\n"
    assert read_verdicts(write(tmp_path, text)) == [
        *(Verdict("007", "7", "", True), Verdict("7", "007", "", False)),  # ids are texts
    ]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_spreadsheets_table_is_read(tmp_path: Path, separator: str) -> None:
    text = "query,neighbor,judgement\r\na.png,b.png,1\r\n".replace(",", separator)
    path = write(tmp_path, b"\xef\xbb\xbf" + text.encode())
    assert read_verdicts(path) == [Verdict("a.png", "b.png", "", True)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "a,b,1\n\na,c,maybe\n", r"line 4: judgement must be 1 or yes .* got 'maybe'$"),
        (HEAD + "a,b,2\n", "line 2: judgement must be 1 or yes"),
        (HEAD + 'a,"b\nb",1\na,c,-1\n', "line 4: judgement must be 1 or yes"),
        (HEAD + f"a,b,{'9' * 5000}\n", r"got '9{40}'$"),
        (HEAD + "a,b,\x1b[2J\n", r"got '\\\\x1b\[2J'$"),
        (HEAD + ",b,1\n", "line 2: query or neighbor is empty"),
        (HEAD + "a, ,1\n", "line 2: query or neighbor is empty"),
        ("query,neighbor\na,b\n", "must have one column named judgement; it has query, neighbor"),
        ("file,score\na,b\n", "must have one column named query; it has file, score"),
        ("query,neighbor,judgement,judgment\na,b,1,0\n", "must have one column named judgement"),
        ("Query,query,neighbor,judgement\na,b,c,0\n", "named query; it has Query, query"),
        ("query,neighbor,judgement,judge,judge\n", "must have one column named judge;"),
        (HEAD + "a,b,1,2\n", "more fields than the header"),
        ("", "No columns, the file is empty"),
        (HEAD + '"a,b,1\n', "a quote in line 2 is never closed"),
    ],
)
def test_what_is_no_table_of_judgements_is_refused_in_one_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_verdicts(write(tmp_path, text))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_huge_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, HEAD + "a,b,1\n" * 100)
    monkeypatch.setattr(spreadsheets, "MAX_CELLS", 300)
    with pytest.raises(UserError, match="more than 5000000 rows and cells"):
        read_verdicts(path)
    assert workbooks.MAX_CELLS == 5_000_000
    monkeypatch.setattr(spreadsheets, "MAX_BYTES", 100)
    with pytest.raises(UserError, match="at most 100 bytes are read"):
        read_verdicts(path)


def test_names_are_files_or_ids_in_any_spelling(tmp_path: Path) -> None:
    names = ["a.png", "./a.png", str(tmp_path / "a.png"), "A.PNG", "i0", " i0 "]
    verdicts = [Verdict(name, "sub\\é.png", str(at), True) for at, name in enumerate(names)]
    verdicts += [Verdict("a.png", "b.png", "", True), Verdict("=c.png", "i1", "", False)]
    found, unknown = match_verdicts(verdicts, name_finder(WORKS, tmp_path))
    assert unknown == 1
    assert found == [
        *(Verdict("a.png", "sub/é.png", str(at), True) for at in range(len(names))),
        Verdict("=c.png", "sub/é.png", "", False),
    ]


def test_a_verdict_is_taken_back_by_any_name_of_the_pair(tmp_path: Path) -> None:
    read = read_verdicts(write(tmp_path, HEAD + "i0,i1,1\na.png,i2,1\na.png,sub/é.png,\n"))
    found, unknown = match_verdicts(read, name_finder(WORKS, tmp_path))
    assert found == [Verdict("a.png", "=c.png", "", True)] and not unknown


def test_ids_that_repeat_name_nothing() -> None:
    works = WORKS.assign(image_id="same")
    for table, name in ((works, "same"), (WORKS[["file"]], "i0")):
        assert name_finder(table, Path())(name) == ""
        assert name_finder(table, Path())("a.png") == "a.png"


def test_the_number_of_a_row_is_no_name_of_images_that_are_named_by_numbers() -> None:
    works = pd.DataFrame({"image_id": ["0", "1", "7"], "file": ["007", "5", "1"]}, dtype=object)
    find = name_finder(works, Path())
    assert [find(name) for name in ("007", "5", "1", "7", "0")] == ["007", "5", "1", "", ""]


@pytest.mark.parametrize(("escaped", "name"), [(True, "'=c.png"), (False, "=c.png")])
def test_cells_that_a_spreadsheet_would_compute(tmp_path: Path, escaped: bool, name: str) -> None:
    path = write(tmp_path, f"{HEAD}a.png,{name},1\n")
    assert gallery_verdicts(path, WORKS, tmp_path, escaped) == [
        Verdict("a.png", "=c.png", "", True)
    ]


def test_the_browsers_table_is_read_with_any_options(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEAD}a.png,'=c.png,1\n")
    for escaped in (True, False):
        verdicts = gallery_verdicts(path, WORKS, tmp_path, escaped)
        assert verdicts == [Verdict("a.png", "=c.png", "", True)]


@pytest.mark.parametrize(
    ("escaped", "cell", "file"),
    [(False, "'=c.png", "'=c.png"), (True, "'=c.png", "=c.png"), (True, "''=c.png", "'=c.png")],
)
def test_an_apostrophe_is_part_of_a_name_only_where_nothing_is_escaped(
    tmp_path: Path, escaped: bool, cell: str, file: str
) -> None:
    works = pd.DataFrame({"file": ["a.png", "=c.png", "'=c.png"]}, dtype=object)
    path = write(tmp_path, f"{HEAD}a.png,{cell},1\n")
    assert gallery_verdicts(path, works, tmp_path, escaped) == [Verdict("a.png", file, "", True)]


def test_a_name_that_two_files_fit_equally_well_names_none(tmp_path: Path) -> None:
    find = name_finder(pd.DataFrame({"file": ["A.png", "a.png"]}, dtype=object), tmp_path)
    assert (find("a.PNG"), find("a.png"), find("./A.png")) == ("", "a.png", "A.png")


def test_verdicts_about_other_images_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = write(tmp_path, f"{HEAD}a.png,i1,1\nx.png,i1,1\na.png,y.png,0\n")
    assert gallery_verdicts(path, WORKS, tmp_path) == [Verdict("a.png", "sub/é.png", "", True)]
    assert "1 verdict by one judge" in caplog.text
    assert "2 of 3 are about other images" in caplog.text


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("x,y,1\n", "has no pair of the 3 images: .* must hold files like a.png, or image_id"),
        ("a.png,i1,1\na.png,i1,\n", "has no judgements: leave it out, or judge pairs"),
    ],
)
def test_a_table_without_a_known_pair_is_refused(tmp_path: Path, lines: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        gallery_verdicts(write(tmp_path, HEAD + lines), WORKS, tmp_path)
