"""Small and large pictures of images as JPEG, made when they are asked for, the small ones cached.

They are made by the decoder that embeds, so whatever format a file has, a browser shows it.
"""

import io
from pathlib import Path

from PIL import Image

from src.browser.opened import OpenRun
from src.io.files import atomic_write
from src.io.outputs import Outputs
from src.reporting.contact_sheets import thumbnail

SMALL, LARGE = 160, 1200  # pixels, the longer side
QUALITY = 80


def jpeg(image: Image.Image, quality: int = QUALITY) -> bytes:
    """Return the file of a picture."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def small_picture(run: OpenRun, row: int, outputs: Outputs, size: int = SMALL) -> bytes:
    """Return an image of at most size pixels a side, from the cache if it is there.

    The cache is by the content of files, so galleries share it. A file that cannot be read becomes
    a gray square, which is not cached.
    """
    checksum = run.value(row, "sha256")
    cached = cache_path(outputs, checksum, size) if checksum else None
    if cached and cached.is_file():
        return cached.read_bytes()
    content = jpeg(thumbnail(run.gallery.root / run.gallery.files[row], size))
    if cached:
        with atomic_write(cached) as part:
            part.write_bytes(content)
    return content


def large_picture(run: OpenRun, row: int, size: int = LARGE) -> bytes:
    """Return an image of at most size pixels a side."""
    return jpeg(thumbnail(run.gallery.root / run.gallery.files[row], size), 88)


def cache_path(outputs: Outputs, checksum: str, size: int) -> Path:
    """Return where the small picture of a file is cached."""
    return outputs.browser / "thumbnails" / str(size) / checksum[:2] / f"{checksum}.jpg"
