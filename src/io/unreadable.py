"""Unreadable, and the limits of a file beyond which an image is not decoded."""

import math

MAX_BYTES_PER_PIXEL = 8  # of the largest valid files: four channels of 16 bits, uncompressed
MAX_METADATA_BYTES = 2**26  # in addition to the pixels
MAX_TILES = 2**18  # strips or tiles of a TIFF; enough for 65,535 lines in four planes

MAX_TILED = 4  # times the pixels of an image: tiles half as large as it is, in each direction
SMALL_PIXELS = 2**24  # in addition, as a small image may have a tile of usual size
# Packed bytes of a TIFF: its strips may share theirs, but what unpacks to nothing is read each time
SHARED_BYTES, TIMES_SHARED = 4, 2  # per pixel, and times the file's size
SMALL_BYTES = 2**16  # in addition


class Unreadable(Exception):
    """An image that is skipped; the message becomes the reason in skipped.csv."""


def check_pixels(pixels: int, max_pixels: int) -> None:
    """Raise Unreadable if an image has too many pixels."""
    if pixels > max_pixels:
        raise Unreadable(f"{pixels} pixels, more than data.max_pixels={max_pixels}")


def check_tiles(size: tuple[int, int], tile: tuple[int, int], max_pixels: int) -> None:
    """Raise Unreadable if tiles, which may be larger than the image, have too many pixels.

    size and tile: width and height.
    """
    if math.prod(tile) > max_pixels:
        raise Unreadable(f"a tile of more pixels than data.max_pixels={max_pixels}")
    if not all(tile):
        return
    width, height = (math.ceil(side / part) * part for side, part in zip(size, tile, strict=True))
    if width * height > MAX_TILED * math.prod(size) + SMALL_PIXELS:
        raise Unreadable(f"a tile of {tile[0]} x {tile[1]} pixels for {size[0]} x {size[1]}")


def check_packed(packed: int, pixels: int, file_size: int) -> None:
    """Raise Unreadable if strips or tiles name so many bytes that they must share them."""
    if packed > SHARED_BYTES * pixels + TIMES_SHARED * file_size + SMALL_BYTES:
        raise Unreadable(f"{packed} bytes of strips or tiles in a file of {file_size}")
