"""Small and large pictures of images as JPEG, made when they are asked for, the small ones cached.

They are made by the decoder that embeds, so whatever format a file has, a browser shows it; and
without its metadata, so a file's place and camera stay private.
"""

import hashlib
import io
import logging
import os
import re
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore

from PIL import Image

from src.browser.opened import OpenRun
from src.io.files import atomic_write, sha256
from src.io.outputs import Outputs
from src.io.unreadable import Unreadable
from src.reporting.contact_sheets import NO_PICTURE, UNREADABLE, gray_square, scaled_image

log = logging.getLogger(__name__)

SMALL, LARGE = 160, 1200  # pixels, the longer side
SMALL_QUALITY, LARGE_QUALITY = 80, 88
CHECKSUM = re.compile("[0-9a-f]{64}")
END = b"\xff\xd9"  # of every JPEG
# Images decoded at once: the largest that are read take 1.6 GB each, and a server has 40 threads
DECODING = BoundedSemaphore(min(4, os.cpu_count() or 1))


def small_picture(run: OpenRun, row: int, outputs: Outputs) -> bytes:
    """Return an image as JPEG of at most SMALL pixels a side, from the cache if it is there.

    The cache is by the content of files, so galleries share it; 6 kB for each image that was ever
    shown need no bound, and who deletes it loses nothing. Without it, as where it cannot be
    written, pictures are made again. A file that is not the one the run compared, or that cannot be
    read, is not cached.
    """
    path, checksum = run.file(row), run.value(row, "sha256")
    cached = cache_path(outputs, checksum, SMALL) if CHECKSUM.fullmatch(checksum) else None
    if cached and (content := cached_picture(cached)):
        return content
    content, is_readable = picture_of(path, SMALL, SMALL_QUALITY)
    if cached and is_readable:
        _cache(cached, content, path, checksum)
    return content


def large_picture(run: OpenRun, row: int) -> bytes:
    """Return an image as JPEG of at most LARGE pixels a side."""
    return picture_of(run.file(row), LARGE, LARGE_QUALITY)[0]


def picture_tag(path: Path, kind: str, size: int) -> str:
    """Return what changes with the picture of a file, without decoding it; "" without a file.

    ctime also tells a file that has become readable, or was replaced by one of the same mtime.
    """
    try:
        facts = os.stat(path)
    except OSError:
        return ""
    state = (str(path), facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, kind, size)
    return hashlib.sha256(repr(state).encode()).hexdigest()[:32]


def picture_of(path: Path, size: int, quality: int) -> tuple[bytes, bool]:
    """Return the image in a file as JPEG of at most size pixels a side, and whether it is readable.

    One that is not becomes a gray square that says so.
    """
    with DECODING:
        try:
            image = scaled_image(path, size, enlarge=False)
        except Unreadable:
            text = UNREADABLE if path.exists() else NO_PICTURE
            return placeholder(size, quality, text), False
    return _jpeg(image, quality), True


@cache
def placeholder(size: int, quality: int, text: str) -> bytes:
    """Return the JPEG that stands for an image that cannot be shown, and says why."""
    return _jpeg(gray_square(min(size, SMALL), text), quality)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def cache_path(outputs: Outputs, checksum: str, size: int) -> Path:
    """Return where the small picture of a file is cached."""
    return outputs.browser / "thumbnails" / str(size) / checksum[:2] / f"{checksum}.jpg"


def cached_picture(path: Path) -> bytes:
    """Return a picture from the cache, b"" if it is not there or not whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return b""
    return content if content.endswith(END) else b""


def _cache(cached: Path, content: bytes, path: Path, checksum: str) -> None:
    """Write a picture to the cache if the file it was made from still has its checksum."""
    try:
        if sha256(path) != checksum:
            return
        with atomic_write(cached) as part:
            part.write_bytes(content)
    except OSError as error:
        _warn_once(cached.parents[1], error.strerror or type(error).__name__)


@cache
def _warn_once(folder: Path, reason: str) -> None:
    log.warning("thumbnails are not cached in %s: %s", folder, reason)
