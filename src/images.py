"""Image files of any kind as RGB pictures. No torch here, so that src.show starts at once."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

FETCHED = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")  # the formats of IIIF that Pillow reads itself
SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # of odd EXIF and the like
Image.MAX_IMAGE_PIXELS = None  # data.max_pixels is the limit, held before an image is decoded


class Unreadable(Exception):
    """An image that is left out; the message is the reason that skipped.csv gives."""


def load_rgb(path: Path, max_pixels: int) -> Image.Image:
    """An image file as RGB, upright, transparency over white. Raises Unreadable with the reason."""
    try:
        if path.exists() and not path.is_file():  # a pipe or a device would never end
            raise Unreadable("not a regular file")
        with Image.open(path) as image:
            pixels = image.width * image.height
            if pixels > max_pixels:
                raise Unreadable(f"{pixels} pixels, more than data.max_pixels={max_pixels}")
            return _rgb(ImageOps.exif_transpose(image))
    except Unreadable:
        raise
    except Exception as error:  # whatever a parser met in a hostile file; it is listed, not hidden
        text = " ".join(str(error).replace(str(path), path.name).split())
        raise Unreadable(f"{type(error).__name__}: {text}") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16 bits a sample and more: convert() would clip
        image = _eight_bit(np.asarray(image, dtype=np.float64))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bit(values: np.ndarray) -> Image.Image:
    """Gray values of 0..65535, 0..255 or 0..1 as 8-bit gray."""
    values = np.nan_to_num(values)
    top = values.max(initial=0)
    full = 1.0 if top <= 1 else 255.0 if top <= 255 else 65535.0
    return Image.fromarray((values.clip(0, full) * (255 / full)).round().astype(np.uint8))


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
