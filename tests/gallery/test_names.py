"""Files and labels whose names are spelled in another way than on the disk."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import UserError
from src.evaluation.metric_table import METRICS
from src.evaluation.metrics import is_filtered, reserved_group
from src.gallery.names import FileNames, normal_text
from tests.support.galleries import column, labeled, listed, make_images

NFC, NFD = (unicodedata.normalize(form, "Künstler/é.png") for form in ("NFC", "NFD"))
FOLDER = "my/works"


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (NFC, NFD),
        (NFD, NFC),
        ("ada/0.png", " ada / 0.png\t"),
        ("ada /0.png", "ada/0.png"),
        ("a b.png", "a\u00a0 b.png"),
        ("ada/0.png", "ada\\0.png"),
        ("ada/0.png", ".\\ada\\0.png"),
        ("ada/0.png", ".//ada/./0.png"),
        ("ada/0.png", f"{FOLDER}/ada/0.png"),
        ("ada/0.png", f"./{FOLDER}/ada/0.png"),
        ("ada/0.png", os.path.abspath(f"{FOLDER}/ada/0.png")),
        ("img_1.jpg", "IMG_1.JPG"),
        ("STRASSE.png", "straße.PNG"),
        (NFD, NFC.upper()),
        (os.fsdecode("Künstler.png".encode("cp1252")), "Künstler.png"),
    ],
)
def test_a_file_is_found_by_another_spelling(file: str, name: str) -> None:
    match = FileNames(["other.png", file], Path(FOLDER)).find(name)
    assert match.files == [file]
    assert match.difference


def test_an_exact_name_is_preferred() -> None:
    files = [r"ada\0.png", "ada/0.png", "A.png", "a.png", NFC, NFD, "b.png", "b.png "]
    names = FileNames(files, Path(FOLDER))
    assert [names.find(file) for file in files] == [([file], "") for file in files]


def test_a_name_that_fits_several_files_is_ambiguous() -> None:
    names = FileNames(["A.png", "a.png", "b.png"], Path(FOLDER))
    assert names.find("a.PNG").files == ["A.png", "a.png"]
    assert names.find("c.png").files == []


@given(st.text(st.sampled_from("aé \u0301/\\.A\udce9"), min_size=1))
def test_every_file_is_found_by_its_own_name(file: str) -> None:
    assert FileNames([file, "other"], Path(FOLDER)).find(file).files == [file]


@given(st.text())
def test_normal_text_is_stable(text: str) -> None:
    assert normal_text(normal_text(text)) == normal_text(text) == normal_text(f" {nfd(text)}\t ")


def test_rows_match_other_spellings_and_the_log_counts_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = make_images(tmp_path / "in", NFD, "b/1.png", "c/2.png", "D/3.png", r"e\4.png")
    table = f"file,style\n{NFC},one\nb\\1.png,two\n c/2.png ,three\nd/3.PNG,four\ne\\4.png,five\n"
    gallery = labeled(folder, table + "none.png,six\n")
    styles = dict(zip(gallery.files, column(gallery, "style"), strict=True))
    assert styles == {
        NFD: "one",
        "b/1.png": "two",
        "c/2.png": "three",
        "D/3.png": "four",
        r"e\4.png": "five",
    }
    assert "labels: 4 rows" in caplog.text and "upper and lower case 1" in caplog.text
    assert "labels: 1 rows" in caplog.text and "match no image, such as 'none.png'" in caplog.text


@pytest.mark.parametrize(
    ("first", "second"), [(NFC, NFD), ("b/1.png", r"B\1.PNG"), ("b/1.png", " b/1.png")]
)
def test_two_rows_that_mean_one_file_are_an_error(tmp_path: Path, first: str, second: str) -> None:
    folder = make_images(tmp_path / "in", NFC, "b/1.png")
    with pytest.raises(UserError, match="twice, as .* and .*: keep one line per file"):
        labeled(folder, f"file,style\n{first},x\n{second},y\n")


def test_a_row_that_fits_several_images_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_images(tmp_path / "in", "A.png", "a.png", "b.png")
    gallery = labeled(folder, "file,style\nb.png,x\na.PNG,y\n")
    assert column(gallery, "style") == ["", "", "x"]
    assert "1 rows" in caplog.text and "fit several images" in caplog.text


def test_labels_that_look_alike_are_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    folder = make_images(tmp_path / "in", *(f"{number}.png" for number in range(6)))
    values = ["Monet", "Monet ", " Monet\u00a0", "Café", nfd("Café"), "Claude  Monet"]
    rows = "".join(f"{number}.png,{value}\n" for number, value in enumerate(values))
    gallery = labeled(folder, f"file,style\n{rows}")
    assert column(gallery, "style") == [*["Monet"] * 3, "Café", "Café", "Claude Monet"]
    assert "labels: blanks or letters brought into one form in 4 values: style 4" in caplog.text


def test_folders_that_look_alike_are_one_label(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "Monet/1.png", "Monet /2.png", nfd("é/3.png"), "é/4.png")
    gallery = listed(folder)
    assert sorted(column(gallery, "folder")) == ["Monet", "Monet", "é", "é"]
    assert {Path(file).parts[0] for file in gallery.files} == {"Monet", "Monet ", nfd("é"), "é"}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("file,artist,artist ", "2 columns named artist, apart from blanks"),
        ("file,artist,artist", "2 columns named artist"),
        ("file, file", "2 columns named file"),
        (f"file,é,{nfd('é')}", "2 columns named é"),
        ("file,object", "column named object, but object names the program's own metrics"),
        ("file,seconds", "but seconds names the program's own metrics"),
        ("file,seconds/embed", "but seconds names the program's own metrics"),
        ("file,style-no_same_artist", "but -no_same_ names the program's own metrics"),
        (f"file,{'x' * 201}", "name has 201 characters, at most 200"),
        ("name," + "x," * 400, "has no column named file; it has name, x, .{200,300}…$"),
    ],
)
def test_a_column_that_cannot_be_a_label_is_an_error_before_any_work(
    tmp_path: Path, header: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        labeled(tmp_path / "no folder", f"{header}\na.png,1\n")
    assert "\n" not in str(caught.value)


def test_no_group_of_the_programs_own_metrics_can_be_a_label() -> None:
    own = {metric.pattern.partition("/")[0] for metric in METRICS if "/" in metric.pattern}
    assert own == {"<label>", "judged", "object", "seconds"}
    assert not any(map(reserved_group, ["style", "chance", "intra", "a/object", "objects"]))
    assert all(map(is_filtered, ["style-no_same_artist/queries"]))


def test_names_of_columns_become_one_line(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "1.png", "2.png")
    gallery = labeled(folder, 'file,"of\nthe\t style\x07"," a/b=c "\n1.png,x,y\n')
    assert {"of the style", "a/b=c"} <= set(gallery.works)


def test_columns_about_the_files_are_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    labeled(make_images(tmp_path / "in", "1.png", "2.png"), "file,width,sha256\n1.png,9,9\n")
    assert "labels: columns width, sha256 are read from the images, not from" in caplog.text
