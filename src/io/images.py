"""Read image files of many formats as sRGB. Does not import torch, so that src.show starts fast.

A picture is what its file says, or it is skipped with the reason, or a remark says what is damaged.
"""

import errno
import io
import stat
from contextlib import suppress
from pathlib import Path

from PIL import (
    ExifTags,
    Image,
    ImageFile,
    ImageOps,
    TiffImagePlugin,
    UnidentifiedImageError,
)

from src.io import color, formats, jpeg, tiff
from src.io.jpeg import MinSize
from src.io.pillow_settings import PILLOW_SETTINGS
from src.io.unreadable import (
    MAX_BYTES_PER_PIXEL,
    MAX_METADATA_BYTES,
    MAX_TILES,
    Unreadable,
    check_pixels,
    check_tile,
)

DOWNLOAD_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")  # of IIIF, decoded by Pillow itself
MAX_HEADER_PIXELS = 2**27  # limits the file size where only the header is read
MAX_SCANS = 100  # of a JPEG; encoders write about 10
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
    try:
        with PILLOW_SETTINGS:
            image, damage = _decode(path, max_pixels, min_decode_size)
            rgb, remark = color.to_rgb(image)
            return rgb, damage or remark
    except Unreadable:
        raise
    except Exception as error:  # parsers raise anything for hostile files; skipped.csv lists it
        if getattr(error, "errno", None) in SYSTEM_ERRNOS:
            raise
        text = " ".join(str(error).replace(repr(str(path)), repr(path.name)).split())
        raise Unreadable(f"{type(error).__name__}: {text}") from error


def _decode(
    path: Path, max_pixels: int, min_decode_size: MinSize | None
) -> tuple[Image.Image, str]:
    """Return the upright image of any mode, and what is damaged about its file."""
    opened = _open(path, max_pixels)
    if opened is None:
        return _upright(tiff.read_tiff(path, max_pixels)), ""
    with opened as image:
        check_pixels(image.width * image.height, max_pixels)
        _check_effort(image, max_pixels)
        if formats.is_odd_jpeg2000(image):
            return _upright(formats.read_odd_jpeg2000(image)), ""
        is_opaque = formats.is_opaque_tga(image)
        formats.scale_transparent_color(image)
        if min_decode_size is not None:
            image.draft(None, min_decode_size(*image.size))  # affects JPEGs only
        try:
            image.load()
        except OSError:
            if image.format not in ("JPEG", "MPO"):
                raise
            if (whole := jpeg.load_without_end(path.read_bytes(), min_decode_size)) is None:
                raise
            return _upright(whole), NO_END_MARKER
        decoded = image.convert(image.mode[:-1]) if is_opaque else image
        return _upright(formats.without_empty_alpha(decoded)), ""


def _upright(image: Image.Image) -> Image.Image:
    """Return the image turned as its EXIF data say, in place."""
    _orientation(image)  # Pillow raises for broken EXIF only at the first access
    for key in ("exif", "Raw profile type exif"):  # transposing would rewrite them, or fail
        image.info.pop(key, None)
    ImageOps.exif_transpose(image, in_place=True)
    return image


def _open(path: Path, max_pixels: int) -> ImageFile.ImageFile | None:
    """Return the image of a regular file, not decoded; None for a TIFF that tifffile must read.

    Raises Unreadable, or a parser's error.
    """
    _check_file(path, max_pixels)
    try:
        image = Image.open(path, formats=formats.formats())
    except Exception:  # parsers raise anything; tifffile reads more kinds, or says why not
        if tiff.is_tiff(path):
            return None
        raise
    if isinstance(image, TiffImagePlugin.TiffImageFile) and not tiff.pillow_reads(image):
        image.close()
        return None
    if image.format == "JPEG2000" and (profile := formats.jpeg2000_profile(image)):
        image.info["icc_profile"] = profile
    image.filename = ""  # prevents a memory map: truncating the file would kill the process
    return image


def _check_file(path: Path, max_pixels: int) -> None:
    """Raise Unreadable for what is not a regular file of a reasonable size."""
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):  # reading a pipe or a device would never end
        raise Unreadable("not a regular file")
    max_bytes = MAX_BYTES_PER_PIXEL * max_pixels + MAX_METADATA_BYTES
    if facts.st_size > max_bytes:  # some parsers read the whole file at once
        raise Unreadable(f"{facts.st_size} bytes, too many for data.max_pixels={max_pixels}")


def _check_effort(image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Raise Unreadable for a small file that would fill memory or take hours to decode."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF, whose tiles may be larger than the image
    width, length = ExifTags.Base.TileWidth, ExifTags.Base.TileLength
    check_tile(int(tags.get(width, 0)) * int(tags.get(length, 0)), max_pixels)
    boxes = [tile.extents or (0, 0, 0, 0) for tile in image.tile]
    area = sum((right - left) * (lower - upper) for left, upper, right, lower in boxes)
    if len(boxes) > MAX_TILES or area > MAX_BYTES_PER_PIXEL * image.width * image.height:
        raise Unreadable(f"{len(boxes)} strips or tiles, which overlap many times")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tiff.check_offsets(image)
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
    is_turned = (
        _orientation(image) in tiff.SIDEWAYS and image.format != "TIFF"
    )  # Pillow turns these
    return (image.height, image.width) if is_turned else image.size


def check_complete(body: bytes, max_pixels: int) -> tuple[int, int]:
    """Decode a downloaded file; return width and height of the upright picture.

    Raises Unreadable if it is not an image, is truncated, or has more than max_pixels pixels.
    """
    try:
        with PILLOW_SETTINGS, Image.open(io.BytesIO(body), formats=DOWNLOAD_FORMATS) as image:
            width, height = _upright_size(image)
            check_pixels(width * height, max_pixels)
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
        with PILLOW_SETTINGS:
            image = _open(path, MAX_HEADER_PIXELS)
            if image is None:
                return tiff.tiff_size(path)
            with image:
                return _upright_size(image)
    except Exception:  # parsers raise anything; load_rgb gives the reason later
        return None


def is_decoded_anew(path: Path) -> bool:
    """Return whether a file that a version before color profiles read is decoded differently now.

    It has a profile, or samples of a kind that was read wrongly. In doubt the answer is True.
    """
    try:
        with PILLOW_SETTINGS:
            image = _open(path, MAX_HEADER_PIXELS)
            if image is None:
                return True
            with image:
                if isinstance(image, TiffImagePlugin.TiffImageFile):
                    tiff.check_offsets(image)
                has_key = (
                    image.format == "PNG" and image.mode == "L" and "transparency" in image.info
                )
                is_wide = image.mode.startswith(("I", "F")) or formats.is_odd_jpeg2000(image)
                is_doubtful = image.format in ("TGA", "BMP") and image.mode in ("LA", "RGBA")
                return is_wide or is_doubtful or has_key or color.changes_colors(image)
    except Exception:  # parsers raise anything
        return True
