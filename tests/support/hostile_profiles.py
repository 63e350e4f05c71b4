"""Color profiles that name many steps, in pictures."""

import struct
import zlib

from PIL import ImageCms

from tests.support.hostile_bytes import saved, with_chunk


def many_steps() -> bytes:
    """Return a PNG whose color profile claims thousands of steps."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    steps = b"matf" + bytes(64)
    png = saved((40, 30), "PNG")
    return with_chunk(b"iCCP", b"a\0\0" + zlib.compress(profile + steps * 10_000), png)


def repeated_step(step: bytes) -> bytes:
    """Return a PNG whose color profile names one step 20,000 times."""
    count = 20_000
    steps = b"mpet\0\0\0\0" + struct.pack(">HHL", 3, 3, count)
    steps += struct.pack(">LL", 16 + 8 * count, len(step)) * count + step
    text = (
        b"mluc\0\0\0\0" + struct.pack(">LL", 1, 12) + b"enUS" + struct.pack(">LL", 2, 28) + b"\0a"
    )
    white = struct.pack(">3l", 0xF6D6, 0x10000, 0xD32D)
    parts = {b"desc": text, b"wtpt": b"XYZ \0\0\0\0" + white, b"D2B0": steps, b"cprt": text}
    table, body = struct.pack(">L", len(parts)), b""
    for name, part in parts.items():
        table += struct.pack(">4sLL", name, 180 + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    kind = struct.pack(">4sL4s4s4s", b"lcms", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head = kind + bytes(12) + b"acsp" + bytes(28) + white + bytes(48)
    profile = struct.pack(">L", 180 + len(body)) + head + table + body
    return with_chunk(b"iCCP", b"a\0\0" + zlib.compress(profile), saved((40, 30), "PNG"))


def matrix() -> bytes:
    """Return a step of a color profile that changes nothing."""
    return b"matf\0\0\0\0" + struct.pack(">HH12f", 3, 3, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)


def curves() -> bytes:
    """Return a step of a color profile whose three curves are the same."""
    curve = b"curf\0\0\0\0\0\1\0\0parf\0\0\0\0\0\0\0\0" + struct.pack(">4f", 2.2, 1, 0, 0)
    return (
        b"cvst\0\0\0\0" + struct.pack(">HH", 3, 3) + struct.pack(">LL", 36, len(curve)) * 3 + curve
    )
