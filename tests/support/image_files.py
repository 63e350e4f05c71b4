"""Makers of image files: each writes a file and returns its picture, or why it is skipped."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.hostile_bytes import chunk

Maker = Callable[[Path, Image.Image], Image.Image | str]  # writes a file: its picture, or reason
NO_IMAGE = "cannot identify image file"
FIFO = "not a regular file"
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # of the upright picture, by EXIF 2.3
    1: lambda picture: picture,
    2: lambda picture: picture[:, ::-1],
    3: lambda picture: picture[::-1, ::-1],
    4: lambda picture: picture[::-1],
    5: lambda picture: picture.swapaxes(0, 1),
    6: lambda picture: np.rot90(picture),
    7: lambda picture: picture[::-1, ::-1].swapaxes(0, 1),
    8: lambda picture: np.rot90(picture, -1),
}


def noise(name: str) -> Image.Image:
    """Return a noisy picture that depends on the name only."""
    draw = np.random.default_rng(zlib.crc32(os.fsencode(name)))
    pixels = draw.integers(0, 200, 3) + draw.integers(0, 56, (30, 40, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(picture: Image.Image, format: str, **options: object) -> bytes:
    """Return a picture as bytes of an image file."""
    body = io.BytesIO()
    picture.save(body, format, **options)
    return body.getvalue()


def decoded(body: bytes, mode: str = "RGB") -> Image.Image:
    """Return the picture that these bytes hold, by Pillow alone."""
    return Image.open(io.BytesIO(body)).convert(mode)


def file(
    format: str,
    mode: str = "RGB",
    change: Callable[[bytes], bytes] = bytes,
    reason: str | None = None,
    size: tuple[int, int] | None = None,
    **options: object,
) -> Maker:
    """Return a maker of files in a format.

    Bytes go through change; with a reason the file is expected to be skipped.
    """

    def make(path: Path, picture: Image.Image) -> Image.Image | str:
        body = encoded(picture.resize(size or picture.size).convert(mode), format, **options)
        path.write_bytes(change(body))
        return reason or decoded(body)

    return make


def cut_off(share: float) -> Maker:
    """Return a maker of JPEGs cut off after this share of their bytes, behind the header."""
    return file(
        *("JPEG", "RGB", lambda body: body[: int(len(body) * share)], "image file is truncated"),
        size=(400, 300),
    )


def raw(body: bytes, reason: str = NO_IMAGE) -> Maker:
    """Return a maker of files with these bytes, which are skipped."""
    return lambda path, _: [path.write_bytes(body), reason][1]


def link(target: str, reason: str) -> Maker:
    """Return a maker of symbolic links, which are skipped."""
    return lambda path, _: [path.symlink_to(target), reason][1]


def fifo(path: Path, _: Image.Image) -> str:
    """Make a named pipe."""
    os.mkfifo(path)
    return FIFO


def outside(path: Path, picture: Image.Image) -> Image.Image:
    """Make a link to a picture outside the folder."""
    target = path.parent.parent / "outside.png"
    picture.save(target)
    path.symlink_to(target)
    return picture


def within(path: Path, picture: Image.Image) -> Image.Image:
    """Save a picture in a new subfolder."""
    path.parent.mkdir()
    picture.save(path)
    return picture


def animated(format: str, **options: object) -> Maker:
    """Return a maker of animations or pages, of which the first is the picture."""

    def make(path: Path, picture: Image.Image) -> Image.Image:
        first = picture.quantize(16).convert("RGB")
        more = [first.rotate(180), first.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
        first.save(path, format, save_all=True, append_images=more, **options)
        return first

    return make


def transparent(format: str, mode: str = "RGBA", **options: object) -> Maker:
    """Return a maker of pictures with alpha from 0 to 255, expected over white."""

    def make(path: Path, picture: Image.Image) -> Image.Image:
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
        stored = picture.convert("RGB").quantize(16) if mode == "P" else picture.convert(mode)
        body = encoded(stored, format, **options)
        path.write_bytes(body)
        pixels = np.asarray(decoded(body, "RGBA"), float)
        alpha = pixels[:, :, 3:] / 255
        return Image.fromarray(np.rint(pixels[:, :, :3] * alpha + 255 * (1 - alpha)).astype("u1"))

    return make


def turned(format: str, orientation: int) -> Maker:
    """Return a maker of pictures with an EXIF orientation, expected upright.

    The expected picture is computed from STORED, pixel by pixel.
    """

    def make(path: Path, picture: Image.Image) -> Image.Image:
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = orientation, "camera"
        path.write_bytes(encoded(picture, format, exif=exif))
        pixels = np.asarray(decoded(encoded(picture, format)))
        size = picture.size if 4 < orientation < 9 else picture.size[::-1]
        offsets = STORED.get(orientation, STORED[1])(np.arange(40 * 30).reshape(size))
        upright = np.empty((*size, 3), np.uint8)
        upright.reshape(-1, 3)[offsets.ravel()] = pixels.reshape(-1, 3)
        return Image.fromarray(upright)

    return make


def scaled(format: str, factor: float, dtype: str) -> Maker:
    """Return a maker of gray pictures times factor, in a dtype other than bytes."""

    def make(path: Path, picture: Image.Image) -> Image.Image:
        gray = picture.convert("L")
        gray.putpixel((0, 0), 255)
        Image.fromarray((np.asarray(gray, float) * factor).astype(dtype)).save(path, format)
        return gray.convert("RGB")

    return make


def red_ink(change: Callable[[bytes], bytes] = bytes) -> Maker:
    """Return a maker of CMYK pictures in red, which JPEG stores without loss."""

    def make(path: Path, _: Image.Image) -> Image.Image:
        ink = Image.new("CMYK", (40, 30), (0, 255, 255, 0))
        path.write_bytes(change(encoded(ink, "JPEG", quality=100)))
        return Image.new("RGB", (40, 30), "red")

    return make


def huge(path: Path, side: int) -> Path:
    """Write a complete white 1-bit PNG of side x side pixels in a few kilobytes."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\xff" * (side // 8)) * side)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path
