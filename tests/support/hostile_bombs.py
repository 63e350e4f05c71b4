"""Small files that ask a decoder for far more memory or time than their pixels are worth."""

import struct
import zlib
from collections.abc import Callable

from tests.support.hostile_bytes import chunk, gif, saved, tiff
from tests.support.hostile_profiles import curves, many_steps, matrix, repeated_step

SCAN = b"\xff\xda"


def empty_scans(count: int, **options: object) -> bytes:
    """Return a JPEG of 10 megapixels with many scans of one component that take no bytes."""
    body = saved((4000, 2500), "JPEG", **options)
    scan = SCAN + bytes([0, 8, 1, 1, 0, 0, 63, 0])
    start = body.index(SCAN)
    return body[:start] + scan * count + body[start:]


def repeated_scan(count: int) -> bytes:
    """Return a progressive JPEG of 10 megapixels that repeats its last scan."""
    body = saved((4000, 2500), "JPEG", progressive=True)
    return body[:-2] + body[body.rindex(SCAN) : -2] * count + body[-2:]


def hidden_scans() -> bytes:
    """Return a JPEG with scans behind a table that holds the bytes of an end marker."""
    body = repeated_scan(600)
    end = body.rindex(SCAN)
    comment = b"\xff\xfe\0\x06\xff\xd9\xff\xd9"
    start = body.index(SCAN, body.index(SCAN) + 2)
    return body[:start] + comment + body[start:end] + body[end:]


def unended_scans() -> bytes:
    """Return a JPEG of many scans without its end, which would be decoded six times."""
    return repeated_scan(90)[:-2]


def many_exifs() -> bytes:
    """Return a JPEG of 60 MB of EXIF segments, which Pillow joins one by one."""
    segment = b"\xff\xe1\xff\xff" + b"Exif\0\0".ljust(65_533, b"\0")
    body = saved((40, 30), "JPEG")
    return body[:2] + segment * 900 + body[2:]


def junk() -> bytes:
    """Return a JPEG with 20 MB of no meaning before its header, which Pillow reads by byte."""
    body = saved((40, 30), "JPEG")
    return body[:2] + b"\xff\xfe\0\x02" + bytes(20_000_000) + body[2:]


def packed_chunks(kind: bytes, head: bytes) -> bytes:
    """Return a PNG of chunks that each become 1 MB, without a name that Pillow would count."""
    packed = chunk(kind, head + zlib.compress(bytes(1_000_000)))
    png = saved((40, 30), "PNG")
    return png[:33] + packed * 3000 + png[33:]


def empty_chunks() -> bytes:
    """Return a PNG whose pixels follow millions of empty chunks of pixels."""
    png = saved((40, 30), "PNG")
    start = png.index(b"IDAT") - 4
    return png[:start] + chunk(b"IDAT", b"") * 3_000_000 + png[start:]


def large_tile(size: tuple[int, int], tile: tuple[int, int]) -> bytes:
    """Return a TIFF of deflated tiles larger than it is, all of which share their bytes."""
    data = zlib.compress(bytes(2000))
    count = -(-size[0] // tile[0]) * -(-size[1] // tile[1])
    sizes = [(256, 4, 1, size[0]), (257, 4, 1, size[1]), (322, 4, 1, tile[0]), (323, 4, 1, tile[1])]
    where = 500 if count == 1 else 600
    lists = struct.pack("<L", 500) * count + struct.pack("<L", len(data)) * count
    return tiff(
        *sizes,
        (259, 3, 1, 8),
        (324, 4, count, where),
        (325, 4, count, where + 4 * count if count > 1 else len(data)),
        data=data.ljust(100, b"\0") + lists,
    )


def shared_strips(*changed: tuple[int, int, int, int], data: bytes, count: int = 65_000) -> bytes:
    """Return a TIFF of strips of one pixel that all share their packed bytes."""
    numbers = struct.pack("<L", 500) * count + struct.pack("<L", len(data)) * count
    at = 500 + len(data)
    tags = {256: (256, 3, 1, 1), 257: (257, 4, 1, count), 278: (278, 3, 1, 1)}
    tags |= {273: (273, 4, count, at), 279: (279, 4, count, at + 4 * count)}
    tags |= {tag[0]: tag for tag in changed}
    return tiff(*tags.values(), data=data + numbers)


def without_tag(body: bytes, name: int) -> bytes:
    """Return a TIFF in which a tag has the number of a tag of no meaning."""
    return body.replace(struct.pack("<H", name), struct.pack("<H", name + 1), 1)


NO_DATA = b"\x78\x9c" + b"\0\0\0\xff\xff" * 200_000 + zlib.compress(bytes(1))[2:]
NO_RUNS = b"\x80" * 1_000_000 + b"\3\0\0\0\0"


def canvas() -> bytes:
    """Return a WebP of one frame of a pixel on a canvas of 268 megapixels."""
    webp = saved((1, 1), "WEBP", lossless=True)
    frame = bytes(6) + bytes(6) + bytes(3) + b"\0" + webp[12:]
    edge = (2**14 - 1).to_bytes(3, "little")
    extended = struct.pack("<4sLL", b"VP8X", 10, 2) + edge + edge
    parts = extended + struct.pack("<4sLLH", b"ANIM", 6, 0, 0)
    parts += struct.pack("<4sL", b"ANMF", len(frame)) + frame
    return b"RIFF" + struct.pack("<L", 4 + len(parts)) + b"WEBP" + parts


def long_comment() -> bytes:
    """Return a GIF whose picture follows a million remarks."""
    body = gif((10, 10), (10, 10))
    return body[:19] + b"!\xfe\1a\0" * 1_000_000 + body[19:]


def erased_frame() -> bytes:
    """Return a GIF whose frame of 4 gigapixels is to be erased after it was shown."""
    body = gif((8, 8), (65535, 65535))
    return body[:19] + b"!\xf9\4\x08\0\0\0\0" + body[19:]


def jpeg2000(changes: dict[int, bytes]) -> bytes:
    """Return a codestream with other bytes at some offsets of its coding style (COD)."""
    body = bytearray(saved((2000, 2000), "JPEG2000", no_jp2=True))
    start = body.index(b"\xff\x52") + 4
    for offset, value in changes.items():
        body[start + offset : start + offset + len(value)] = value
    return bytes(body)


def small_tiles() -> bytes:
    """Return a codestream of 4 megapixels in a tile for each 64 pixels, of which it has one."""
    body = bytearray(saved((2000, 2000), "JPEG2000", no_jp2=True))
    body[24:32] = struct.pack(">2L", 8, 8)
    return bytes(body)


def many_runs() -> bytes:
    """Return a BMP of one row, in which a step down fills 255 rows."""
    width = 4_000_000
    head = struct.pack("<LllHHLLllLL", 40, width, 1, 1, 8, 1, 0, 0, 0, 256, 0)
    palette = b"".join(bytes([255 - level] * 3 + [0]) for level in range(256))
    return b"BM" + struct.pack("<LLL", 0, 0, 1078) + head + palette + b"\0\2\0\xff" * 10


def plain_text() -> bytes:
    """Return a PGM of 12 megapixels in text, which Pillow reads number by number."""
    return b"P2 4000 3000 254\n" + b"1 " * 12_000_000


def remarks() -> bytes:
    """Return a PPM in text of half a million remarks."""
    return b"P3\n400 400\n255\n" + b"#\n" * 500_000


def no_runs() -> bytes:
    """Return a BMP of 64 pixels whose runs are ends of rows that are ended already."""
    head = struct.pack("<LllHHLLllLL", 40, 8, 8, 1, 8, 1, 0, 0, 0, 256, 0)
    palette = b"\0\1\2\0" * 256
    return b"BM" + struct.pack("<LLL", 0, 0, 1078) + head + palette + bytes(40_000_000)


def frames() -> bytes:
    """Return the header of a JPEG XL of 64 pixels and many frames."""
    bits = 1 | 1 << 6 | 1 << 10 | 1 << 15  # small, square, with extra fields, animated
    return b"\xff\x0a" + bits.to_bytes(30, "little")


def wide_samples() -> bytes:
    """Return a PPM of 4 megapixels of 12 bits, which Pillow scales one by one."""
    return b"P6 2000 2000 4095\n" + b"\x0a\xbc" * 12_000_000


def jpeg_xl() -> bytes:
    """Return the header of a JPEG XL of a billion pixels."""
    bits = 0 | 3 << 1 | (2**15 - 1) << 3 | 0 << 33 | 3 << 36 | (2**15 - 1) << 38
    return b"\xff\x0a" + bits.to_bytes(30, "little")


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {  # reason, "" where it is read
    "empty scans.jpg": ("scans of all pixels", lambda: empty_scans(100_000)),
    "repeated scans.jpg": ("scans of all pixels", lambda: repeated_scan(600)),
    "as many scans as allowed.jpg": ("", lambda: repeated_scan(90)),
    "scans behind an end.jpg": ("scans of all pixels", hidden_scans),
    "scans without an end.jpg": ("broken|truncated", unended_scans),
    "exif.jpg": ("too much metadata", many_exifs),
    "junk.jpg": ("too much metadata", junk),
    "texts.png": ("chunks", lambda: packed_chunks(b"zTXt", b"\0\0")),
    "profiles.png": ("chunks", lambda: packed_chunks(b"iCCP", b"a\0\0")),
    "chunks.png": ("chunks", empty_chunks),
    "steps.png": ("", many_steps),
    "matrices.png": ("", lambda: repeated_step(matrix())),
    "curves.png": ("", lambda: repeated_step(curves())),
    "tile.tif": ("a tile of", lambda: large_tile((1, 1), (9984, 9984))),
    "tiles.tif": ("a tile of", lambda: large_tile((10_000, 1), (16, 6_240_000))),
    "shared.tif": (
        "bytes of strips or tiles",
        lambda: shared_strips((259, 3, 1, 8), data=NO_DATA),
    ),
    "shared runs.tif": (
        "bytes of strips or tiles",
        lambda: shared_strips((259, 3, 1, 32773), data=NO_RUNS),
    ),
    "shared floats.tif": (
        "bytes of strips or tiles",
        lambda: shared_strips((259, 3, 1, 32773), (258, 3, 1, 32), (339, 3, 1, 3), data=NO_RUNS),
    ),
    "no numbers of bytes.tif": (
        "bytes of strips or tiles",
        lambda: without_tag(shared_strips((259, 3, 1, 8), data=NO_DATA), 279),
    ),
    "strips twice.tif": (
        "strips or tiles twice",
        lambda: shared_strips((259, 3, 1, 8), data=NO_DATA).replace(
            struct.pack("<H", 278), struct.pack("<H", 279), 1
        ),
    ),
    "canvas.webp": ("268435456 pixels", canvas),
    "remarks.gif": ("too much metadata", long_comment),
    "erased.gif": ("4294836225 pixels", erased_frame),
    "layers.j2k": ("layers", lambda: jpeg2000({2: b"\xff\xff"})),
    "blocks.j2k": ("code-blocks", lambda: jpeg2000({6: b"\0\0"})),
    "tiles.j2k": ("tiles", small_tiles),
    "runs.bmp": ("pixels in a row", many_runs),
    "text.pgm": ("12000000 pixels", plain_text),
    "remarks.ppm": ("remarks in a PNM", remarks),
    "spaces.ppm": ("per pixel of this coding", lambda: b"P3 8 8 255\n" + b" " * 40_000_000),
    "no runs.bmp": ("per pixel of this coding", no_runs),
    "samples.ppm": ("", wide_samples),
    "frames.jxl": ("many frames", frames),
    "header.jxl": ("1073741824 pixels", jpeg_xl),
    "white.jpg": ("", lambda: saved((10_000, 10_000), "JPEG")),
    "white.png": ("", lambda: saved((10_000, 9_000), "PNG")),
}
