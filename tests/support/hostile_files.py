"""Hostile and odd files: name and maker of each."""

import os
import struct
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from src.embedding.dataset import CHANGED
from tests.support.hostile_bytes import (
    BOMB,
    arithmetic,
    bad_crc,
    bad_data,
    chunk,
    gif,
    more_scans,
    tiff,
    with_chunk,
    without_adobe,
)
from tests.support.hostile_runs import MAX_PIXELS
from tests.support.image_files import (
    FIFO,
    NO_IMAGE,
    Maker,
    animated,
    cut_off,
    fifo,
    file,
    huge,
    link,
    outside,
    raw,
    red_ink,
    scaled,
    transparent,
    turned,
    within,
)

EXIF = b"Exif\0\0"
UNREADABLE_EXIF = {
    "no TIFF": EXIF + b"garbage, all of it",
    "cut off": EXIF + b"II*\0\x08\0\0\0\x05\0\x12\1\3\0\1\0",
    "beyond its end": EXIF + b"MM\0*\xff\xff\xff\0",
}


def endless(path: Path, picture: Image.Image) -> Image.Image:
    """Make a TIFF whose page names itself as the next page."""
    gray = picture.convert("L")
    path.write_bytes(tiff(data=gray.tobytes()))
    return gray.convert("RGB")


LONG = "n" * 246 + ".png"
KINDS: dict[str, Maker] = {
    **{f"cut off at {tenth}0%.jpg": cut_off(tenth / 10) for tenth in range(1, 10)},
    **{f"orientation {value}.jpg": turned("JPEG", value) for value in range(10)},
    **{f"orientation {value}.tif": turned("TIFF", value) for value in (3, 6)},
    **{
        f"EXIF {how}.{format}": file(format, exif=exif)
        for how, exif in UNREADABLE_EXIF.items()
        for format in ("jpeg", "png", "webp")
    },
    **{
        f"broken ICC.{format}": file(format, icc_profile=b"no")
        for format in ("jpeg", "png", "webp")
    },
    "zero bytes.jpg": raw(b""),
    "html.jpg": raw(b"<!DOCTYPE html><title>404 Not Found</title>"),
    "zeros.jpg": raw(bytes(5000)),
    "random.jpg": raw(np.random.default_rng(0).bytes(5000)),
    "is a png.jpg": file("PNG"),
    "is a jpeg.png": file("JPEG"),
    "with more behind it.jpg": file("JPEG", change=lambda body: body + b"\xff\xda\0" * 999),
    "progressive.jpg": file("JPEG", progressive=True),
    "scans.jpg": file("JPEG", "L", more_scans, "scans of all pixels", progressive=True),
    "scans without bytes.jpg": file("JPEG", "L", arithmetic, "scans of all pixels"),
    "large EXIF.jpg": file("JPEG", exif=EXIF + b"II*\0\x08\0\0\0\0\0\0\0\0\0" + bytes(65_000)),
    "gray.jpg": file("JPEG", "L"),
    "two pictures.jpg": file("MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))]),
    "cmyk.jpg": red_ink(),
    "cmyk without Adobe.jpg": red_ink(without_adobe),
    "one pixel.png": file("PNG", size=(1, 1)),
    "tall.png": file("PNG", size=(1, 20_000)),
    "wide.png": file("PNG", size=(20_000, 1)),
    "bomb.png": lambda path, _: (
        huge(path, 20_000) and f"400000000 pixels, more than data.max_pixels={MAX_PIXELS}"
    ),
    "16 bits.png": scaled("PNG", 257, "u2"),
    "palette.png": file("PNG", "P"),
    "palette with a clear color.png": transparent("PNG", "P", transparency=3),
    "palette with alpha.png": transparent("PNG", "P", transparency=bytes(range(0, 160, 10))),
    "alpha.png": transparent("PNG"),
    "gray with alpha.png": transparent("PNG", "LA"),
    "apng.png": animated("PNG"),
    "no header CRC.png": file("PNG", "RGB", partial(bad_crc, b"IHDR"), "cannot identify|broken"),
    "no data CRC.png": file("PNG", change=partial(bad_crc, b"IDAT")),
    "bad data.png": file("PNG", "RGB", bad_data, "broken data stream"),
    "cut off.png": file("PNG", "RGB", lambda body: body[:-500], "truncated"),
    "text bomb.png": file("PNG", "RGB", partial(with_chunk, b"zTXt", b"a\0\0" + BOMB), "too large"),
    "ICC bomb.png": file("PNG", "RGB", partial(with_chunk, b"iCCP", b"a\0\0" + BOMB), "too large"),
    "pixel bomb.png": file(
        "PNG", change=lambda body: body[:-12] + chunk(b"IDAT", BOMB) + body[-12:]
    ),
    "much text.png": file("PNG", change=partial(with_chunk, b"tEXt", b"a\0" + b"b" * 3_000_000)),
    "16 bits.tif": scaled("TIFF", 257, "u2"),
    "float.tif": scaled("TIFF", 1 / 255, "f4"),
    "1 bit.tif": file("TIFF", "1"),
    "fax.tif": file("TIFF", "1", compression="group4"),
    "pages.tif": animated("TIFF"),
    "endless pages.tif": endless,
    "a tile larger than all.tif": raw(
        tiff((259, 3, 1, 8), (322, 4, 1, 30_000), (323, 4, 1, 30_000), (324, 4, 1, 500)),
        "a tile of",
    ),
    "a tile's size is text.tif": raw(tiff((322, 2, 2, 57), (323, 4, 1, 2**32 - 1)), "a tile of"),
    "strips on strips.tif": raw(
        tiff((278, 3, 1, 29), (273, 4, 500, 500), (279, 4, 500, 500)),
        "overlap many times",
    ),
    "lossy.webp": file("WEBP"),
    "lossless.webp": file("WEBP", lossless=True),
    "alpha.webp": transparent("WEBP", lossless=True),
    "animated.webp": animated("WEBP", lossless=True),
    "cut off.webp": file("WEBP", "RGB", lambda body: body[:-50], "could not create decoder"),
    "animated.gif": animated("GIF"),
    "huge screen.gif": raw(gif((60_000, 60_000), (1, 1)), "3600000000 pixels"),
    "frame beyond the screen.gif": raw(gif((10, 10), (60_000, 60_000)), "3600000000 pixels"),
    "plain.bmp": file("BMP"),
    "plain.avif": file("AVIF"),
    "plain.jp2": file("JPEG2000"),
    "plain.ppm": file("PPM"),
    "plain.tga": file("TGA"),
    **{
        f"is {format}.jpg": file(format, reason=NO_IMAGE)
        for format in ("EPS", "ICO", "ICNS", "PCX", "DDS", "SGI")
    },
    "is PSD.jpg": raw(b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 1, 1, 8, 3) + bytes(20)),
    "outside.png": outside,
    "dangling.jpg": link("nothing.jpg", "No such file"),
    "loop.jpg": link("loop.jpg", "Too many levels of symbolic links"),
    "device.jpg": link("/dev/zero", FIFO),
    "fifo.jpg": fifo,
    "directory.jpg/within.png": within,
    "line\nbreak.png": file("PNG"),
    "\"quotes\", 'and', commas.png": file("PNG"),
    os.fsdecode(b"caf\xe9.png"): file("PNG"),
    os.fsdecode(b"caf\xe9, no image.png"): raw(b""),
    LONG: file("PNG"),
}


def vanish(path: Path, _: Image.Image) -> str:
    """Delete the file."""
    path.unlink()
    return "No such file"


def become(maker: Maker) -> Maker:
    """Return a maker that replaces the file of that name."""
    return lambda path, picture: [path.unlink(), maker(path, picture)][1]


LATER: dict[str, Maker] = {  # changes between listing and reading
    "vanishes.png": vanish,
    "becomes another.png": become(lambda path, image: [file("PNG")(path, image), CHANGED][1]),
    "becomes html.png": become(raw(b"<html>")),
    "becomes a folder.png": become(lambda path, _: [path.mkdir(), FIFO][1]),
    "becomes a pipe.png": become(fifo),
}
