"""Galleries of a folder: which files are listed, in which order, and their facts."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import UserError
from src.gallery.folder import folder_gallery
from src.gallery.gallery import sample
from src.io.images import Unreadable, load_rgb
from tests.support.galleries import column, labeled, listed, make_images


def test_a_nested_folder_is_listed_in_sorted_order(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "b/1.png", "a/2/z.png", "c.png", "a/10.png", "B/1.png")
    gallery = listed(folder)
    assert gallery.files == ["B/1.png", "a/10.png", "a/2/z.png", "b/1.png", "c.png"]
    assert column(gallery, "folder") == ["B", "a", "a", "b", ""]
    assert gallery.label_columns() == ["folder"]  # nobody said that its names are artists
    assert len(gallery) == 5


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    gallery = listed(make_images(tmp_path / "in", "b.png", "a.png"))
    assert gallery.files == column(gallery, "image_id") == ["a.png", "b.png"]
    assert gallery.label_columns() == []


def test_hidden_files_and_other_files_are_skipped(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "a.png", ".b.png", ".git/c.png", "d.PNG", "e.txt", "png")
    assert listed(folder).files == ["a.png", "d.PNG", "png"]  # the last one by its content


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
    with pytest.raises(UserError, match=f"holds {len(files)} images, but at least 2 .*avif .bmp"):
        listed(make_images(tmp_path / "in", *files))


def test_a_limit_takes_a_seeded_sample_in_order(paintings: Path) -> None:
    files, drawn = listed(paintings).files, listed(paintings, 5).files
    assert len(set(drawn)) == 5
    assert drawn == sorted(drawn) == listed(paintings, 5).files
    assert set(drawn) < set(files)
    assert drawn != listed(paintings, 5, seed=1).files
    assert listed(paintings, 100).files == files


@given(st.integers(0, 30), st.integers(2, 30), st.integers(0, 99))
def test_a_sample_keeps_the_order_given(count: int, limit: int, seed: int) -> None:
    files = [f"{(7 * n) % 31}.png" for n in range(count)]
    taken = sample(files, limit, seed)
    assert taken == [file for file in files if file in taken]
    assert len(taken) == min(limit, count)


def test_the_selection_names_the_gallery(paintings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = listed(paintings).name
    assert name == listed(paintings, seed=1).name
    monkeypatch.chdir(paintings.parent)
    assert name == listed(Path(paintings.name)).name
    others = [listed(paintings, 5), listed(paintings, 5, seed=1), listed(paintings / "ada")]
    others.append(labeled(paintings, "file\nada/0.png\n"))
    assert len({name, *(other.name for other in others)}) == 5


def test_a_pipe_named_like_an_image_does_not_hang(paintings: Path, tmp_path: Path) -> None:
    os.mkfifo(paintings / "pipe.jpg")
    works = folder_gallery(paintings, None, None, 0, tmp_path).works
    assert list(works.loc[works["file"] == "pipe.jpg", "sha256"]) == [""]
    with pytest.raises(Unreadable, match="not a regular file"):
        load_rgb(paintings / "pipe.jpg", 1000)
