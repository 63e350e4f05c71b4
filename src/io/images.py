"""Read image files of many formats as RGB. Does not import torch, so that src.show starts fast."""

import errno
import io
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

# Formats that Pillow may try: its EPS parser runs ghostscript, an icon can exceed its header's size
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "PPM", "TGA", "AVIF")
DOWNLOAD_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")  # of IIIF, decoded by Pillow itself
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
MAX_BYTES_PER_PIXEL = 8  # of the largest valid files: four channels of 16 bits, uncompressed
MAX_METADATA_BYTES = 2**26  # in addition to the pixels
MAX_HEADER_PIXELS = 2**27  # limits the file size where only the header is read
MAX_SCANS = 100  # of a JPEG; encoders write about 10
MAX_TILES = 2**18  # strips or tiles of a TIFF; enough for 65,535 lines in four planes
SYSTEM_ERRNOS = (errno.EMFILE, errno.ENFILE, errno.ESTALE)  # temporary, not the file's fault

MinSize = Callable[[int, int], tuple[int, int]]  # (width, height) of a file -> smallest useful size


class Unreadable(Exception):
    """An image that is skipped; the message becomes the reason in skipped.csv."""


class _PillowSettings:
    """Context that disables Pillow's pixel limit and its warnings about metadata.

    Both are settings of the whole process, so the last thread that leaves restores them. This
    module checks data.max_pixels before decoding instead.
    """

    def __init__(self) -> None:
        self._lock, self._readers = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._readers:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
                self._warnings = warnings.catch_warnings()
                self._warnings.__enter__()
                warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            self._readers += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers:
                Image.MAX_IMAGE_PIXELS = self._limit
                self._warnings.__exit__(None, None, None)


_SETTINGS = _PillowSettings()


def load_rgb(path: Path, max_pixels: int, min_decode_size: MinSize | None = None) -> Image.Image:
    """Read an image file as an upright RGB image, transparency over white.

    `min_decode_size` maps the file's width and height to the smallest useful ones; a JPEG is then
    decoded at 1/2, 1/4 or 1/8 of its size if that is still large enough. Decoding takes up to 16
    bytes per pixel, 20 for WebP, 25 for JPEG 2000. Raises Unreadable, whose message is the reason.
    """
    try:
        with _SETTINGS, _open(path, max_pixels) as image:
            _check_pixels(image.width * image.height, max_pixels)
            _check_effort(image, max_pixels)
            if min_decode_size is not None:
                image.draft(None, min_decode_size(*image.size))  # affects JPEGs only
            image.load()
            _orientation(image)  # Pillow raises for broken EXIF only at the first access
            for key in ("exif", "Raw profile type exif"):  # transposing would rewrite them, or fail
                image.info.pop(key, None)
            ImageOps.exif_transpose(image, in_place=True)
            return _to_rgb(image)
    except Unreadable:
        raise
    except Exception as error:  # parsers raise anything for hostile files; skipped.csv lists it
        if getattr(error, "errno", None) in SYSTEM_ERRNOS:
            raise
        text = " ".join(str(error).replace(repr(str(path)), repr(path.name)).split())
        raise Unreadable(f"{type(error).__name__}: {text}") from error


@contextmanager
def _open(path: Path, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """Yield the image of a regular file, not decoded. Raises Unreadable, or a parser's error."""
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):  # reading a pipe or a device would never end
        raise Unreadable("not a regular file")
    max_bytes = MAX_BYTES_PER_PIXEL * max_pixels + MAX_METADATA_BYTES
    if facts.st_size > max_bytes:  # some parsers read the whole file at once
        raise Unreadable(f"{facts.st_size} bytes, too many for data.max_pixels={max_pixels}")
    with Image.open(path, formats=FORMATS) as image:
        image.filename = ""  # prevents a memory map: truncating the file would kill the process
        yield image


def _check_pixels(pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise Unreadable(f"{pixels} pixels, more than data.max_pixels={max_pixels}")


def _check_effort(image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Raise Unreadable for a small file that would fill memory or take hours to decode."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF, whose tiles may be larger than the image
    width, length = ExifTags.Base.TileWidth, ExifTags.Base.TileLength
    if int(tags.get(width, 0)) * int(tags.get(length, 0)) > max_pixels:
        raise Unreadable(f"a tile of more pixels than data.max_pixels={max_pixels}")
    boxes = [tile.extents or (0, 0, 0, 0) for tile in image.tile]
    area = sum((right - left) * (lower - upper) for left, upper, right, lower in boxes)
    if len(boxes) > MAX_TILES or area > MAX_BYTES_PER_PIXEL * image.width * image.height:
        raise Unreadable(f"{len(boxes)} strips or tiles, which overlap many times")
    if (scans := _count_scans(image)) > MAX_SCANS:
        raise Unreadable(f"{scans} scans of all pixels, more than {MAX_SCANS}")


def _count_scans(image: ImageFile.ImageFile) -> int:
    """Return the number of scans of a progressive or arithmetic-coded JPEG, 1 for other images.

    Only in these codings a scan of all pixels can take just a few bytes.
    """
    if image.format not in ("JPEG", "MPO") or image.fp is None:
        return 1
    header = image.fp.tell()
    image.fp.seek(0)
    if b"\xff\xc9" not in image.fp.read(header) and "progressive" not in image.info:
        return 1
    return image.fp.read().count(b"\xff\xda\0")


def _orientation(image: Image.Image) -> object:
    """Return the EXIF orientation, None if the EXIF data is broken."""
    with suppress(Exception):
        # PNG's own getexif would decode the whole image first
        return Image.Image.getexif(image).get(ExifTags.Base.Orientation)
    return None


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of the upright picture by the file's header."""
    is_turned = _orientation(image) in SIDEWAYS and image.format != "TIFF"  # Pillow turns these
    return (image.height, image.width) if is_turned else image.size


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to RGB, transparency over white."""
    if image.mode.startswith(("I", "F")):  # convert() would clip 16 bits and more
        image = _to_eight_bit(np.array(image, dtype=np.float32))
    if image.has_transparency_data:
        if image.mode != "RGBA":
            image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bit(values: NDArray[np.float32]) -> Image.Image:
    """Scale gray values (h, w) of 0..1, 0..255 or 0..65535 to 8-bit gray, overwriting values."""
    np.nan_to_num(values, copy=False)
    top = values.max(initial=0)
    white = 1.0 if top <= 1 else 255.0 if top <= 255 else 65535.0
    values.clip(0, white, out=values)
    values *= 255 / white
    return Image.fromarray(values.round(out=values).astype(np.uint8))


def check_complete(body: bytes, max_pixels: int) -> tuple[int, int]:
    """Decode a downloaded file; return width and height of the upright picture.

    Raises Unreadable if it is not an image, is truncated, or has more than max_pixels pixels.
    """
    try:
        with _SETTINGS, Image.open(io.BytesIO(body), formats=DOWNLOAD_FORMATS) as image:
            width, height = _upright_size(image)
            _check_pixels(width * height, max_pixels)
            image.load()
    except Unreadable:
        raise
    except UnidentifiedImageError as error:
        raise Unreadable("not an image") from error
    except Exception as error:  # parsers raise anything for hostile files; the journal records it
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    return width, height


def pixel_size(path: Path) -> tuple[int, int] | None:
    """Return width and height of the upright picture by the file's header, None if unreadable."""
    try:
        with _SETTINGS, _open(path, MAX_HEADER_PIXELS) as image:
            return _upright_size(image)
    except Exception:  # parsers raise anything; load_rgb gives the reason later
        return None
