"""Formats that are read, and what Pillow does not tell of TGA, BMP and JPEG 2000 files."""

import struct
from functools import cache
from importlib.util import find_spec

import numpy as np
from PIL import Image, ImageFile

from src.io.samples import BLOCK, integers_to_8_bit
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


def is_odd_jpeg2000(image: ImageFile.ImageFile) -> bool:
    """Return whether an image is a JPEG 2000 of other than 8 bits; 16-bit gray is read by Pillow.

    Pillow rounds several samples of more than 8 bits up beyond white, to black, and takes fewer
    bits for darker ones.
    """
    if image.format != "JPEG2000" or image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):
        return False
    return set(_jpeg2000_bits(image)) != {8}


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


def read_odd_jpeg2000(image: ImageFile.ImageFile) -> Image.Image:
    """Return an image for which is_odd_jpeg2000 holds in 8 bits, in its mode.

    The decoder applies a color profile.
    """
    import imagecodecs

    bits = set(_jpeg2000_bits(image))
    if len(bits) > 1 or max(bits) > 38:
        raise Unreadable("JPEG 2000 with components of different bits, or with a sign")
    samples = imagecodecs.jpeg2k_decode(_bytes(image))
    bands = len(image.getbands())
    if samples.shape != ((image.height, image.width, bands) if bands > 1 else image.size[::-1]):
        raise Unreadable(f"JPEG 2000 with components of other sizes: {samples.shape}")
    eight_bit = integers_to_8_bit(samples, bits.pop())
    return Image.frombytes(image.mode, image.size, eight_bit.tobytes())


def jpeg2000_profile(image: ImageFile.ImageFile) -> bytes | None:
    """Return the color profile in the header of an opened JP2 file, which Pillow does not read."""
    body = _bytes(image)
    head = body[: max(0, body.find(J2K_START))]
    start = head.find(b"colr") + 4
    if start < 8 or head[start : start + 1] not in (b"\2", b"\3"):
        return None
    length = struct.unpack(">L", head[start - 8 : start - 4])[0]
    return head[start + 3 : start - 8 + length]


def is_scaled_ppm(image: ImageFile.ImageFile) -> bool:
    """Return whether an image is a binary PNM of a white that Pillow scales pixel by pixel."""
    return image.format == "PPM" and bool(image.tile) and image.tile[0].codec_name == "ppm"


def read_scaled_ppm(image: ImageFile.ImageFile) -> Image.Image:
    """Return an image for which is_scaled_ppm holds in 8 bits: L, RGB or CMYK."""
    assert image.fp is not None and isinstance(image.tile[0].args, tuple)
    mode, white = image.tile[0].args
    image.fp.seek(image.tile[0].offset)
    dtype = np.dtype("u1" if white < 256 else ">u2")
    count = image.width * image.height * Image.getmodebands(mode)
    body = image.fp.read(count * dtype.itemsize)
    if len(body) < count * dtype.itemsize:
        raise Unreadable("image file is truncated")
    scale = (np.arange(2 ** (8 * dtype.itemsize)) * (255 / white)).round().clip(0, 255)
    samples, result = np.frombuffer(body, dtype), np.empty(count, np.uint8)
    for start in range(0, count, BLOCK):  # numpy widens indices to 8 bytes
        result[start : start + BLOCK] = scale[samples[start : start + BLOCK]]
    return Image.frombytes(mode, image.size, result.tobytes())


def scale_transparent_color(image: ImageFile.ImageFile) -> None:
    """Give the transparent gray of a PNG the bits of its samples, which Pillow scales to 8.

    Raises Unreadable for a transparent color of 16 bits, of which Pillow compares 8.
    """
    color = image.info.get("transparency")
    if image.format != "PNG" or color is None or not image.tile:
        return
    layout = image.tile[0].args[0] if isinstance(image.tile[0].args, tuple) else image.tile[0].args
    if layout in ("L;2", "L;4") and isinstance(color, int):
        image.info["transparency"] = color * {"L;2": 85, "L;4": 17}[layout]
    if layout == "RGB;16B":
        raise Unreadable("PNG of 16 bits with a transparent color")


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
