"""Limits to the work that a file may ask for, known before it is decoded.

A few bytes can claim many scans, strips, tiles, chunks or frames. No clock is needed for these:
the number of steps is counted, or bounded by the number of bytes.
"""

import io
import re
from typing import BinaryIO

from PIL import ExifTags, Image, ImageFile, TiffImagePlugin

from src.io import tiff
from src.io.unreadable import MAX_BYTES_PER_PIXEL, MAX_TILES, Unreadable, check_tiles

MAX_SCANS = 100  # of a JPEG; encoders write about 10
MAX_SLOW_PIXELS = 2**23  # in the codings that Pillow decodes in Python, 1 microsecond each
SLOW_CODECS = ("bmp_rle", "ppm_plain")
SLOW_BYTES = {"BMP": 2, "DIB": 2, "PPM": 32}  # at most, by format, per pixel
SMALL_BYTES = 2**16  # in addition
MAX_REMARKS = 1000  # in a PNM in text: Pillow copies what follows, once for each
MAX_JUMP_BYTES = 2**26  # that one step of a run-length coding may fill
MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7\x01])")  # of a JPEG, but those within pixels
SCAN, END = b"\xda", b"\xd9"


def check_effort(image: ImageFile.ImageFile, body: BinaryIO, max_pixels: int) -> None:
    """Raise Unreadable for a small file that would fill memory or take hours to decode."""
    if image.format in ("JPEG", "MPO"):
        if (scans := count_scans(body)) > MAX_SCANS:
            raise Unreadable(f"{scans} scans of all pixels, more than {MAX_SCANS}")
        return
    boxes = [tile.extents or (0, 0, 0, 0) for tile in image.tile]
    area = sum((right - left) * (lower - upper) for left, upper, right, lower in boxes)
    if len(boxes) > MAX_TILES or area > MAX_BYTES_PER_PIXEL * image.width * image.height:
        raise Unreadable(f"{len(boxes)} strips or tiles, which overlap many times")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        width, length = ExifTags.Base.TileWidth, ExifTags.Base.TileLength
        check_tiles(image.size, (int(tags.get(width, 0)), int(tags.get(length, 0))), max_pixels)
        tiff.check_offsets(image)
        tiff.check_shared(image, body)
    if any(tile.codec_name in SLOW_CODECS for tile in image.tile):
        _check_slow(image, body)


def _check_slow(image: Image.Image, body: BinaryIO) -> None:
    """Raise Unreadable for a file that is decoded in Python, if it is large or holds fillers."""
    if image.width * image.height > MAX_SLOW_PIXELS:
        raise Unreadable(
            f"{image.width * image.height} pixels, more than {MAX_SLOW_PIXELS} of a BMP in runs or"
            " a PNM in text"
        )
    if image.format == "BMP" and image.width * 256 > MAX_JUMP_BYTES:
        raise Unreadable(f"{image.width} pixels in a row of a BMP in runs")
    size, per_pixel = body.seek(0, io.SEEK_END), SLOW_BYTES.get(image.format or "", 32)
    if size > per_pixel * image.width * image.height + SMALL_BYTES:
        raise Unreadable(f"{size} bytes, more than {per_pixel} per pixel of this coding")
    body.seek(0)
    if image.format == "PPM" and (remarks := body.read().count(b"#")) > MAX_REMARKS:
        raise Unreadable(f"{remarks} remarks in a PNM in text, more than {MAX_REMARKS}")


def count_scans(file: BinaryIO) -> int:
    """Return the number of scans of a JPEG's first picture, or 1 if they are few.

    A scan may take no bytes at all: the decoder visits all pixels nevertheless.
    """
    position = file.tell()
    file.seek(0)
    body = file.read()
    file.seek(position)
    if body.count(SCAN) <= MAX_SCANS or body.count(b"\xff" + SCAN) <= MAX_SCANS:  # both are fast
        return 1
    scans, at = 0, 2
    while (match := MARKER.search(body, at)) and match[1] != END:
        scans += match[1] == SCAN
        at = match.end() + int.from_bytes(body[match.end() : match.end() + 2], "big")
    return scans
