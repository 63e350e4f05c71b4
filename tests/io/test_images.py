import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from src.io.images import Unreadable, load_rgb, pixel_size
from tests.support.image_files import STORED, huge

LIMIT = 1_000_000
UPRIGHT = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, **options)
    return path


def load(path: Path) -> np.ndarray:
    image = load_rgb(path, LIMIT)
    assert image.mode == "RGB"
    return np.asarray(image)


def paint(path: Path, mode: str, *colors: object, **options: object) -> Path:
    """A row of pixels."""
    image = Image.new(mode, (len(colors), 1))
    for x, color in enumerate(colors):
        image.putpixel((x, 0), color)
    image.save(path, **options)
    return path


def refused(path: Path, limit: int = LIMIT) -> str:
    with pytest.raises(Unreadable) as caught:
        load_rgb(path, limit)
    return str(caught.value)


@pytest.mark.parametrize(
    ("mode", "colors", "expected"),
    [
        ("L", [0, 200], [(0, 0, 0), (200, 200, 200)]),
        ("LA", [(9, 255), (9, 0), (0, 51)], [(9, 9, 9), (255, 255, 255), (204, 204, 204)]),
        ("RGB", [(1, 2, 3)], [(1, 2, 3)]),
        ("RGBA", [(1, 2, 3, 255), (1, 2, 3, 0), (255, 0, 0, 51)],
         [(1, 2, 3), (255, 255, 255), (255, 204, 204)]),
        ("1", [0, 255], [(0, 0, 0), (255, 255, 255)]),
    ],
)  # fmt: skip
def test_every_mode_becomes_rgb_over_white(
    tmp_path: Path, mode: str, colors: list[object], expected: list[tuple[int, ...]]
) -> None:
    assert load(paint(tmp_path / "a.png", mode, *colors))[0].tolist() == [[*c] for c in expected]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = paint(tmp_path / "a.tif", "CMYK", (0, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255))
    assert load(path)[0].tolist() == [[255, 255, 255], [255, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(("options", "first"), [({}, [9, 8, 7]), ({"transparency": 0}, [255] * 3)])
def test_a_palette_is_looked_up(tmp_path: Path, options: dict[str, int], first: list[int]) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([9, 8, 7, 6, 5, 4])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", **options)
    assert load(tmp_path / "a.png")[0].tolist() == [first, [6, 5, 4]]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path, name: str) -> None:
    gradient = np.linspace(0, 65535, 256).astype(np.uint16)[None]
    assert load(save(tmp_path / name, gradient))[0, :, 1].tolist() == list(range(256))


@pytest.mark.parametrize("name", ["a.tif", "a.pfm"])
@pytest.mark.parametrize("top", [1, 255, 65535])
def test_floats_of_any_range_stay_a_gradient(tmp_path: Path, top: int, name: str) -> None:
    gradient = (np.arange(256) * (top / 255)).astype("f4")[None]
    assert load(save(tmp_path / name, gradient))[0, :, 2].tolist() == list(range(256))


def test_an_almost_black_picture_of_16_bits_stays_so(tmp_path: Path) -> None:
    dark = np.arange(256, dtype=np.uint16)[None]
    for name in ("a.png", "a.tif", "a.jp2"):
        assert load(save(tmp_path / name, dark)).max() == 1


@pytest.mark.parametrize("white", [1, 100, 255, 1023, 65535])
def test_a_portable_anymap_has_any_white(tmp_path: Path, white: int) -> None:
    samples = np.linspace(0, white, 256).round().astype(">u2" if white > 255 else "u1")
    for magic, channels in ((b"P5", 1), (b"P6", 3)):
        body = np.repeat(samples[:, None], channels, 1).tobytes()
        (tmp_path / "a.pnm").write_bytes(b"%s 256 1 %d\n" % (magic, white) + body)
        difference = load(tmp_path / "a.pnm")[0, :, 0] - samples * (255 / white)
        assert np.abs(difference).max() <= 1


def test_a_transparent_gray_of_16_bits_is_white(tmp_path: Path) -> None:
    samples = np.array([[0, 1000, 1001, 65535]], np.uint16)
    path = save(tmp_path / "a.png", samples, transparency=1000)
    assert load(path)[0, :, 0].tolist() == [0, 255, 4, 255]


def test_a_picture_with_transparency_and_gray_samples_alone(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[0, 100, 200]], np.uint8), transparency=100)
    assert load(path)[0, :, 0].tolist() == [0, 255, 200]


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("channels", [slice(0, 3), 0])
def test_every_exif_orientation_is_turned_upright(
    tmp_path: Path, orientation: int, channels: slice | int
) -> None:
    exif, upright = Image.Exif(), UPRIGHT[:, :, channels]
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", STORED[orientation](upright), exif=exif)
    loaded = load(path)[:, :, channels]
    assert loaded.tolist() == upright.tolist()


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (2, 2), "red"), Image.new("RGB", (2, 2), "blue")
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert load(tmp_path / "a.gif").reshape(-1, 3).tolist() == [[255, 0, 0]] * 4


def test_a_truncated_jpeg_is_unreadable(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / "a.jpg", noise)
    path.write_bytes(path.read_bytes()[:2000])
    assert "OSError: image file is truncated" in refused(path)


@pytest.mark.parametrize("content", ["", "<!DOCTYPE html><title>Not found</title>"])
def test_a_file_that_is_not_an_image_is_unreadable(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.jpg").write_text(content)
    assert refused(tmp_path / "a.jpg").endswith("cannot identify image file 'a.jpg'")
    assert pixel_size(tmp_path / "a.jpg") is None


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    assert "FileNotFoundError: " in refused(tmp_path / "a.jpg")
    assert str(tmp_path) not in refused(tmp_path / "a.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", UPRIGHT)
    path.chmod(0)
    assert "PermissionError: " in refused(path)


def test_an_image_over_the_limit_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = huge(tmp_path / "a.png", 20_000)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda *_: pytest.fail("decoded"))
    assert refused(path, 100_000_000) == "400000000 pixels, more than data.max_pixels=100000000"
    assert pixel_size(path) == (20_000, 20_000)


def test_an_image_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    path = huge(tmp_path / "a.png", 64)
    assert load_rgb(path, 64 * 64).size == (64, 64)
    assert "4096 pixels" in refused(path, 64 * 64 - 1)


@pytest.mark.parametrize(("orientation", "size"), [(1, (40, 30)), (3, (40, 30)), (6, (30, 40))])
def test_the_size_is_that_of_the_upright_picture(
    tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=exif)
    assert pixel_size(tmp_path / "a.jpg") == size
    assert load_rgb(tmp_path / "a.jpg", 10_000).size == size


def test_pillow_settings_are_restored_when_the_last_thread_has_read(tmp_path):
    path = save(tmp_path / "a.png", UPRIGHT)
    before = Image.MAX_IMAGE_PIXELS, warnings.filters[:]
    assert before[0] is not None
    inside, done, seen = threading.Event(), threading.Event(), []

    def min_decode_size(width: int, height: int) -> tuple[int, int]:
        """Stay inside of load_rgb while others come and go."""
        inside.set()
        assert done.wait(60)
        seen.append(Image.MAX_IMAGE_PIXELS)
        return width, height

    slow = threading.Thread(target=load_rgb, args=(path, LIMIT, min_decode_size))
    slow.start()
    assert inside.wait(60)
    load(path)
    (tmp_path / "none.png").write_text("no image")
    with pytest.raises(Unreadable):
        load(tmp_path / "none.png")
    assert Image.MAX_IMAGE_PIXELS is None
    done.set()
    slow.join()
    assert seen == [None]
    assert (Image.MAX_IMAGE_PIXELS, warnings.filters[:]) == before
