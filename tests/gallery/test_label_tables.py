"""Tables of labels beside a folder of images: joined by file, read as Excel writes them."""

import csv
from pathlib import Path

import pytest

from src.errors import UserError
from src.gallery import read_gallery
from src.gallery.folder import folder_gallery
from tests.support.galleries import column, labeled, listed, make_images


def test_labels_are_joined_by_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make_images(tmp_path / "in", "a/1.png", "b/2.png", "b/3.png")
    lines = 'file,artist,note\nb\\2.png,NA,"x, ""y""\nz"\n./a/1.png,None,\nother.png,nobody,\n'
    gallery = labeled(folder, lines)
    assert gallery.files == ["a/1.png", "b/2.png", "b/3.png"]
    assert column(gallery, "artist") == ["None", "NA", ""]
    assert column(gallery, "note") == ["", 'x, "y" z', ""]
    assert column(gallery, "folder") == ["a", "b", "b"]
    assert "labels: 1 of 3 images have no row" in caplog.text


def test_labels_survive_writing_and_reading(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "1.png", "2.png", "3.png")
    gallery = labeled(folder, 'file,artist\n1.png,NA\n2.png,"nu\nll"\n3.png,007\n')
    again = read_gallery(tmp_path / "outputs" / "galleries" / gallery.name)
    assert column(again, "artist") == ["NA", "nu ll", "007"]


def test_a_byte_order_mark_is_not_part_of_a_column_name(paintings: Path) -> None:
    assert column(labeled(paintings, "\ufefffile,artist\nada/0.png,Ada\n"), "artist")[0] == "Ada"


def test_file_facts_are_never_taken_from_the_users_csv(paintings: Path) -> None:
    table = "file,width,height,sha256,image_id,style\nada/0.png,9,9,9,9,flat\n"
    gallery, unlabeled = labeled(paintings, table), listed(paintings)
    assert gallery.works.loc[0, "style"] == "flat"
    for name in ("image_id", "file", "width", "height", "sha256"):
        assert column(gallery, name) == column(unlabeled, name)


def test_title_slug_is_used_as_title_if_there_is_none(paintings: Path) -> None:
    assert column(labeled(paintings, "file,title_slug\nada/0.png,red\n"), "title")[:2] == [
        "red",
        "",
    ]
    both = labeled(paintings, "file,title,title_slug\nada/0.png,Red,red\n")
    assert column(both, "title")[0] == "Red"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "not a table of comma-separated values: No columns"),
        ("file,artist\nada/0.png,x\nada/1.png,y,z\n", "not a table .* Expected 2 fields in line 3"),
        ("file,artist\nada/0.png,x,y\nada/1.png,x,y\n", "rows have more fields than the header"),
        ('file,artist\nada/0.png,"x\n', "not a table .* EOF inside string"),
        ("name,artist\nada/0.png,x\n", "has no column named file; it has name, artist"),
        ("file,artist\nada/0.png,x\n./ada\\0.png,y\n", "names ada/0.png twice"),
        ("file,artist\n0.png,x\n", "matches none of the 12 images: .* paths like ada/0.png"),
    ],
)
def test_a_wrong_table_of_labels_is_refused(paintings: Path, table: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        labeled(paintings, table)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("separator", "encoding"), [(";", "utf-8"), ("\t", "utf-16"), (",", "utf-8-sig")]
)
def test_labels_as_excel_writes_them(
    paintings: Path, tmp_path: Path, separator: str, encoding: str
) -> None:
    rows = [["file ", "artist", ""], ["ada/0.png", "Jürgen, der Maler", ""]]
    table = tmp_path / "labels.csv"
    with table.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    works = folder_gallery(paintings, table, None, 0, tmp_path).works
    assert works["artist"][0] == "Jürgen, der Maler"
    assert not [column for column in works if column.startswith("Unnamed")]
