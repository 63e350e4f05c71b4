"""Formats that are read, and what Pillow does not tell of TGA, BMP and JPEG 2000 files."""

import struct
from functools import cache
from importlib.util import find_spec

from PIL import Image, ImageFile

from src.io.samples import integers_to_8_bit
from src.io.unreadable import Unreadable

# Formats that Pillow may try: its EPS parser runs ghostscript, an icon can exceed its header's size
PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "PPM", "TGA", "AVIF")
J2K_START = b"\xff\x4f\xff\x51"  # start of codestream, then the segment of sizes
TGA_OPACITY = (3, 4)  # attributes types of TGA 2.0 for which alpha means opacity


@cache
def formats() -> tuple[str, ...]:
    """Return the names of the formats that Pillow may try.

    Adds HEIC and JPEG XL to Pillow where the optional dependency `formats` is installed.
    """
    plugins = []
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
        plugins.append("HEIF")
    if find_spec("pillow_jxl"):
        import pillow_jxl  # noqa: F401

        plugins.append("JXL")
    return (*PILLOW_FORMATS, *plugins)


def is_deep_jpeg2000(image: ImageFile.ImageFile) -> bool:
    """Return whether an image is a JPEG 2000 of several samples with more than 8 bits each.

    Pillow rounds these up beyond white, to black.
    """
    return (
        image.format == "JPEG2000"
        and image.mode in ("LA", "RGB", "RGBA", "CMYK")
        and (max(_jpeg2000_bits(image)) > 8)
    )


def _jpeg2000_bits(image: ImageFile.ImageFile) -> list[int]:
    """Return the bits of each component, plus 128 if it is signed. Raises Unreadable if unknown."""
    body = _bytes(image)
    start = body.find(J2K_START)
    sizes = body[start + 40 : start + 42]
    count = struct.unpack(">H", sizes)[0] if start >= 0 and len(sizes) == 2 else 0
    depths = body[start + 42 : start + 42 + 3 * count : 3]
    if not count or len(depths) < count:
        raise Unreadable("JPEG 2000 without bits per sample")
    return [depth + 1 for depth in depths]


def read_deep_jpeg2000(image: ImageFile.ImageFile) -> Image.Image:
    """Return an image for which is_deep_jpeg2000 holds in 8 bits, its mode and info kept."""
    import imagecodecs

    bits = set(_jpeg2000_bits(image))
    if len(bits) > 1 or max(bits) > 38:
        raise Unreadable("JPEG 2000 with components of different bits, or with a sign")
    samples = imagecodecs.jpeg2k_decode(_bytes(image))
    if samples.shape != (image.height, image.width, len(image.getbands())):
        raise Unreadable(f"JPEG 2000 with components of other sizes: {samples.shape}")
    result = Image.fromarray(integers_to_8_bit(samples, bits.pop()), image.mode)
    result.info = dict(image.info)
    return result


def _bytes(image: ImageFile.ImageFile) -> bytes:
    """Return the whole file of an opened image, leaving its position."""
    assert image.fp is not None
    position = image.fp.tell()
    image.fp.seek(0)
    body = image.fp.read()
    image.fp.seek(position)
    return body


def is_opaque_tga(image: ImageFile.ImageFile) -> bool:
    """Return whether an opened file is a TGA without bits of alpha, or with another use of them."""
    if image.format != "TGA" or image.mode not in ("LA", "RGBA"):
        return False
    body = _bytes(image)
    extension = 0
    if body[-18:] == b"TRUEVISION-XFILE.\0":
        extension = struct.unpack("<L", body[-26:-22])[0]
    attributes = body[extension + 494 : extension + 495] if extension else b""
    bits = body[17] & 15
    return bits == 0 or (attributes != b"" and attributes[0] not in TGA_OPACITY)


def without_empty_alpha(image: Image.Image) -> Image.Image:
    """Return a decoded image; a TGA or BMP whose alpha is zero in every pixel has none.

    Some programs write zeros there.
    """
    if image.format not in ("TGA", "BMP") or image.mode not in ("LA", "RGBA"):
        return image
    is_empty = image.getchannel("A").getextrema() == (0, 0)
    return image.convert(image.mode[:-1]) if is_empty else image
