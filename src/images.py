"""Image files of any kind as RGB pictures. No torch here, so that src.show starts at once."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

FETCHED = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")  # the formats of IIIF that Pillow reads itself
SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # of odd EXIF and the like
Image.MAX_IMAGE_PIXELS = None  # data.max_pixels is the limit, held before an image is decoded

Needed = Callable[[int, int], tuple[int, int]]  # width and height of the file -> least of use


class Unreadable(Exception):
    """An image that is left out; the message is the reason that skipped.csv gives."""


def load_rgb(path: Path, max_pixels: int, needed: Needed | None = None) -> Image.Image:
    """An image file as RGB, upright, transparency over white. Raises Unreadable with the reason.

    With needed, which gives the smallest width and height of use for those of the file, a JPEG is
    decoded at 1/2, 1/4 or 1/8 of its size where that leaves at least as many pixels.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe or a device would never end
            raise Unreadable("not a regular file")
        with Image.open(path) as image:
            pixels = image.width * image.height
            if pixels > max_pixels:
                raise Unreadable(f"{pixels} pixels, more than data.max_pixels={max_pixels}")
            if needed is not None:
                image.draft(None, needed(*image.size))  # for JPEGs alone
            ImageOps.exif_transpose(image, in_place=True)
            return _rgb(image)
    except Unreadable:
        raise
    except Exception as error:  # whatever a parser met in a hostile file; it is listed, not hidden
        text = " ".join(str(error).replace(str(path), path.name).split())
        raise Unreadable(f"{type(error).__name__}: {text}") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16 bits a sample and more: convert() would clip
        image = _eight_bit(np.array(image, dtype=np.float32))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        image = white
    return image.convert("RGB")


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
        with Image.open(io.BytesIO(body), formats=FETCHED) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise Unreadable(f"{width * height} pixels, more than data.max_pixels={max_pixels}")
            turned = image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
            image.load()
    except Unreadable:
        raise
    except UnidentifiedImageError as error:
        raise Unreadable("not an image") from error
    except Exception as error:  # whatever a parser met in a hostile file; it is recorded
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    return (height, width) if turned else (width, height)


def pixel_size(path: Path) -> tuple[int, int] | None:
    """Width and height of the upright picture by the file's header, None where it has none."""
    try:
        with Image.open(path) as image:
            exif = Image.Image.getexif(image)  # PNG's own decodes the whole picture first
            turned = exif.get(ExifTags.Base.Orientation) in SIDEWAYS
            return (image.height, image.width) if turned else image.size
    except Exception:  # whatever a parser met; load_rgb gives the reason
        return None
