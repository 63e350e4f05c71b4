"""Check what a JPEG 2000 asks for: tiles, precincts, code-blocks and layers that take no bytes.

The decoder makes a record of each before it reads any. See ISO 15444-1, annex A.
"""

import math
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from src.io.unreadable import Unreadable, check_pixels

MAX_COMPONENTS = 4
MAX_TILES = 2**13  # 100 million pixels in tiles of 128 x 128 are 6104; each takes 10 kB
MAX_PRECINCTS = 2**18  # of all resolutions and components, 300 bytes each
MAX_PACKETS = 2**21  # precincts times layers
MIN_BLOCK = 8  # binary logarithm of a code-block's samples: 16 x 16
CODING, CODING_OF_COMPONENT, TILE_PART, DATA = b"\xff\x52", b"\xff\x53", b"\xff\x90", b"\xff\x93"


class Size(NamedTuple):
    """The picture in a codestream."""

    width: int
    height: int
    tiles: int
    components: int


def check_codestream(file: BinaryIO, start: int, end: int, max_pixels: int) -> None:
    """Raise Unreadable for a codestream, from start to end of the file, of too many parts."""
    file.seek(start + 4)
    size = _size(file.read(40).ljust(40, b"\0"))
    check_pixels(size.width * size.height, max_pixels)
    if size.components > MAX_COMPONENTS or size.tiles > MAX_TILES:
        raise Unreadable(f"JPEG 2000 of {size.components} components, {size.tiles} tiles")
    for kind, content in _segments(file, start + 2, end):
        if kind == CODING and len(content) >= 10:
            layers = int.from_bytes(content[2:4], "big")
            _check_coding(size, content[0], layers, content[5:])
        elif kind == CODING_OF_COMPONENT and len(content) >= 7:
            _check_coding(size, content[1], 1, content[2:])


def _size(header: bytes) -> Size:
    _, _, right, bottom, left, top, tile_width, tile_height, x, y, components = struct.unpack(
        ">2H8LH", header[:38]
    )
    across = math.ceil((right - x) / max(tile_width, 1))
    down = math.ceil((bottom - y) / max(tile_height, 1))
    return Size(max(0, right - left), max(0, bottom - top), max(1, across * down), components)


def _segments(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield marker and content of the segments in the headers of a picture and its tiles."""
    part_end = end
    while at < end:
        file.seek(at)
        marker, length = struct.unpack(">2sH", file.read(4).ljust(4, b"\0"))
        if marker == DATA:
            at = part_end
            continue
        if marker[:1] != b"\xff" or length < 2:
            return
        content = file.read(length - 2)
        if marker == TILE_PART:
            part_length = int.from_bytes(content[2:6], "big")
            part_end = max(at + part_length, at + 12) if part_length else end
        yield marker, content
        at += 2 + length


def _check_coding(size: Size, style: int, layers: int, rest: bytes) -> None:
    """Raise Unreadable by a style of coding: levels, code-blocks, precincts."""
    levels, block = min(rest[0], 32), rest[1] + rest[2] + 4
    powers = [(part & 15, part >> 4) for part in rest[5:]] if style & 1 else []
    powers += [(15, 15)] * (levels + 1 - len(powers))
    precincts = size.tiles * (levels + 1)
    for level, (across, down) in enumerate(powers[: levels + 1]):
        scale = levels - level
        columns = (size.width >> scale >> across) + 1
        precincts += columns * ((size.height >> scale >> down) + 1)
    precincts *= size.components
    if block < MIN_BLOCK or precincts > MAX_PRECINCTS or precincts * layers > MAX_PACKETS:
        raise Unreadable(
            f"JPEG 2000 of {precincts} precincts, {layers} layers, code-blocks of {2**block}"
        )
