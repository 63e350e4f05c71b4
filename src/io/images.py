"""Image files of any kind as RGB pictures. No torch here, so that src.show starts at once."""

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

# Pillow's other parsers see no file: EPS would run ghostscript, an icon be larger than it says
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "PPM", "TGA", "AVIF")
FETCHED = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")  # the formats of IIIF that Pillow reads itself
SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height
SAMPLE_BYTES = 8  # a pixel, in the largest files: four channels of 16 bits, not compressed
METADATA = 2**26  # bytes that a file may have besides
MEASURABLE = 2**27  # pixels that a file may have room for, where only its size is asked for
MAX_SCANS = 100  # of a JPEG; encoders make about 10
MAX_PIECES = 2**18  # strips or tiles; as many as 65,535 lines in four planes
NOT_THE_FILES = (errno.EMFILE, errno.ENFILE, errno.ESTALE)  # faults that pass

Needed = Callable[[int, int], tuple[int, int]]  # width and height of the file -> least of use


class Unreadable(Exception):
    """An image that is left out; the message is the reason that skipped.csv gives."""


class _PillowSettings:
    """Pillow's limit on pixels and its warnings of odd metadata, both off while any thread reads.

    They are settings of the whole process, so they are put back when the last reader leaves.
    data.max_pixels is the limit here, held before an image is decoded.
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


def load_rgb(path: Path, max_pixels: int, min_decode_size: Needed | None = None) -> Image.Image:
    """An image file as RGB, upright, transparency over white. Raises Unreadable with the reason.

    With needed, which gives the smallest width and height of use for those of the file, a JPEG is
    decoded at 1/2, 1/4 or 1/8 of its size where that leaves at least as many pixels. Meanwhile a
    pixel takes up to 16 bytes, in WebP 20, in JPEG 2000 25.
    """
    try:
        with _SETTINGS, _opened(path, max_pixels) as image:
            pixels = image.width * image.height
            if pixels > max_pixels:
                raise Unreadable(f"{pixels} pixels, more than data.max_pixels={max_pixels}")
            _check_effort(image, max_pixels)
            if min_decode_size is not None:
                image.draft(None, min_decode_size(*image.size))  # for JPEGs alone
            image.load()
            _orientation(image)  # what is broken fails at the first reading alone
            for copy in ("exif", "Raw profile type exif"):  # would be written anew, or fail to
                image.info.pop(copy, None)
            ImageOps.exif_transpose(image, in_place=True)
            return _rgb(image)
    except Unreadable:
        raise
    except Exception as error:  # whatever a parser met in a hostile file; it is listed, not hidden
        if getattr(error, "errno", None) in NOT_THE_FILES:
            raise
        text = " ".join(str(error).replace(repr(str(path)), repr(path.name)).split())
        raise Unreadable(f"{type(error).__name__}: {text}") from error


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """The image of a regular file, not decoded. Raises Unreadable, or whatever a parser meets."""
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):  # a pipe or a device would never end
        raise Unreadable("not a regular file")
    if facts.st_size > SAMPLE_BYTES * max_pixels + METADATA:  # some parsers read all of it at once
        raise Unreadable(f"{facts.st_size} bytes, too many for data.max_pixels={max_pixels}")
    with Image.open(path, formats=FORMATS) as image:
        image.filename = ""  # else mapped into memory: a file cut off meanwhile ends the process
        yield image


def _check_effort(image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Raises Unreadable for a small file that would fill memory or be decoded for hours."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF, whose tiles may be larger than the picture
    width, length = ExifTags.Base.TileWidth, ExifTags.Base.TileLength
    if int(tags.get(width, 0)) * int(tags.get(length, 0)) > max_pixels:
        raise Unreadable(f"a tile of more pixels than data.max_pixels={max_pixels}")
    boxes = [piece.extents or (0, 0, 0, 0) for piece in image.tile]
    area = sum((right - left) * (lower - upper) for left, upper, right, lower in boxes)
    if len(boxes) > MAX_PIECES or area > SAMPLE_BYTES * image.width * image.height:
        raise Unreadable(f"{len(boxes)} strips or tiles, which cover the picture over and over")
    if (scans := _scans(image)) > MAX_SCANS:
        raise Unreadable(f"{scans} scans of all pixels, more than {MAX_SCANS}")


def _scans(image: ImageFile.ImageFile) -> int:
    """The scans of a JPEG in which a few bytes make one, progressive or arithmetic; else 1."""
    if image.format not in ("JPEG", "MPO") or image.fp is None:
        return 1
    header = image.fp.tell()
    image.fp.seek(0)
    if b"\xff\xc9" not in image.fp.read(header) and "progressive" not in image.info:
        return 1
    return image.fp.read().count(b"\xff\xda\0")


def _orientation(image: Image.Image) -> object:
    """By EXIF; None where that is broken, which says nothing against the picture."""
    with suppress(Exception):
        # PNG's own getexif decodes the whole picture first
        return Image.Image.getexif(image).get(ExifTags.Base.Orientation)
    return None


def _upright(image: Image.Image) -> tuple[int, int]:
    """Width and height, of a file's header, when the picture is upright."""
    turned = _orientation(image) in SIDEWAYS and image.format != "TIFF"  # Pillow turns its size
    return (image.height, image.width) if turned else image.size


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16 bits a sample and more: convert() would clip
        image = _eight_bit(np.array(image, dtype=np.float32))
    if image.has_transparency_data:
        if image.mode != "RGBA":
            image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bit(values: NDArray[np.float32]) -> Image.Image:
    """Gray values of 0..65535, 0..255 or 0..1 as 8-bit gray; values are overwritten."""
    np.nan_to_num(values, copy=False)
    top = values.max(initial=0)
    full = 1.0 if top <= 1 else 255.0 if top <= 255 else 65535.0
    values.clip(0, full, out=values)
    values *= 255 / full
    return Image.fromarray(values.round(out=values).astype(np.uint8))


def check_whole(body: bytes, max_pixels: int) -> tuple[int, int]:
    """Width and height of the upright picture that a fetched file's bytes decode to, all of them.

    Raises Unreadable for what is no raster image, is cut off, or has more than max_pixels.
    """
    try:
        with _SETTINGS, Image.open(io.BytesIO(body), formats=FETCHED) as image:
            width, height = _upright(image)
            if width * height > max_pixels:
                raise Unreadable(f"{width * height} pixels, more than data.max_pixels={max_pixels}")
            image.load()
    except Unreadable:
        raise
    except UnidentifiedImageError as error:
        raise Unreadable("not an image") from error
    except Exception as error:  # whatever a parser met in a hostile file; it is recorded
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    return width, height


def pixel_size(path: Path) -> tuple[int, int] | None:
    """Width and height of the upright picture by the file's header, None where it has none."""
    try:
        with _SETTINGS, _opened(path, MEASURABLE) as image:
            return _upright(image)
    except Exception:  # whatever a parser met; load_rgb gives the reason
        return None
