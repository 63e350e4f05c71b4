"""What is below a folder of images: links, folders of the system and of runs, other files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from src.errors import UserError
from src.gallery.folder import PLUGIN_SUFFIXES, folder_gallery, list_images
from tests.support.galleries import listed, make_images


@pytest.fixture(autouse=True)
def every_line_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def test_other_files_are_counted_by_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make_images(tmp_path / "in", "a.png", "b/c.png")
    for name in ("1.txt", "b/2.TXT", "3.txt", "4.cr2", "README", "b/notes", "1937.1.10", "St. Lo"):
        (folder / name).write_text("no image")
    assert list_images(folder) == ["a.png", "b/c.png"]
    assert "8 other files: no suffix 4, .txt 3, .cr2 1\n" in caplog.text


def test_a_folder_without_other_files_logs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    list_images(make_images(tmp_path / "in", "a.png", "b/c.png"), tmp_path / "outputs")
    assert not caplog.text


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM"])
@pytest.mark.parametrize("name", ["picture", "1937.1.10", "Mme. Monet"])
def test_files_without_a_suffix_are_recognized_by_content(
    tmp_path: Path, name: str, kind: str
) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / name, kind)
    assert list_images(tmp_path) == [name]


def test_bytes_that_only_tga_would_take_are_no_image(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "a.tga")
    (tmp_path / "bytes").write_bytes((tmp_path / "a.tga").read_bytes())
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("nowhere")
    assert list_images(tmp_path) == ["a.tga"]


@pytest.mark.parametrize(
    "suffix", [".jfif", ".mpo", ".j2k", ".j2c", ".jpx", ".jpf", ".pnm", ".pbm", ".pfm", ".JPG "]
)
def test_rarer_suffixes_are_listed(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").touch()
    assert list_images(tmp_path) == [f"a{suffix}"]


@pytest.mark.parametrize("is_there", [True, False])
def test_suffixes_of_plugins_are_listed_where_these_are_installed(
    tmp_path: Path,
    is_there: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(
        "src.gallery.folder.find_spec", lambda name: name in PLUGIN_SUFFIXES and is_there or None
    )
    for name in ("a.heic", "b.JXL"):
        (tmp_path / name).touch()
    assert list_images(tmp_path) == (["a.heic", "b.JXL"] if is_there else [])
    hint = "2 other files: .heic 1, .jxl 1 (.heic and .jxl need: pip install -e .[formats])"
    assert (hint in caplog.text) == (not is_there)


@pytest.mark.parametrize(
    "name",
    [
        *("~snapshot", "@__thumb", "@tmp", "RECYCLED", "FOUND.000"),
        *("@eaDir", "#recycle", "$RECYCLE.BIN", "$Recycle.Bin", "lost+found", ".Trash-1000"),
        *("System Volume Information", "__MACOSX", ".thumbnails", "@Recycle", ".@__thumb"),
    ],
)
def test_folders_of_the_system_are_left_out(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_images(tmp_path / "in", "a.png", f"{name}/b.png", f"c/{name}/d/e.png")
    (folder / "Thumbs.db").touch()
    (folder / "._a.png").touch()
    assert list_images(folder) == ["a.png"]
    assert "left out: " in caplog.text
    assert "other files" not in caplog.text
    assert list_images(folder / name) == ["b.png"]  # if the user asks for it


@pytest.mark.parametrize("outputs", ["outputs", "a/deep/results", "."])
def test_outputs_below_the_images_are_left_out(tmp_path: Path, outputs: str) -> None:
    folder = make_images(tmp_path / "in", "1.png", "a/2.png")
    results = folder / outputs
    make_images(results, "runs/day/time/x.png", "galleries/g/gallery.jpg", "sweeps/0/x.png")
    assert list_images(folder, results) == ["1.png", "a/2.png"]


def test_outputs_reached_through_a_link_are_left_out(tmp_path: Path) -> None:
    folder, results = make_images(tmp_path / "in", "1.png"), tmp_path / "results"
    make_images(results, "picture.png")
    (folder / "link").symlink_to(results)
    assert list_images(folder, results) == list_images(folder, folder / "link") == ["1.png"]


def test_images_below_outputs_are_listed(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "outputs/images/nga", "1.png", "2.png")
    assert list_images(folder, tmp_path / "outputs") == ["1.png", "2.png"]


def test_pictures_of_earlier_runs_are_left_out(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "1.png", "old/neighbors.jpg", "g/gallery.jpg")
    (folder / "old" / ".hydra").mkdir()
    (folder / "g" / "gallery.yaml").touch()
    assert list_images(folder, tmp_path / "outputs") == ["1.png"]


def test_a_gallery_leaves_out_what_it_has_written(tmp_path: Path) -> None:
    folder = make_images(tmp_path, "1.png", "2.png")
    assert listed(folder / ".").files == ["1.png", "2.png"]
    make_images(tmp_path / "outputs", "runs/a/neighbors.png")
    again = folder_gallery(folder, None, None, 0, tmp_path / "outputs")
    assert again.files == ["1.png", "2.png"]


def test_linked_folders_are_followed_once_and_loops_are_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_images(tmp_path / "in", "real/1.png", "z.png")
    elsewhere = make_images(tmp_path / "elsewhere", "2.png", "deep/3.png")
    (folder / "a link").symlink_to(elsewhere)
    (folder / "b link").symlink_to(elsewhere / "deep")
    (folder / "again").symlink_to(folder / "real")
    (folder / "real" / "up").symlink_to(folder)
    (folder / "parent").symlink_to(tmp_path)
    (elsewhere / "back").symlink_to(folder)
    (elsewhere / "self").symlink_to(elsewhere)
    (folder / "broken").symlink_to(tmp_path / "nowhere")
    (folder / "own.png").symlink_to("own.png")
    files = ["a link/2.png", "a link/deep/3.png", "own.png", "real/1.png", "z.png"]
    assert list_images(folder) == files
    assert "links to folders that are listed already: 6: a link/back, a link/self" in caplog.text


def test_a_folder_that_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_images(tmp_path / "in", "a/1.png", "b/2.png", "c/d/3.png")
    scandir = os.scandir

    def refuse(path: str) -> "Iterator[os.DirEntry[str]]":
        if Path(path).name in {"b", "d"}:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list_images(folder) == ["a/1.png"]
    assert "2: b (Permission denied), c/d (Permission denied)" in caplog.text
    with pytest.raises(UserError, match="b cannot be read: Permission denied"):
        list_images(folder / "b")
