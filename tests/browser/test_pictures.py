"""Pictures of images, small ones from a cache: of any format, shape and state of the file."""

import io
import logging
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.browser import pictures
from src.browser.opened import OpenRun, open_runs
from src.browser.pictures import cache_path, large_picture, picture_of, small_picture
from src.io.files import sha256
from src.io.outputs import Outputs
from tests.support.image_files import red_ink, transparent, turned


@pytest.fixture
def own_run(two_runs: list[Path], shared_paintings: Path, tmp_path: Path) -> OpenRun:
    """Return a run whose images the test may change."""
    run = open_runs(two_runs[:1])[0]
    root = shutil.copytree(shared_paintings, tmp_path / "images")
    object.__setattr__(run.gallery, "root", root)
    return run


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    """Return outputs with an empty cache."""
    return Outputs(tmp_path / "outputs")


def opened(content: bytes) -> Image.Image:
    """Return a JPEG's picture, decoded completely."""
    image = Image.open(io.BytesIO(content))
    assert image.format == "JPEG"
    image.load()
    return image


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [
        ("RGB", (400, 300), (160, 120)),
        ("RGB", (300, 400), (120, 160)),
        ("RGB", (40, 30), (40, 30)),  # a small one is not enlarged
        ("RGB", (30000, 20), (160, 1)),
        ("L", (3, 9000), (1, 160)),
        ("I;16", (200, 200), (160, 160)),
        ("1", (1, 1), (1, 1)),
        ("P", (320, 160), (160, 80)),
        ("RGBA", (160, 160), (160, 160)),
    ],
)
def test_a_picture_keeps_its_shape(
    tmp_path: Path, mode: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    Image.new(mode, size).save(tmp_path / "image.png")
    content, is_readable = picture_of(tmp_path / "image.png", 160, 80)
    assert is_readable
    assert (opened(content).size, opened(content).mode) == (expected, "RGB")


@pytest.mark.parametrize("make", [transparent("PNG"), red_ink(), turned("JPEG", 6)])
def test_its_colors_are_those_that_are_embedded(
    tmp_path: Path, make: Callable[[Path, Image.Image], Image.Image]
) -> None:
    source = Image.new("RGB", (40, 30), (200, 120, 60))
    expected = make(tmp_path / "image", source)
    shown = opened(picture_of(tmp_path / "image", 160, 95)[0])
    assert shown.size == expected.size
    difference = np.asarray(shown, int) - np.asarray(expected.convert("RGB"), int)
    assert np.abs(difference).mean() < 6  # JPEG is lossy


def test_metadata_stay_behind(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "camera of somebody", 1
    Image.new("RGB", (40, 30)).save(tmp_path / "image.jpg", exif=exif)
    assert b"somebody" not in picture_of(tmp_path / "image.jpg", 160, 80)[0]


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_what_cannot_be_read_is_a_gray_square_and_is_not_cached(
    own_run: OpenRun, outputs: Outputs, content: bytes | None
) -> None:
    path = own_run.gallery.root / own_run.gallery.files[3]
    path.unlink() if content is None else path.write_bytes(content)
    for made in (small_picture(own_run, 3, outputs), large_picture(own_run, 3)):
        image = opened(made)
        assert image.size == (160, 160)
        colors = np.asarray(image, int)
        assert np.ptp(colors, axis=2).max() < 8  # gray
        assert colors.max() - colors.min() > 50  # with letters
    assert not outputs.browser.exists()


def test_a_small_picture_is_made_once(
    own_run: OpenRun, outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = small_picture(own_run, 3, outputs)
    monkeypatch.setattr(pictures, "picture_of", None)  # would raise
    assert small_picture(own_run, 3, outputs) == first
    assert cache_path(outputs, own_run.value(3, "sha256"), 160).read_bytes() == first


def test_a_file_that_has_changed_is_shown_but_not_cached(
    own_run: OpenRun, outputs: Outputs
) -> None:
    path = own_run.gallery.root / own_run.gallery.files[3]
    Image.new("RGB", (50, 50), "blue").save(path)
    assert sha256(path) != own_run.value(3, "sha256")
    red, _, blue = opened(small_picture(own_run, 3, outputs)).getpixel((20, 20))
    assert blue > 200 > 50 > red
    assert not outputs.browser.exists()


@pytest.mark.parametrize(
    "checksum", ["", "../../../../stolen", "A" * 64, "a" * 65, "a" * 64 + "\n"]
)
def test_a_checksum_of_others_names_no_file(
    own_run: OpenRun, outputs: Outputs, checksum: str
) -> None:
    own_run.columns["sha256"] = np.full(len(own_run), checksum, object)
    assert opened(small_picture(own_run, 3, outputs)).size[0] == 40
    assert not list(outputs.root.parent.rglob("*stolen*"))
    assert not outputs.root.exists()


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_cached_picture_that_is_cut_off_is_made_again(
    own_run: OpenRun, outputs: Outputs, share: float
) -> None:
    whole = small_picture(own_run, 3, outputs)
    cached = cache_path(outputs, own_run.value(3, "sha256"), 160)
    cached.write_bytes(whole[: int(share * len(whole))])
    assert small_picture(own_run, 3, outputs) == whole == cached.read_bytes()


def test_two_at_once_get_the_same_picture(own_run: OpenRun, outputs: Outputs) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: small_picture(own_run, 3, outputs), range(40)))
    assert len(made) == 1
    assert [path.suffix for path in outputs.browser.rglob("*") if path.is_file()] == [".jpg"]


@pytest.mark.parametrize("reason", ["No space left on device", "Read-only file system"])
def test_a_cache_that_cannot_be_written_is_told_once(
    own_run: OpenRun,
    outputs: Outputs,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(path: Path, content: bytes) -> int:
        """Fail as the disk does."""
        raise OSError(28, reason)

    monkeypatch.setattr(Path, "write_bytes", full)
    with caplog.at_level(logging.WARNING):
        for row in (1, 2, 3):
            assert opened(small_picture(own_run, row, outputs))
    assert [record.getMessage() for record in caplog.records] == [
        f"thumbnails are not cached in {outputs.browser / 'thumbnails' / '160'}: {reason}"
    ]
    assert not [path for path in outputs.browser.rglob("*") if path.is_file()]


def test_a_cache_that_is_a_file_costs_nothing(own_run: OpenRun, outputs: Outputs) -> None:
    outputs.root.mkdir()
    outputs.browser.write_text("in the way")
    assert opened(small_picture(own_run, 3, outputs)).size[0] == 40
    assert outputs.browser.read_text() == "in the way"
