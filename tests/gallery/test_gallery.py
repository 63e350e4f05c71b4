import csv
import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from src.config import Similarity
from src.config.enums import Exclude
from src.errors import UserError
from src.gallery import Gallery, read_gallery, write_gallery
from src.gallery.folder import folder_gallery
from src.gallery.gallery import COLUMNS, max_neighbors, sample
from src.io.images import Unreadable, load_rgb

ODD_NAMES = [
    'a "b".png',
    "a,b.png",
    "a\nb.png",
    "a\r\nb.png",
    "a\rb.png",
    "'.png",
    " a .png",
    "é\u2028.png",
]
# What a file system gives for a name that is not UTF-8, and any other name.
names = st.binary(min_size=1).filter(lambda raw: b"\0" not in raw).map(os.fsdecode)


def make_images(folder: Path, *files: str) -> Path:
    for number, file in enumerate(files):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4 + number, 3), (number, 0, 0)).save(folder / file, "PNG")
    return folder


def listed(folder: Path, limit: int | None = None, seed: int = 0) -> Gallery:
    return folder_gallery(folder, None, limit, seed, folder.parent / "outputs")


def labeled(folder: Path, text: str) -> Gallery:
    table = folder.parent / "labels.csv"
    table.write_bytes(os.fsencode(text))
    return folder_gallery(folder, table, None, 0, folder.parent / "outputs")


def gallery_of(**columns: list[str]) -> Gallery:
    return Gallery("test", Path(), pd.DataFrame(columns, dtype=object))


def column(gallery: Gallery, name: str) -> list[str]:
    return list(gallery.works[name])


def test_a_nested_folder_is_listed_in_sorted_order(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "b/1.png", "a/2/z.png", "c.png", "a/10.png", "B/1.png")
    gallery = listed(folder)
    assert gallery.files == ["B/1.png", "a/10.png", "a/2/z.png", "b/1.png", "c.png"]
    assert column(gallery, "folder") == column(gallery, "artist") == ["B", "a", "a", "b", ""]
    assert len(gallery) == 5


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    gallery = listed(make_images(tmp_path / "in", "b.png", "a.png"))
    assert gallery.files == column(gallery, "image_id") == ["a.png", "b.png"]
    assert gallery.label_columns() == []


def test_hidden_files_and_other_files_are_skipped(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "a.png", ".b.png", ".git/c.png", "d.PNG", "e.txt", "png")
    assert listed(folder).files == ["a.png", "d.PNG"]


def test_a_gallery_has_size_and_hash_of_each_file(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "a.png", "b.png")
    (folder / "c.jpg").write_text("no image")
    gallery = listed(folder)
    assert column(gallery, "width") == ["4", "5", ""]
    assert column(gallery, "height") == ["3", "3", ""]
    hashes = [hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in gallery.files]
    assert column(gallery, "sha256") == hashes


def test_a_file_that_cannot_be_opened_has_no_size_and_hash(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "a.png", "b.png")
    (folder / "c.png").symlink_to("nowhere")
    assert listed(folder).works.loc[2, ["sha256", "width", "height"]].tolist() == [""] * 3


@pytest.mark.parametrize("files", [[], ["a.png"]])
def test_fewer_than_two_images_are_refused(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match=f"holds {len(files)} images, at least 2 .*avif .bmp"):
        listed(make_images(tmp_path / "in", *files))


def test_a_limit_takes_a_seeded_sample_in_order(paintings: Path) -> None:
    every, some = listed(paintings).files, listed(paintings, 5).files
    assert len(set(some)) == 5
    assert some == sorted(some) == listed(paintings, 5).files
    assert set(some) < set(every)
    assert some != listed(paintings, 5, seed=1).files
    assert listed(paintings, 100).files == every


@given(st.integers(0, 30), st.integers(2, 30), st.integers(0, 99))
def test_a_sample_keeps_the_order_given(count: int, limit: int, seed: int) -> None:
    files = [f"{(7 * n) % 31}.png" for n in range(count)]
    taken = sample(files, limit, seed)
    assert taken == [file for file in files if file in taken]
    assert len(taken) == min(limit, count)


def test_labels_are_joined_by_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make_images(tmp_path / "in", "a/1.png", "b/2.png", "b/3.png")
    lines = 'file,artist,note\nb\\2.png,NA,"x, ""y""\nz"\n./a/1.png,None,\nother.png,nobody,\n'
    gallery = labeled(folder, lines)
    assert gallery.files == ["a/1.png", "b/2.png", "b/3.png"]
    assert column(gallery, "artist") == ["None", "NA", ""]
    assert column(gallery, "note") == ["", 'x, "y"\nz', ""]
    assert column(gallery, "folder") == ["a", "b", "b"]
    assert "labels: 1 of 3 images have no line" in caplog.text


def test_labels_survive_writing_and_reading(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "1.png", "2.png", "3.png")
    gallery = labeled(folder, 'file,artist\n1.png,NA\n2.png,"null\n"\n3.png,007\n')
    again = read_gallery(tmp_path / "outputs" / "galleries" / gallery.name)
    assert column(again, "artist") == ["NA", "null\n", "007"]


def test_a_byte_order_mark_is_not_part_of_a_column_name(paintings: Path) -> None:
    assert column(labeled(paintings, "\ufefffile,artist\nada/0.png,Ada\n"), "artist")[0] == "Ada"


def test_file_facts_are_never_taken_from_the_users_csv(paintings: Path) -> None:
    table = "file,width,height,sha256,image_id,style\nada/0.png,9,9,9,9,flat\n"
    gallery, own = labeled(paintings, table), listed(paintings)
    assert gallery.works.loc[0, "style"] == "flat"
    for name in ("image_id", "file", "width", "height", "sha256"):
        assert column(gallery, name) == column(own, name)


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
        ("file,artist\nada/0.png,x,y\nada/1.png,x,y\n", "more fields than its header has names"),
        ('file,artist\nada/0.png,"x\n', "not a table .* EOF inside string"),
        ("name,artist\nada/0.png,x\n", "needs a column file, it has name, artist"),
        ("file,artist\nada/0.png,x\n./ada\\0.png,y\n", "names ada/0.png twice"),
        ("file,artist\n0.png,x\n", "matches none of the 12 images: .* paths like ada/0.png"),
    ],
)
def test_a_wrong_table_of_labels_is_refused(paintings: Path, table: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        labeled(paintings, table)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [*ODD_NAMES, os.fsdecode(b"caf\xe9.png")])
def test_odd_file_names_survive_writing_and_reading(tmp_path: Path, name: str) -> None:
    folder = make_images(tmp_path / "in", name, f"{name}/{name}"[1:], "plain.png")
    gallery = listed(folder)
    again = read_gallery(tmp_path / "outputs" / "galleries" / gallery.name)
    assert again.works.equals(gallery.works)
    assert all((again.root / file).is_file() for file in again.files)


@settings(max_examples=30)
@given(st.lists(st.tuples(names, names), min_size=1))
def test_any_text_survives_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    works = pd.DataFrame(rows, columns=["file", "title"], dtype=object)
    gallery = write_gallery("test", folder / rows[0][1].replace("/", ""), works, {}, folder)
    again = read_gallery(folder / "galleries" / gallery.name)
    assert again.works.to_numpy().tolist() == works.to_numpy().tolist()
    assert (again.name, again.root) == (gallery.name, gallery.root)


def test_works_csv_opens_with_plain_pandas(paintings: Path, tmp_path: Path) -> None:
    gallery = labeled(paintings, "file,mood\nada/0.png,calm\n")
    path = tmp_path / "outputs" / "galleries" / gallery.name / "works.csv"
    works = pd.read_csv(path)
    assert list(works["file"]) == gallery.files
    assert list(works["width"]) == [40] * 12
    known = [name for name in works if name in COLUMNS]
    assert list(works) == known + ["folder", "mood"]
    assert known == sorted(known, key=COLUMNS.index)


def test_gallery_yaml_contains_the_selection(paintings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "galleries" / listed(paintings, 3, seed=4).name
    assert sorted(path.name for path in folder.iterdir()) == ["gallery.yaml", "works.csv"]
    facts = yaml.safe_load((folder / "gallery.yaml").read_text())
    assert facts == {
        "source": "folder",
        "root": str(paintings),
        "selection": {"images": str(paintings), "labels": None, "limit": 3, "seed": 4},
    }


def test_the_selection_names_the_gallery(paintings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = listed(paintings).name
    assert name == listed(paintings, seed=1).name
    monkeypatch.chdir(paintings.parent)
    assert name == listed(Path(paintings.name)).name
    others = [listed(paintings, 5), listed(paintings, 5, seed=1), listed(paintings / "ada")]
    others.append(labeled(paintings, "file\nada/0.png\n"))
    assert len({name, *(other.name for other in others)}) == 5


def test_labels_are_numbers_and_empty_ones_minus_one() -> None:
    labels = gallery_of(artist=["b", "", "a", "b", "NA"]).labels("artist")
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, -1, 1, 0, 2]


def test_an_unknown_column_suggests_similar_ones(paintings: Path) -> None:
    message = "evaluation.labels: .* no column artst; label columns are artist, folder;"
    message += " did you mean artist"
    with pytest.raises(UserError, match=message):
        listed(paintings).labels("artst")


def test_label_columns_have_several_values_and_repeat_some() -> None:
    gallery = gallery_of(
        file=["1", "1", "2"],
        title=["a", "a", "b"],
        good=["a", "a", "b"],
        constant=["a", "a", "a"],
        distinct=["a", "b", "c"],
        empty=["", "", "a"],
    )
    assert gallery.label_columns() == ["good"]


def test_a_subset_has_the_given_rows_in_their_order() -> None:
    gallery = gallery_of(file=["a", "b", "c"]).subset(np.array([2, 0]))
    assert gallery.files == ["c", "a"]
    assert list(gallery.works.index) == [0, 1]


def test_views_of_an_object_are_one_group() -> None:
    gallery = gallery_of(object_id=["7", "", "7", "", "8"])
    assert gallery.exclusion_groups(Similarity(top_k=4)).tolist() == [0, 1, 2, 3, 4]
    groups = gallery.exclusion_groups(Similarity(top_k=3, exclude=Exclude.same_object))
    same = groups[:, None] == groups
    assert np.argwhere(np.triu(same, 1)).tolist() == [[0, 2]]
    assert max_neighbors(groups) == 3


@pytest.mark.parametrize(("exclude", "top"), [(Exclude.none, 4), (Exclude.same_object, 3)])
def test_more_neighbors_than_there_are_images_are_refused(exclude: Exclude, top: int) -> None:
    options = Similarity(top_k=top + 1, exclude=exclude)
    message = f"top_k must be between 1 and {top} for 5 images, got {top + 1}"
    with pytest.raises(UserError, match=message):
        gallery_of(object_id=["7", "", "7", "", "8"]).exclusion_groups(options)


def test_excluding_the_same_object_needs_a_column_object_id(paintings: Path) -> None:
    options = Similarity(exclude=Exclude.same_object)
    with pytest.raises(UserError, match="similarity.exclude=same_object: .* no column object_id"):
        listed(paintings).exclusion_groups(options)


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


def test_a_pipe_named_like_an_image_does_not_hang(paintings: Path, tmp_path: Path) -> None:
    os.mkfifo(paintings / "pipe.jpg")
    works = folder_gallery(paintings, None, None, 0, tmp_path).works
    assert list(works.loc[works["file"] == "pipe.jpg", "sha256"]) == [""]
    with pytest.raises(Unreadable, match="not a regular file"):
        load_rgb(paintings / "pipe.jpg", 1000)
