"""Pictures with color profiles against littleCMS called by itself, and known values."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from src.io import color
from src.io.images import load_rgb, load_with_remark
from src.io.profile_steps import MAX_PROFILE_BYTES
from tests.support.tiff_files import Kind, tiff

LIMIT = 1_000_000
Y, X = np.mgrid[0:40, 0:60]
RGB = np.stack([X * 4, Y * 6, 255 - X * 2 - Y], -1).astype(np.uint8)
SRGB = [(0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)]
PRO_PHOTO = [(0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249)]


def profile(space: bytes, gamma: float, primaries: list[tuple[float, ...]] = SRGB) -> bytes:
    """An ICC profile of version 2 for a display, of RGB or of gray."""

    def xyz(*values: float) -> bytes:
        return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in values))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = {b"wtpt": xyz(0.9642, 1, 0.8249)}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= {
            name: xyz(*at) for name, at in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
        }
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value
    head = bytearray(128)
    head[8:24] = b"\2\x10\0\0mntr" + space.ljust(4) + b"XYZ "
    head[36:40] = b"acsp"
    head[68:80] = xyz(0.9642, 1, 0.8249)[8:]
    rest = bytes(head) + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(rest)) + rest[4:]


LINEAR, WIDE, GRAY = profile(b"RGB", 1.0), profile(b"RGB", 1.8, PRO_PHOTO), profile(b"GRAY", 1.0)
STANDARD = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def converted(pixels: np.ndarray, icc: bytes) -> np.ndarray:
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    image = ImageCms.profileToProfile(Image.fromarray(pixels), source, target, outputMode="RGB")
    return np.asarray(image).astype(int)


def saved(path: Path, pixels: np.ndarray | Image.Image, **options: object) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def load(path: Path) -> np.ndarray:
    image, remark = load_with_remark(path, LIMIT)
    assert not remark
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp", "avif"])
@pytest.mark.parametrize("icc", [LINEAR, WIDE], ids=["linear", "wide"])
def test_a_picture_is_converted_from_its_profile(tmp_path: Path, icc: bytes, suffix: str) -> None:
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100}, "avif": {"quality": 100}}
    plain = saved(tmp_path / f"plain.{suffix}", RGB, **options.get(suffix, {}))
    stored = np.asarray(load_rgb(plain, LIMIT))
    path = saved(tmp_path / f"a.{suffix}", RGB, icc_profile=icc, **options.get(suffix, {}))
    assert np.abs(load(path) - converted(stored, icc)).max() <= 1
    assert np.abs(load(path) - stored).mean() > 5


def test_linear_gray_gets_the_curve_of_srgb(tmp_path: Path) -> None:
    linear = np.arange(256, dtype=np.uint8)[None]
    value = np.arange(256) / 255
    curve = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)
    for name in ("a.png", "a.tif", "a.jpg"):
        loaded = load(saved(tmp_path / name, linear, icc_profile=GRAY))
        assert np.abs(loaded[0, :, 1] - 255 * curve)[16:].max() <= (2 if name != "a.jpg" else 12)


def test_gray_of_16_bits_gets_its_curve_too(tmp_path: Path) -> None:
    samples = (np.arange(256, dtype=np.uint16) * 257)[None, :, None]
    (tmp_path / "a.tif").write_bytes(tiff(samples, Kind(16, 0, icc=GRAY)))
    inverted = converted(255 - np.arange(256, dtype=np.uint8)[None], GRAY)
    assert np.abs(load(tmp_path / "a.tif") - inverted).max() <= 1


def test_gray_with_a_profile_of_three_channels(tmp_path: Path) -> None:
    gray = RGB[..., 0]
    loaded = load(saved(tmp_path / "a.png", gray, icc_profile=LINEAR))
    assert np.abs(loaded - converted(np.dstack([gray] * 3), LINEAR)).max() <= 1


def test_transparency_stays_over_white(tmp_path: Path) -> None:
    alpha = np.where(X < 30, 255, 0).astype(np.uint8)
    for pixels, icc in ((RGB, LINEAR), (RGB[..., :1], GRAY)):
        path = saved(tmp_path / "a.png", np.dstack([pixels, alpha]), icc_profile=icc)
        loaded = load(path)
        assert np.abs(loaded - converted(pixels.squeeze(), icc))[:, :30].max() <= 1
        assert (loaded[:, 30:] == 255).all()


def test_a_palette_is_converted_too(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(64)
    loaded = load(saved(tmp_path / "a.png", image, icc_profile=WIDE))
    assert np.abs(loaded - converted(np.asarray(image.convert("RGB")), WIDE)).max() <= 1


def test_srgb_is_not_touched(tmp_path: Path) -> None:
    assert (load(saved(tmp_path / "a.png", RGB, icc_profile=STANDARD)) == RGB).all()
    assert color.profile_to_srgb(STANDARD, "RGB") is None
    assert color.profile_to_srgb(STANDARD, "L") is None
    assert color.profile_to_srgb(WIDE, "RGB") is not None


def test_each_profile_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", RGB, icc_profile=WIDE)
    first = load(path)
    monkeypatch.setattr(ImageCms, "ImageCmsProfile", lambda *_: pytest.fail("parsed again"))
    assert np.array_equal(load(path), first)


@pytest.mark.parametrize(
    "icc",
    [b"no profile", WIDE[:200], GRAY, LINEAR[:132] + b"\xff" * (len(LINEAR) - 132),
     bytes(MAX_PROFILE_BYTES + 1)],
    ids=["text", "truncated", "of gray", "damaged", "huge"],
)  # fmt: skip
def test_a_broken_profile_is_ignored_and_said(tmp_path: Path, icc: bytes) -> None:
    image = Image.fromarray(RGB)
    image.info["icc_profile"] = icc
    converted, remark = color.to_rgb(image)
    assert (np.asarray(converted) == RGB).all()
    assert remark == color.BROKEN_PROFILE
    if len(icc) < 10_000:
        path = saved(tmp_path / "a.jpg", RGB, icc_profile=icc, quality=90)
        assert load_with_remark(path, LIMIT)[1] == color.BROKEN_PROFILE
