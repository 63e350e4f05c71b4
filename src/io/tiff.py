"""Read by tifffile the kinds of TIFF that Pillow refuses or decodes wrongly.

Which kind a file is follows from its tags alone: bits per sample, sample format, photometric
interpretation, planes. See the TIFF 6.0 specification, sections 3 to 6, 18, 19 and 23.
"""

import io
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

from src.io.metered import metered, release
from src.io.samples import floats_to_8_bit, integers_to_8_bit
from src.io.unreadable import MAX_TILES, Unreadable, check_packed, check_pixels, check_tiles

if TYPE_CHECKING:
    from tifffile import TiffPage

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
UNSIGNED, FLOAT = 1, 3  # sample formats
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8  # photometric
COLORS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, LAB: 3}
# Compressions whose decoders stop at the size of a strip: none, LZW, Deflate, PackBits, LZMA, Zstd
COMPRESSIONS = (1, 5, 8, 32946, 32773, 34925, 50000)
NOT_THE_PICTURE = 1 | 4  # bits of NewSubfileType: a reduced page, a mask
PLACES = (273, 279, 324, 325)  # tags: offsets and lengths of strips, of tiles
MAX_PAGES = 32  # looked at to find the picture
MAX_SAMPLE_BYTES = 24  # per pixel, three samples of 64 bits
INCOMPLETE = "truncated: strips or tiles are missing"
MAX_EXTRA = 3  # samples per pixel besides the colors; alpha is the first
OPAQUE, PREMULTIPLIED, STRAIGHT = range(3)  # kinds of extra sample: none of opacity, opacity
SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height


def is_tiff(file: BinaryIO) -> bool:
    """Return whether a file starts as a TIFF does."""
    file.seek(0)
    return file.read(4) in MAGIC


def pillow_reads(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Return whether Pillow decodes an opened TIFF as its tags say: the common kinds.

    Pillow ignores that zero is white in 16 bits, the number of bits between 8 and 16, signs, and
    that the first page is a reduced one; it wraps 32 bits, and mixes up uncompressed planes and
    subsampled colors.
    """
    tags = image.tag_v2
    bits, formats = set(tags.get(258, (1,))), set(tags.get(339, (UNSIGNED,)))
    is_raw, photometric = tags.get(259, 1) == 1, tags.get(262)
    is_planar = tags.get(284, 1) != 1 and (is_raw or tags.get(277, 1) > 1)
    is_reduced = tags.get(254, 0) & NOT_THE_PICTURE
    is_subsampled = is_raw and photometric == YCBCR
    if is_planar or is_reduced or is_subsampled or photometric is None or formats != {UNSIGNED}:
        return False
    return max(bits) <= 8 or (bits == {16} and photometric != WHITE_IS_ZERO)


def check_offsets(image: TiffImagePlugin.TiffImageFile) -> None:
    """Raise Unreadable if strips or tiles of chunky samples are missing; Pillow may ignore it."""
    tags = image.tag_v2
    width, length = int(tags.get(256, 0)), int(tags.get(257, 0))
    tile_width = int(tags.get(322, width))
    tile_length = int(tags.get(323, tags.get(278, length)))
    offsets = tags.get(324, tags.get(273, ()))
    count = math.ceil(width / tile_width) * math.ceil(length / tile_length)
    if len(offsets) < count or not all(offsets):
        raise Unreadable(INCOMPLETE)


def check_shared(image: TiffImagePlugin.TiffImageFile, file: BinaryIO) -> None:
    """Raise Unreadable if the strips or tiles of a packed TIFF share bytes many times.

    libtiff takes the first of two equal tags, Pillow the last; without the numbers of bytes, it
    takes each strip to be as long as the file.
    """
    tags, size = image.tag_v2, file.seek(0, io.SEEK_END)
    if tags.get(259, 1) == 1:
        return
    names = _tag_names(file, tags.offset or 0, tags._bigtiff)
    if any(names.count(name) > 1 for name in PLACES):
        raise Unreadable("TIFF that lists its strips or tiles twice")
    for offsets, lengths in (PLACES[:2], PLACES[2:]):
        count, given = len(tags.get(offsets, ())), tags.get(lengths, ())
        packed = sum(min(abs(int(length)), size) for length in given)
        packed += max(count - len(given), 0) * size
        check_packed(packed, image.width * image.height, size)


def _tag_names(file: BinaryIO, start: int, is_big: bool) -> list[int]:
    """Return the number of each tag in a list of tags."""
    file.seek(0)
    order: Literal["little", "big"] = "little" if file.read(2) == b"II" else "big"
    file.seek(start)
    count = int.from_bytes(file.read(8 if is_big else 2), order)
    entry = 20 if is_big else 12
    entries = file.read(entry * min(count, 2**16))
    return [int.from_bytes(entries[at : at + 2], order) for at in range(0, len(entries), entry)]


@contextmanager
def _main_page(file: BinaryIO) -> Iterator["TiffPage"]:
    """Yield the first page of a TIFF that is neither reduced nor a mask, not decoded."""
    import tifffile  # takes 0.2 s

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it logs damage, then raises
    counted = metered(file)
    with tifffile.TiffFile(counted) as pages:
        for page in islice(pages.pages, MAX_PAGES):
            if isinstance(page, tifffile.TiffPage) and not page.subfiletype & NOT_THE_PICTURE:
                release(counted)
                yield page
                return
    raise Unreadable("TIFF without a page that is neither reduced nor a mask")


def read_tiff(file: BinaryIO, max_pixels: int) -> Image.Image:
    """Return the first full page of a TIFF in 8 bits, not turned: L, LA, RGB, RGBA, CMYK or LAB.

    Its info has the color profile, its EXIF data the orientation. Raises Unreadable for a kind
    whose picture is not known, and tifffile's errors for damaged files.
    """
    with _main_page(file) as page:
        _check_kind(page)
        _check_segments(page, file.seek(0, io.SEEK_END), max_pixels)
        image = _image(page, _eight_bit(page))
        if profile := page.tags.valueof(ExifTags.Base.InterColorProfile):
            image.info["icc_profile"] = profile
        if orientation := page.tags.valueof(ExifTags.Base.Orientation):
            image.getexif()[ExifTags.Base.Orientation] = int(orientation)
    return image


def tiff_size(file: BinaryIO) -> tuple[int, int]:
    """Return width and height of the upright picture by its tags."""
    with _main_page(file) as page:
        size = page.imagewidth, page.imagelength
        is_turned = page.tags.valueof(ExifTags.Base.Orientation, default=1) in SIDEWAYS
    return size[::-1] if is_turned else size


def _check_kind(page: "TiffPage") -> None:
    """Raise Unreadable unless the tags say what the samples show, and a decoder is bounded."""
    bits, extra = page.bitspersample, page.samplesperpixel - COLORS.get(page.photometric, 0)
    unknown = {
        f"photometric interpretation {page.photometric}": page.photometric not in COLORS,
        f"compression {page.compression}": page.compression not in COMPRESSIONS,
        f"sample format {page.sampleformat}": page.sampleformat not in (UNSIGNED, FLOAT),
        # readers disagree on the order of the bytes in 24 bits
        f"{bits} bits per sample": not isinstance(bits, int) or bits == 24 or page.dtype is None,
        f"{page.imagedepth} slices": page.imagedepth != 1,
        f"{page.samplesperpixel} samples per pixel": not 0 <= extra <= MAX_EXTRA,
        "a palette of other than whole numbers": page.photometric == PALETTE
        and (page.sampleformat != UNSIGNED or page.colormap is None or extra != 0),
        "no photometric interpretation": 262 not in page.tags,
        "transparency other than as the first extra sample": any(page.extrasamples[1:])
        or (page.photometric == CMYK and any(page.extrasamples)),
        "premultiplied transparency where zero is white": page.photometric == WHITE_IS_ZERO
        and PREMULTIPLIED in page.extrasamples,
        "color L*a*b* of other than 8 or 16 bits": page.photometric == LAB
        and (page.sampleformat != UNSIGNED or bits not in (8, 16)),
    }
    for reason, is_unknown in unknown.items():
        if is_unknown:
            raise Unreadable(f"TIFF of a kind that cannot be read: {reason}")


def _check_segments(page: "TiffPage", file_size: int, max_pixels: int) -> None:
    """Raise Unreadable for too many pixels, and if strips or tiles are missing or too many.

    tifffile would leave missing ones black.
    """
    check_pixels(page.imagewidth * page.imagelength, max_pixels)
    size, tile = (page.imagewidth, page.imagelength), (page.tilewidth, page.tilelength)
    check_tiles(size, tile, max_pixels)
    count = math.prod(page.chunked)
    if max(count, len(page.dataoffsets)) > MAX_TILES:
        raise Unreadable(f"{count} strips or tiles, more than {MAX_TILES}")
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    ends = [start + length for start, length in segments if start and length]
    if len(ends) < count or max(ends) > file_size:
        raise Unreadable(INCOMPLETE)
    if page.compression != 1:
        check_packed(sum(page.databytecounts), page.imagewidth * page.imagelength, file_size)
    if page.nbytes > MAX_SAMPLE_BYTES * page.imagewidth * page.imagelength:
        raise Unreadable(f"{page.samplesperpixel} samples per pixel of {page.bitspersample} bits")


def _eight_bit(page: "TiffPage") -> NDArray[np.uint8]:
    """Return the samples of a page in 8 bits, (h, w, samples)."""
    samples = page.asarray(maxworkers=1, squeeze=False)  # (planes, 1, h, w, samples of a plane)
    if page.colormap is not None and page.photometric == PALETTE:  # (3, 2^bits) of 16 bits
        return np.moveaxis(integers_to_8_bit(page.colormap, 16)[:, samples[0, 0, ..., 0]], 0, -1)
    if page.sampleformat == FLOAT:
        eight_bit = floats_to_8_bit(samples)
    else:
        whole = samples.astype(f"u{samples.itemsize}", copy=False)
        eight_bit = integers_to_8_bit(whole, page.bitspersample)
    return np.moveaxis(eight_bit[:, 0], 0, 2).reshape(*samples.shape[2:4], -1)


def _image(page: "TiffPage", samples: NDArray[np.uint8]) -> Image.Image:
    """Return samples (h, w, s) as an image, by their photometric interpretation and alpha."""
    colors = 3 if page.photometric == PALETTE else COLORS[page.photometric]
    mode = {1: "L", 3: "LAB" if page.photometric == LAB else "RGB", 4: "CMYK"}[colors]
    if page.photometric == WHITE_IS_ZERO:
        samples[..., 0] ^= 255
    alpha = _alpha(page)
    if alpha != OPAQUE and mode in ("L", "RGB"):
        mode += "a" if alpha == PREMULTIPLIED else "A"
        colors += 1
    pixels = np.ascontiguousarray(samples[..., :colors])
    image = Image.frombuffer(mode, pixels.shape[1::-1], pixels)
    return image.convert(mode.upper()) if alpha == PREMULTIPLIED else image


def _alpha(page: "TiffPage") -> int:
    """Return what the first sample after the colors is; RGBA may lack its tag."""
    if page.extrasamples:
        return int(page.extrasamples[0])
    return STRAIGHT if page.samplesperpixel > COLORS[page.photometric] else OPAQUE
