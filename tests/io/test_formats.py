"""TGA, BMP, JPEG 2000, HEIC and JPEG XL against the arrays that they were written from."""

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from src.io.images import Unreadable, load_rgb, pixel_size
from tests.io.test_color import LINEAR, converted

LIMIT = 1_000_000
RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
ALPHA = RANDOM.integers(0, 256, (20, 30, 1), dtype=np.uint8)


def load(path: Path) -> np.ndarray:
    return np.asarray(load_rgb(path, LIMIT)).astype(int)


def tga(pixels: np.ndarray, attribute_bits: int, attributes_type: int | None = None) -> bytes:
    """An uncompressed TGA of 32 bits, from its top; with attributes_type, of version 2."""
    height, width, _ = pixels.shape
    head = struct.pack("<3B5x4H2B", 0, 0, 2, 0, 0, width, height, 32, 0x20 | attribute_bits)
    body = head + pixels[..., [2, 1, 0, 3]].tobytes()
    if attributes_type is None:
        return body
    extension = bytearray(495)
    extension[:2], extension[494] = struct.pack("<H", 495), attributes_type
    return body + extension + struct.pack("<2L", len(body), 0) + b"TRUEVISION-XFILE.\0"


@pytest.mark.parametrize(
    ("bits", "kind", "is_alpha"),
    [(8, None, True), (0, None, False), (8, 3, True), (8, 0, False), (8, 2, False), (0, 3, False)],
)
def test_the_fourth_sample_of_a_tga_is_what_the_file_says(
    tmp_path: Path, bits: int, kind: int | None, is_alpha: bool
) -> None:
    path = tmp_path / "a.tga"
    path.write_bytes(tga(np.dstack([PICTURE, ALPHA]), bits, kind))
    shown = PICTURE * (ALPHA / 255) + 255 - ALPHA if is_alpha else PICTURE
    assert np.abs(load(path) - shown).max() <= 1


@pytest.mark.parametrize("name", ["a.tga", "a.bmp"])
def test_a_fourth_sample_of_zeros_is_no_transparency(tmp_path: Path, name: str) -> None:
    Image.fromarray(np.dstack([PICTURE, ALPHA * 0])).save(tmp_path / name)
    assert (load(tmp_path / name) == PICTURE).all()
    Image.fromarray(np.dstack([PICTURE, ALPHA])).save(tmp_path / name)
    Image.fromarray(np.dstack([PICTURE, ALPHA])).save(tmp_path / "a.png")
    assert (load(tmp_path / "a.tga" if name == "a.tga" else tmp_path / "a.png") != PICTURE).any()


@pytest.mark.parametrize("codec", ["J2K", "JP2"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 10, 12, 16])
def test_jpeg_2000_of_any_bits(tmp_path: Path, bits: int, channels: int, codec: str) -> None:
    values = np.dstack([PICTURE, ALPHA])[..., -channels if channels < 3 else 0 :][..., :channels]
    values = values.astype(float)
    values[:3, :, : min(channels, 3)] = 255  # white, which Pillow wraps to black
    samples = np.round(values / 255 * (2**bits - 1)).astype("u1" if bits <= 8 else "u2")
    body = imagecodecs.jpeg2k_encode(
        samples.squeeze(), bitspersample=bits, codecformat=codec, reversible=True, level=0
    )
    path = tmp_path / f"a.{codec.lower()}"
    path.write_bytes(body)
    with Image.open(path) as image:
        mode = image.mode
    stored = samples * (255 / (2**bits - 1))
    difference = load(path) - over_white(stored, mode)
    assert np.abs(difference).max() <= 2, mode


def over_white(values: np.ndarray, mode: str) -> np.ndarray:
    if mode in ("LA", "RGBA"):
        alpha = values[..., -1:] / 255
        values = values[..., :-1] * alpha + 255 * (1 - alpha)
    return np.broadcast_to(values[..., :3], PICTURE.shape)


def test_jpeg_2000_with_a_sign_is_refused(tmp_path: Path) -> None:
    samples = (PICTURE.astype("i2") - 128) * 16
    body = imagecodecs.jpeg2k_encode(samples, bitspersample=12, codecformat="J2K", level=0)
    (tmp_path / "a.j2k").write_bytes(body)
    with pytest.raises(Unreadable, match="JPEG 2000 with components of different bits, or with a"):
        load_rgb(tmp_path / "a.j2k", LIMIT)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("suffix", "plugin"), [("heic", "pillow_heif"), ("jxl", "pillow_jxl"), ("avif", "PIL")]
)
def test_formats_of_plugins(tmp_path: Path, suffix: str, plugin: str, orientation: int) -> None:
    module = pytest.importorskip(plugin)  # the optional dependency formats
    if suffix == "heic":
        module.register_heif_opener()
    smooth = np.stack(np.meshgrid(np.arange(64) * 3, np.arange(48) * 5), -1).astype(np.uint8)
    upright = np.dstack([smooth, np.full((48, 64), 99, np.uint8)])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.rot90(upright) if orientation == 6 else upright
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, quality=95, exif=exif.tobytes())
    assert pixel_size(path) == (64, 48)
    loaded = load(path)
    assert loaded.shape == upright.shape
    assert np.abs(loaded - upright).mean() < 4


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L", 8 + len(content)) + kind + content


def test_jpeg_2000_has_a_color_profile(tmp_path: Path) -> None:
    """In the header, where Pillow does not look: 15 bytes of it name sRGB instead."""
    body = imagecodecs.jpeg2k_encode(PICTURE, codecformat="JP2", reversible=True, level=0)
    start = body.index(b"colr") - 4
    length = struct.unpack(">L", body[start : start + 4])[0]
    named = box(b"colr", b"\2\0\0" + LINEAR)
    head = body.index(b"jp2h") - 4
    size = struct.unpack(">L", body[head : head + 4])[0] + len(named) - length
    changed = body[:head] + struct.pack(">L", size) + body[head + 4 : start] + named
    (tmp_path / "a.jp2").write_bytes(changed + body[start + length :])
    assert np.abs(load(tmp_path / "a.jp2") - converted(PICTURE, LINEAR)).max() <= 1


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_transparent_gray_has_the_bits_of_its_samples(tmp_path: Path, bits: int) -> None:
    samples = np.arange(2**bits, dtype=np.uint8)[None].repeat(8 // bits, 0).T
    key = 2**bits - 2
    rows = b"".join(b"\0" + np.packbits(
        np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel()
    ).tobytes() for row in samples)  # fmt: skip
    head = struct.pack(">2L5B", samples.shape[1], samples.shape[0], bits, 0, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + b"".join(map(chunk, (
            (b"IHDR", head), (b"tRNS", struct.pack(">H", key)), (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )))
    )  # fmt: skip
    expected = np.where(samples == key, 255, samples.astype(int) * 255 // (2**bits - 1))
    assert (load(tmp_path / "a.png")[..., 0] == expected).all()


def chunk(parts: tuple[bytes, bytes]) -> bytes:
    kind, content = parts
    return (
        struct.pack(">L", len(content))
        + kind
        + content
        + struct.pack(">L", zlib.crc32(kind + content))
    )


def test_a_transparent_color_of_16_bits_is_refused(tmp_path: Path) -> None:
    body = imagecodecs.png_encode(PICTURE.astype(np.uint16) * 257)
    head = body.index(b"IDAT") - 4
    key = chunk((b"tRNS", struct.pack(">3H", 0x1234, 0x1234, 0x1234)))
    (tmp_path / "a.png").write_bytes(body[:head] + key + body[head:])
    with pytest.raises(Unreadable, match="PNG of 16 bits with a transparent color"):
        load_rgb(tmp_path / "a.png", LIMIT)
