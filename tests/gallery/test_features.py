"""The gallery of one's own vectors: what rows are called, and which labels are theirs."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.config.features import Features
from src.errors import UserError
from src.gallery import Gallery, read_gallery
from src.gallery.features import features_gallery
from src.io.outputs import Outputs
from tests.support.galleries import column, make_images

ROWS = np.arange(8, dtype=np.float32).reshape(4, 2)


def gallery_of(
    folder: Path, labels: str | None = None, images: Path | None = None, **arrays: Any
) -> Gallery:
    """Return the gallery of ROWS, with ids if arrays has some, and of a table of this text."""
    np.savez(folder / "x.npz", features=ROWS, **{n: np.array(v) for n, v in arrays.items()})
    table = None
    if labels is not None:
        table = folder / "labels.csv"
        table.write_bytes(os.fsencode(labels))
    options = Features(
        features=str(folder / "x.npz"),
        labels=table and str(table),
        images=images and str(images),
    )
    return features_gallery(options, 0, folder / "outputs")


def test_rows_without_ids_and_labels_are_called_by_their_numbers(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path)
    assert gallery.files == column(gallery, "image_id") == ["0", "1", "2", "3"]
    assert not gallery.has_pictures and gallery.label_columns() == []
    again = read_gallery(Outputs(tmp_path / "outputs").galleries / gallery.name)
    assert not again.has_pictures
    assert again.works.to_dict("list") == gallery.works.to_dict("list")


def test_a_table_without_ids_is_taken_row_by_row(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path, "artist,title\nMonet,a\nMonet,b\nDegas,c\nDegas,d\n")
    assert gallery.files == ["0", "1", "2", "3"]
    assert column(gallery, "title") == ["a", "b", "c", "d"]
    assert gallery.label_columns() == ["artist"]


def test_a_table_that_cannot_be_joined_by_the_ids_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gallery = gallery_of(tmp_path, "Id,artist\nd,4\nb,2\nc,3\na,1\n", ids=list("abcd"))
    assert column(gallery, "artist") == ["4", "2", "3", "1"]
    assert "labels.csv has no column id or file, so its rows are taken in the" in caplog.text
    caplog.clear()
    gallery_of(tmp_path, "id,artist\nd,4\nb,2\nc,3\na,1\n", ids=list("abcd"))
    gallery_of(tmp_path, "artist\n1\n2\n3\n4\n")
    assert not caplog.text


@pytest.mark.parametrize("key", ["file", "id"])
def test_rows_without_ids_are_called_as_the_table_calls_them(tmp_path: Path, key: str) -> None:
    gallery = gallery_of(tmp_path, f"{key},artist\nd,1\n b ,2\n'=c,3\na,4\n")
    assert gallery.files == ["d", "b", "=c", "a"]
    assert column(gallery, "artist") == ["1", "2", "3", "4"]
    assert column(gallery, "image_id") == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("array", "key"), [("ids", "id"), ("ids", "file"), ("names", "file"), ("names", "id")]
)
def test_ids_join_the_labels_in_any_order(tmp_path: Path, array: str, key: str) -> None:
    labels = f"{key},artist\nd,4\nb,2\nc,3\na,1\n"
    gallery = gallery_of(tmp_path, labels, **{array: ["a", "b", "c", "d"]})
    assert gallery.files == column(gallery, "image_id") == ["a", "b", "c", "d"]
    assert column(gallery, "artist") == ["1", "2", "3", "4"]


def test_of_the_columns_id_and_file_the_one_counts_that_the_array_is_called_by(
    tmp_path: Path,
) -> None:
    labels = "id,file,artist\n1,d,4\n2,c,3\n3,b,2\n4,a,1\n"
    by_file = gallery_of(tmp_path, labels, files=["a", "b", "c", "d"])
    assert column(by_file, "artist") == ["1", "2", "3", "4"]
    by_id = gallery_of(tmp_path, labels, ids=[4, 3, 2, 1])
    assert column(by_id, "artist") == ["1", "2", "3", "4"]
    assert by_id.files == ["a", "b", "c", "d"] and column(by_id, "image_id") == list("4321")


def test_ids_are_found_by_other_spellings_of_a_path_and_behind_an_apostrophe(
    tmp_path: Path,
) -> None:
    labels = "file,artist\nA/1.JPG,1\n./b.jpg,2\nc\\3.jpg,3\n'=d.jpg,4\n"
    gallery = gallery_of(tmp_path, labels, files=["a/1.jpg", "b.jpg", "c/3.jpg", "=d.jpg"])
    assert column(gallery, "artist") == ["1", "2", "3", "4"]
    by_id = gallery_of(tmp_path, "id,artist\n a ,1\n'=b,2\nc,3\nd,4\n", ids=["a", "=b", "c", "d"])
    assert column(by_id, "artist") == ["1", "2", "3", "4"]
    assert column(by_id, "id")[0] == "a"


@pytest.mark.parametrize(
    ("labels", "arrays", "message"),
    [
        (
            "artist\na\nb\nc\n",
            {},
            "x.npz has 4 rows, but data.labels=.*labels.csv has 3, and without ids they are taken"
            " row by row: make them as many, or give the vectors ids",
        ),
        (
            "artist\na\nb\nc\n",
            {"ids": list("abcd")},
            "has 4 rows, .* has 3, .*: make them as many, or add a column id or file to the table",
        ),
        (
            "id,artist\na,1\n",
            {"ids": list("abcd")},
            "x.npz has 3 rows whose id is none of those in data.labels=.*, 'b', 'c', 'd': add a",
        ),
        (
            "id\na\nb\nc\nd\ne\nf\ng\nh\n",
            {"ids": list("abcd")},
            "labels.csv has 4 rows whose id is none of those in .*x.npz, 'e', 'f', 'g', ...: leave",
        ),
        (
            "file\na\nb\nc\nd\ne\n",
            {"names": list("abcd")},
            "labels.csv has a row whose file is none of those in data.features=.*, 'e': leave",
        ),
        (
            "id\na\nb\nc\nd\na\n",
            {"ids": list("abcd")},
            "the id 'a' is that of rows 0 and 4: each row needs one of its own",
        ),
        (None, {"ids": list("abcb")}, "x.npz: the id 'b' is that of rows 1 and 3"),
        (None, {"ids": ["a", " ", "c", "d"]}, "x.npz: the id of row 1 is empty"),
        (None, {"ids": ["a", "..", "c", "d"]}, "x.npz: the file of row 1 is empty"),
        (None, {"ids": ["a", "b", "/b", "d"]}, "x.npz: the file 'b' is that of rows 1 and 2"),
        ("file\na\nb\na\nd\n", {}, "labels.csv: the file 'a' is that of rows 0 and 2"),
        ("artist,artist\n1,1\n2,2\n3,3\n4,4\n", {}, "2 columns named artist"),
    ],
)
def test_rows_and_labels_that_do_not_fit_are_one_line(
    tmp_path: Path, labels: str | None, arrays: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        gallery_of(tmp_path, labels, **arrays)
    assert "\n" not in str(caught.value)


def test_a_name_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path, ids=["/etc/passwd", "../../x", "a\\b", "c/./d\0e"])
    assert gallery.files == ["etc/passwd", "x", "a\\b", "c/de"]
    assert read_gallery(Outputs(tmp_path / "outputs").galleries / gallery.name).files


def test_without_images_the_table_tells_the_facts_of_files(tmp_path: Path) -> None:
    labels = f"file,sha256,width,height\na,{'a' * 64},30,20\nb,no,0,x\nc,,,\nd,,,\n"
    gallery = gallery_of(tmp_path, labels)
    assert column(gallery, "sha256") == ["a" * 64, "", "", ""]
    assert column(gallery, "width") == ["30", "", "", ""]
    assert column(gallery, "height") == ["20", "", "", ""]


def test_pictures_are_found_below_the_folder_and_some_may_be_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = make_images(tmp_path / "in", "a/1.png", "b.png", "c.png")
    labels = f"file,width\nA/1.png,9\n{images / 'b.png'},9\nc.png,9\nd.png,9\n"
    gallery = gallery_of(tmp_path, labels, images)
    assert gallery.files == ["a/1.png", "b.png", "c.png", "d.png"]
    assert gallery.root == images and gallery.has_pictures
    assert column(gallery, "width") == ["4", "5", "6", ""]  # those of the files
    assert len(column(gallery, "sha256")[0]) == 64
    assert "1 of 4 rows have no picture" in caplog.text and "d.png" in caplog.text


def test_a_folder_without_any_of_the_pictures_is_refused(tmp_path: Path) -> None:
    images = make_images(tmp_path / "in", "a.png")
    with pytest.raises(UserError, match="holds none of the 4 files of the rows, such as 0: give"):
        gallery_of(tmp_path, images=images)


def test_two_rows_of_one_picture_are_refused(tmp_path: Path) -> None:
    images = make_images(tmp_path / "in", "a.png", "b.png")
    with pytest.raises(UserError, match=re.escape("two rows are the picture a.png")):
        gallery_of(tmp_path, "file\na.png\nA.png\nb.png\nc.png\n", images)


def test_what_the_run_that_wrote_the_features_has_skipped_may_be_in_its_table(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    np.save(tmp_path / "features.npy", ROWS)
    np.save(tmp_path / "image_names.npy", np.array(list("abcd")))
    (tmp_path / "skipped.csv").write_text("file,reason\n'=broken,no image\n")
    table = tmp_path / "works.csv"
    table.touch()
    options = Features(features=str(tmp_path / "features.npy"), labels=str(table))
    for broken in ("'=broken", "=broken"):  # as works.csv writes it, and as a user does
        table.write_text(f"image_id,file,artist\n1,a,x\n2,b,x\n3,{broken},x\n4,c,y\n5,d,y\n")
        gallery = features_gallery(options, 0, tmp_path / "outputs")
        assert column(gallery, "artist") == ["x", "x", "y", "y"]
        assert "1 images are left out, which the run that wrote" in caplog.text
        caplog.clear()
    table.write_text("image_id,file,artist\n1,a,x\n2,b,x\n3,other,x\n4,c,y\n5,d,y\n")
    with pytest.raises(UserError, match="a row whose file is none of those in"):
        features_gallery(options, 0, tmp_path / "outputs")


def test_a_sample_is_that_of_other_sources(tmp_path: Path) -> None:
    from src.gallery.gallery import sample

    np.save(tmp_path / "x.npy", np.ones((50, 2), np.float32))
    options = Features(features=str(tmp_path / "x.npy"), limit=7)
    gallery = features_gallery(options, 3, tmp_path / "outputs")
    assert gallery.files == sample(list(map(str, range(50))), 7, 3)
    assert features_gallery(options, 4, tmp_path / "outputs").files != gallery.files


def test_files_of_other_vectors_of_the_same_images_share_a_gallery(tmp_path: Path) -> None:
    first = gallery_of(tmp_path, "file\na\nb\nc\nd\n")
    np.save(tmp_path / "y.npy", ROWS + 1)
    options = Features(features=str(tmp_path / "y.npy"), labels=str(tmp_path / "labels.csv"))
    second = features_gallery(options, 0, tmp_path / "outputs")
    assert (first.name, first.fingerprint()) == (second.name, second.fingerprint())


def test_galleries_of_other_ids_labels_or_pictures_have_other_names(tmp_path: Path) -> None:
    table = "artist\n1\n2\n3\n4\n"
    images = [make_images(tmp_path / name, "0.png") for name in ("in", "other")]
    galleries = [gallery_of(tmp_path), gallery_of(tmp_path, table)]
    galleries += [gallery_of(tmp_path, ids=list("abcd"))]
    files = "file\n0.png\nb\nc\nd\n"
    galleries += [gallery_of(tmp_path, files, folder) for folder in images]
    names = [gallery.name for gallery in galleries]
    assert len(set(names)) == len(names)


def test_a_workbook_of_labels_is_joined_too(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    np.savez(tmp_path / "x.npz", x=ROWS, ids=[1, 2, 3, 4])
    table = pd.DataFrame({"id": [4, 3, 2, 1], "title_slug": list("dcba")})
    table.to_excel(tmp_path / "x.xlsx", index=False)
    options = Features(features=str(tmp_path / "x.npz"), labels=str(tmp_path / "x.xlsx"))
    gallery = features_gallery(options, 0, tmp_path / "outputs")
    assert column(gallery, "title") == list("abcd")
