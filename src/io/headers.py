"""Check what a file's first bytes say before a parser follows them: some parsers decode at once."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from src.io.jpeg2000_header import check_codestream
from src.io.metered import metered
from src.io.unreadable import Unreadable, check_pixels

PNG_START = b"\x89PNG\r\n\x1a\n"
JP2_START, J2K_START = b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"
JXL_CONTAINER, JXL_START = b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a"
MAX_CHUNKS = 2**18  # of a PNG; encoders write pixels in chunks of 8 kB or more
COMPRESSED_CHUNKS, MAX_COMPRESSED = (b"iCCP", b"zTXt", b"iTXt"), 100  # each may become 1 MB
JXL_LEVELS = (9, 13, 18, 30)  # bits of a large side
JXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height
GIF_STARTS = (b"GIF87a", b"GIF89a")
GIF_COMMENT, GIF_APPLICATION = b"\xfe", b"\xff"  # kinds of extension
MAX_HIDDEN = 2**16  # bytes of compressed boxes in a JPEG XL, which nothing else bounds


def check_header(file: BinaryIO, max_pixels: int) -> None:
    """Raise Unreadable for a file that would take much memory or time to open.

    Leaves the file at its start. What is not recognized is left to the parsers.
    """
    start = file.read(32)
    if start.startswith(PNG_START):
        _check_chunks(file)
    elif start.startswith(GIF_STARTS):  # Pillow fills its first frame at once
        check_pixels(_gif_pixels(metered(file)), max_pixels)
    elif start[:4] == b"RIFF" and start[8:12] == b"WEBP":  # Pillow makes its canvas at once
        check_pixels(_webp_pixels(start), max_pixels)
    elif start.startswith((JXL_CONTAINER, JXL_START)):  # its plugin decodes all when it opens
        check_pixels(_jxl_pixels(file), max_pixels)
    elif start.startswith(J2K_START):
        check_codestream(file, 0, file.seek(0, 2), max_pixels)
    elif start.startswith(JP2_START):
        for kind, at, end in boxes(file):
            if kind == b"jp2c":
                check_codestream(file, at, end, max_pixels)
    file.seek(0)


def _check_chunks(file: BinaryIO) -> None:
    """Raise Unreadable for a PNG of too many chunks."""
    file.seek(len(PNG_START))
    chunks = compressed = 0
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">L4s", head)
        chunks, compressed = chunks + 1, compressed + (kind in COMPRESSED_CHUNKS)
        if chunks > MAX_CHUNKS or compressed > MAX_COMPRESSED:
            raise Unreadable(f"PNG of more than {MAX_CHUNKS} chunks, or {MAX_COMPRESSED} packed")
        file.seek(length + 4, 1)


def _gif_pixels(file: BinaryIO) -> int:
    """Return the pixels of a GIF's screen, which Pillow enlarges to hold the first frame.

    Skips the extensions exactly as Pillow does, which goes on after bytes of no meaning.
    """
    screen = file.read(13)
    if len(screen) < 13:
        return 0
    width, height = struct.unpack("<2H", screen[6:10])
    if screen[10] & 128:
        file.seek(6 << (screen[10] & 7), 1)  # the colors
    while (kind := file.read(1)) not in (b"", b";", b","):
        if kind == b"!":
            _skip_extension(file)
    frame = file.read(8) if kind == b"," else b""
    if len(frame) == 8:
        left, top, across, down = struct.unpack("<4H", frame)
        width, height = max(width, left + across), max(height, top + down)
    return int(width * height)


def _skip_extension(file: BinaryIO) -> None:
    """Skip an extension of a GIF, whose blocks end with an empty one."""

    def block() -> bytes:
        """Return the next block of data, b"" at the end of them."""
        length = file.read(1)
        return file.read(length[0]) if length else b""

    kind, first = file.read(1), block()
    if kind == GIF_COMMENT and not first:
        return
    if kind == GIF_APPLICATION and first.startswith(b"NETSCAPE2.0"):
        block()  # may be empty
    while block():
        pass


def _webp_pixels(start: bytes) -> int:
    """Return the pixels of a WebP's canvas, 0 if its first chunk is of another kind."""
    kind = start[12:16]
    if kind == b"VP8X":
        sides = (start[24:27], start[27:30])
        return (int.from_bytes(sides[0], "little") + 1) * (int.from_bytes(sides[1], "little") + 1)
    if kind == b"VP8L":
        bits = int.from_bytes(start[21:25], "little")
        return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
    width, height = struct.unpack("<2H", start[26:30].ljust(4, b"\0"))
    return (width & 0x3FFF) * (height & 0x3FFF) if kind == b"VP8 " else 0


def boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the contents of the boxes in a file, from its start."""
    size, at = file.seek(0, 2), 0
    while at < size:
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">L4s", head[:8])
        skip = 8
        if length == 1:
            length, skip = int.from_bytes(head[8:16], "big"), 16
        end = min(at + length, size) if length else size  # 0: to the end
        if end < at + skip:
            return
        yield kind, at + skip, end
        at = end


def _jxl_pixels(file: BinaryIO) -> int:
    """Return the pixels of a JPEG XL. Raises Unreadable if they are not known.

    See ISO 18181-1, annex D (the size), and 18181-2 (the boxes).
    """
    file.seek(0)
    if file.read(2) == JXL_START:
        return _jxl_size(file.read(32))
    codestream, hidden = None, 0
    for kind, start, end in boxes(file):
        if kind in (b"jxlc", b"jxlp") and codestream is None:
            codestream = start + (4 if kind == b"jxlp" else 0)
        hidden += end - start if kind == b"brob" else 0
    if codestream is None or hidden > MAX_HIDDEN:
        raise Unreadable("JPEG XL without pixels, or with much compressed metadata")
    file.seek(codestream)
    if file.read(2) != JXL_START:
        raise Unreadable("JPEG XL without its size")
    return _jxl_size(file.read(32))


def _jxl_size(header: bytes) -> int:
    """Return the pixels by the bits of a JPEG XL's header, the lowest of each byte first.

    Raises Unreadable for an animation, all of which would be decoded, and for a preview.
    """
    bits, at = int.from_bytes(header, "little"), 0

    def take(count: int) -> int:
        """Return the next bits as a number."""
        nonlocal at
        at += count
        return bits >> (at - count) & ((1 << count) - 1)

    def size() -> int:
        """Return the number of pixels."""
        is_small = take(1)
        sides = []
        for _ in range(2):
            sides.append(8 * (take(5) + 1) if is_small else take(JXL_LEVELS[take(2)]) + 1)
            if len(sides) == 1 and (ratio := take(3)):
                across, down = JXL_RATIOS[ratio - 1]
                sides.append(sides[0] * across // down)
                break
        return sides[0] * sides[1]

    pixels = size()
    is_default = take(1)
    if not is_default and take(1):  # extra fields
        take(3)  # orientation
        if take(1):
            size()  # of the print
        if take(2):
            raise Unreadable("JPEG XL of many frames, or with a preview")
    return pixels
