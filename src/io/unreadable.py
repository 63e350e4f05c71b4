"""Unreadable, and the limits of a file beyond which an image is not decoded."""

MAX_BYTES_PER_PIXEL = 8  # of the largest valid files: four channels of 16 bits, uncompressed
MAX_METADATA_BYTES = 2**26  # in addition to the pixels
MAX_TILES = 2**18  # strips or tiles of a TIFF; enough for 65,535 lines in four planes


class Unreadable(Exception):
    """An image that is skipped; the message becomes the reason in skipped.csv."""


def check_pixels(pixels: int, max_pixels: int) -> None:
    """Raise Unreadable if an image has too many pixels."""
    if pixels > max_pixels:
        raise Unreadable(f"{pixels} pixels, more than data.max_pixels={max_pixels}")


def check_tile(pixels: int, max_pixels: int) -> None:
    """Raise Unreadable if a tile, which may be larger than the image, has too many pixels."""
    if pixels > max_pixels:
        raise Unreadable(f"a tile of more pixels than data.max_pixels={max_pixels}")
