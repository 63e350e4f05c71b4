"""Read image files of many formats as sRGB. Does not import torch, so that src.show starts fast.

A picture is what its file says, or it is skipped with the reason, or a remark says what is damaged.
"""

import errno
import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from PIL import (
    ExifTags,
    Image,
    ImageFile,
    ImageOps,
    TiffImagePlugin,
    UnidentifiedImageError,
)

from src.io import color, formats, jpeg, tiff
from src.io.effort import check_effort
from src.io.headers import check_header
from src.io.jpeg import MinSize
from src.io.metered import metered, release
from src.io.pillow_settings import PILLOW_SETTINGS
from src.io.unreadable import (
    MAX_BYTES_PER_PIXEL,
    MAX_METADATA_BYTES,
    Unreadable,
    check_pixels,
)

DOWNLOAD_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")  # of IIIF, decoded by Pillow itself
MAX_HEADER_PIXELS = 2**27  # limits the file size where only the header is read
SYSTEM_ERRNOS = (errno.EMFILE, errno.ENFILE, errno.ESTALE)  # temporary, not the file's fault
NO_END_MARKER = "the JPEG lacks its end marker, but no pixel"


def load_rgb(path: Path, max_pixels: int, min_decode_size: MinSize | None = None) -> Image.Image:
    """Read an image file as an upright sRGB image, transparency over white.

    `min_decode_size` maps the file's width and height to the smallest useful ones; a JPEG is then
    decoded at 1/2, 1/4 or 1/8 of its size if that is still large enough. Decoding takes up to 16
    bytes per pixel, 20 for WebP, 25 for JPEG 2000, 35 for TIFF of 64 bits. Raises Unreadable, whose
    message is the reason.
    """
    return load_with_remark(path, max_pixels, min_decode_size)[0]


def load_with_remark(
    path: Path, max_pixels: int, min_decode_size: MinSize | None = None
) -> tuple[Image.Image, str]:
    """Read an image as load_rgb does; also return what is damaged about its file, "" if nothing."""
    with _reasons(path), PILLOW_SETTINGS, _stream(path, max_pixels) as file:
        image, damage = _decode(file, formats.formats(), max_pixels, min_decode_size)
        rgb, remark = color.to_rgb(image)
        return rgb, damage or remark


def check_complete(body: bytes, max_pixels: int) -> tuple[int, int]:
    """Decode a downloaded file; return width and height of the upright picture.

    Raises Unreadable for what load_rgb does not read, for other formats than DOWNLOAD_FORMATS, and
    for a JPEG without its end, which may be complete when it is asked for again.
    """
    with _reasons(None), PILLOW_SETTINGS, _stream(body, max_pixels) as file:
        image, damage = _decode(file, DOWNLOAD_FORMATS, max_pixels)
        if damage:
            raise Unreadable(f"OSError: image file is truncated: {damage}")
        if image.mode == "F":  # floating-point samples alone may mean no known colors
            color.to_rgb(image)
        return image.size


@contextmanager
def _reasons(path: Path | None) -> Iterator[None]:
    """Turn whatever a parser raises for a hostile file into Unreadable; path: None for bytes."""
    try:
        yield
    except Unreadable:
        raise
    except UnidentifiedImageError as error:
        reason = f"UnidentifiedImageError: cannot identify image file {path.name!r}" if path else ""
        raise Unreadable(reason or "not an image") from error
    except Exception as error:  # skipped.csv and the journal list it
        if getattr(error, "errno", None) in SYSTEM_ERRNOS:
            raise
        text = str(error).replace(repr(str(path)), repr(path.name)) if path else str(error)
        raise Unreadable(f"{type(error).__name__}: {' '.join(text.split())}") from error


@contextmanager
def _stream(source: Path | bytes, max_pixels: int) -> Iterator[BinaryIO]:
    """Yield a regular file of a reasonable size, or bytes as a file. Raises Unreadable."""
    if isinstance(source, bytes):
        _check_size(len(source), max_pixels)
        yield io.BytesIO(source)
        return
    facts = source.stat()
    if not stat.S_ISREG(facts.st_mode):  # reading a pipe or a device would never end
        raise Unreadable("not a regular file")
    _check_size(facts.st_size, max_pixels)
    with source.open("rb") as file:
        yield file


def _check_size(size: int, max_pixels: int) -> None:
    if size > MAX_BYTES_PER_PIXEL * max_pixels + MAX_METADATA_BYTES:
        # some parsers read the whole file at once
        raise Unreadable(f"{size} bytes, too many for data.max_pixels={max_pixels}")


def _decode(
    file: BinaryIO,
    kinds: tuple[str, ...],
    max_pixels: int,
    min_decode_size: MinSize | None = None,
) -> tuple[Image.Image, str]:
    """Return the upright image of any mode, and what is damaged about its file.

    All limits hold here, for files and for downloads.
    """
    opened = _open(file, kinds, max_pixels)
    if opened is None:
        return _upright(tiff.read_tiff(file, max_pixels)), ""
    with opened as image:
        check_pixels(image.width * image.height, max_pixels)
        check_effort(image, file, max_pixels)
        if formats.is_odd_jpeg2000(image):
            return _upright(formats.read_odd_jpeg2000(image)), ""
        if formats.is_scaled_ppm(image):
            return _upright(formats.read_scaled_ppm(image)), ""
        is_opaque = formats.is_opaque_tga(image)
        formats.scale_transparent_color(image)
        is_jpeg = image.format in ("JPEG", "MPO")
        if min_decode_size is not None and image.format != "HEIF":  # that gives a thumbnail
            image.draft(None, min_decode_size(*image.size))
        try:
            image.load()
        except OSError:
            file.seek(0)
            if (
                not is_jpeg
                or (whole := jpeg.load_without_end(file.read(), min_decode_size)) is None
            ):
                raise
            return _upright(whole), NO_END_MARKER
        decoded = image.convert(image.mode[:-1]) if is_opaque else image
        return _upright(formats.without_empty_alpha(decoded)), ""


def _upright(image: Image.Image) -> Image.Image:
    """Return the image turned as its EXIF data say, in place."""
    if _orientation(image) in (None, 1):
        return image
    for key in ("exif", "Raw profile type exif"):  # transposing would rewrite them, or fail
        image.info.pop(key, None)
    ImageOps.exif_transpose(image, in_place=True)
    return image


def _open(file: BinaryIO, kinds: tuple[str, ...], max_pixels: int) -> ImageFile.ImageFile | None:
    """Return an image, not decoded; None for a TIFF that tifffile must read.

    Raises Unreadable, or a parser's error.
    """
    check_header(file, max_pixels)
    counted = metered(file)
    try:
        image = Image.open(counted, formats=kinds)
    except Unreadable:
        raise
    except Exception:  # parsers raise anything; tifffile reads more kinds, or says why not
        if tiff.is_tiff(file):
            return None
        raise
    release(counted)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and not tiff.pillow_reads(image):
        return None
    if image.format == "JPEG2000" and (profile := formats.jpeg2000_profile(image)):
        image.info["icc_profile"] = profile
    return image


def _orientation(image: Image.Image) -> object:
    """Return the EXIF orientation, None if the EXIF data is broken."""
    with suppress(Exception):
        # PNG's own getexif would decode the whole image first
        return Image.Image.getexif(image).get(ExifTags.Base.Orientation)
    return None


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of the upright picture by the file's header."""
    is_turned = (
        _orientation(image) in tiff.SIDEWAYS and image.format != "TIFF"
    )  # Pillow turns these
    return (image.height, image.width) if is_turned else image.size


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, ImageFile.ImageFile | None]]:
    """Yield a file and its image, not decoded; None for a TIFF that tifffile must read."""
    with PILLOW_SETTINGS, _stream(path, MAX_HEADER_PIXELS) as file:
        yield file, _open(file, formats.formats(), MAX_HEADER_PIXELS)


def pixel_size(path: Path) -> tuple[int, int] | None:
    """Return width and height of the upright picture by the file's header, None if unreadable."""
    try:
        with _opened(path) as (file, image):
            return tiff.tiff_size(file) if image is None else _upright_size(image)
    except Exception:  # parsers raise anything; load_rgb gives the reason later
        return None


def is_decoded_anew(path: Path) -> bool:
    """Return whether a file that a version before color profiles read is decoded differently now.

    It has a profile, or samples of a kind that was read wrongly. In doubt the answer is True.
    """
    try:
        with _opened(path) as (_, image):
            if image is None:
                return True
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                tiff.check_offsets(image)
            has_key = image.format == "PNG" and image.mode == "L" and "transparency" in image.info
            is_wide = image.mode.startswith(("I", "F")) or formats.is_odd_jpeg2000(image)
            is_doubtful = image.format in ("TGA", "BMP") and image.mode in ("LA", "RGBA")
            return is_wide or is_doubtful or has_key or color.changes_colors(image)
    except Exception:  # parsers raise anything
        return True
