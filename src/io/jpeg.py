"""Read JPEG files that lack nothing but their end marker."""

import io
import struct
from collections.abc import Callable, Iterator
from hashlib import sha256
from random import Random
from typing import NamedTuple

from PIL import Image, JpegImagePlugin

END = b"\xff\xd9"
START_OF_SCAN = b"\xff\xda"
RESTARTS = [bytes([0xFF, 0xD0 + number]) for number in range(8)]
# Entropy-coded data that a decoder would take for more pixels if any were missing, in the current
# restart interval or a later one. Random, as a pattern may stand for no change in all of them
FILLERS = [
    data + b"".join(restart + data for restart in 2 * RESTARTS)
    for data in (Random(seed).randbytes(256).replace(b"\xff", b"") for seed in range(4))
]
ARITHMETIC, PROGRESSIVE = (b"\xff\xc9", b"\xff\xca"), b"\xff\xc2"  # starts of frames
RESTART_INTERVAL = b"\xff\xdd"
MAX_SCANS_ANEW = 20  # as all are decoded once for each filler; encoders write about 10

MinSize = Callable[[int, int], tuple[int, int]]  # (width, height) of a file -> smallest useful size


class Scan(NamedTuple):
    """The header of a scan: its components, and which of their coefficients it has."""

    components: tuple[int, ...]
    first: int  # coefficient, from 0 to 63
    last: int
    low_bit: int  # lowest bit of the coefficients that is known after this scan


def load_without_end(body: bytes, min_decode_size: MinSize | None) -> Image.Image | None:
    """Return the picture of a JPEG that lacks only its end marker, None if it lacks more."""
    hashes, picture = set[bytes](), None
    for version in closed(body) if lacks_end(body) else []:
        with Image.open(io.BytesIO(version), formats=["JPEG"]) as image:
            assert isinstance(image, JpegImagePlugin.JpegImageFile) and image.fp is not None
            scans = body[body.rfind(START_OF_SCAN, 0, image.fp.tell()) :]
            is_slow = scans.count(START_OF_SCAN) > MAX_SCANS_ANEW
            if is_slow or not has_all_coefficients(scans, image.layers):
                return None
            if min_decode_size is not None:
                image.draft(None, min_decode_size(*image.size))
            image.load()
        hashes.add(sha256(image.tobytes()).digest())
        if len(hashes) > 1:
            return None
        picture = image  # the only one that is kept while the next one is decoded
    return picture


def lacks_end(body: bytes) -> bool:
    """Return whether the end marker is all that may be missing in a JPEG.

    In doubt it is not: zeros at the end may replace pixels, and in arithmetic coding, and in
    progressive scans with restarts, other data may mean the same picture.
    """
    is_ambiguous = PROGRESSIVE in body and RESTART_INTERVAL in body
    if is_ambiguous or body.endswith(b"\0\0") or any(marker in body for marker in ARITHMETIC):
        return False
    return END not in body[-1024:]


def closed(body: bytes) -> list[bytes]:
    """Return a JPEG without its end marker, closed in several ways.

    They decode to the same picture if, and only if, no pixel is missing.
    """
    body = body.rstrip(b"\xff")  # the first half of the marker
    return [body + END, *(body + filler + END for filler in FILLERS)]


def has_all_coefficients(body: bytes, components: int) -> bool:
    """Return whether the scans of a JPEG have the last bit of each component's 64 coefficients.

    A file that is cut off between two scans has all pixels, but without colors or blurred. body is
    the file without the metadata before the first scan.
    """
    known = {
        (component, coefficient)
        for scan in scans(body)
        if scan.low_bit == 0
        for component in scan.components
        for coefficient in range(scan.first, scan.last + 1)
    }
    return len(known) == 64 * components


def scans(body: bytes) -> Iterator[Scan]:
    """Yield the headers of the scans in a JPEG without its metadata, which may hold thumbnails."""
    start = body.find(START_OF_SCAN)
    while start >= 0:
        count = body[start + 4] if len(body) > start + 4 else 0
        end = start + 5 + 2 * count
        if len(body) >= end + 3 and body[start + 2 : start + 4] == struct.pack(">H", 6 + 2 * count):
            first, last, bits = body[end : end + 3]
            yield Scan(tuple(body[start + 5 : end : 2]), first, last, bits & 15)
        start = body.find(START_OF_SCAN, start + 2)
