"""Bytes of images that are broken, or that need far more work than their size suggests."""

import io
import struct
import zlib

from PIL import Image

from src.io.effort import MAX_SCANS

BOMB = zlib.compress(bytes(20_000_000))  # 20 MB in 20 kB


def without_adobe(body: bytes) -> bytes:
    """Return a JPEG without its Adobe segment, which says how CMYK is stored."""
    start = body.index(b"\xff\xee")
    return body[:start] + body[start + 16 :]


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + crc


def with_chunk(kind: bytes, data: bytes, png: bytes) -> bytes:
    """Return the PNG with a chunk after its header, which is 33 bytes long."""
    return png[:33] + chunk(kind, data) + png[33:]


def bad_crc(kind: bytes, png: bytes) -> bytes:
    """Return the PNG with a wrong checksum of its first chunk of that kind."""
    start = png.index(kind)
    end = start + 4 + int.from_bytes(png[start - 4 : start])
    return png[:end] + b"\0\0\0\0" + png[end + 4 :]


def bad_data(png: bytes) -> bytes:
    """Return the PNG with one wrong byte in its compressed pixels."""
    return png[:1000] + bytes([png[1000] ^ 255]) + png[1001:]


def more_scans(body: bytes) -> bytes:
    """Return a JPEG that repeats its last scan."""
    return body[:-2] + body[body.rindex(b"\xff\xda") : -2] * (MAX_SCANS + 1) + body[-2:]


def arithmetic(body: bytes) -> bytes:
    """Return a JPEG that claims arithmetic coding, in which a scan may have no bytes at all."""
    return more_scans(body).replace(b"\xff\xc0", b"\xff\xc9")


def tiff(*changed: tuple[int, int, int, int], data: bytes = bytes(2000)) -> bytes:
    """Return a gray TIFF of 40 x 30 pixels whose data starts at byte 500.

    changed: tag, type, count and value of other tags.
    """
    shorts = {256: 40, 257: 30, 258: 8, 259: 1, 262: 1, 277: 1, 278: 30}
    tags = {tag: [3, 1, value] for tag, value in shorts.items()}
    tags |= {273: [4, 1, 500], 279: [4, 1, 1200]} | {tag: facts for tag, *facts in changed}
    entries = b"".join(struct.pack("<HHLL", tag, *facts) for tag, facts in sorted(tags.items()))
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + struct.pack("<L", 8)
    return head.ljust(500, b"\0") + data


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    """Return a GIF of one frame; both sizes are (width, height)."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\2\2\x44\1\0;"


def saved(size: tuple[int, int], format: str, **options: object) -> bytes:
    """Return a gray-brown picture of a size as a file; it takes few bytes."""
    body = io.BytesIO()
    Image.new("RGB", size, (99, 88, 77)).save(body, format, **options)
    return body.getvalue()
