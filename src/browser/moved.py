"""Images that are not where the run has read them."""

import os.path
from functools import lru_cache

from src.browser.opened import OpenRun

SAMPLE = 5  # files that are looked for, as a page must not wait for all of a network drive


def missing_from(run: OpenRun) -> str:
    """Return the folder in which images are missing, "" if they are there."""
    if not run.gallery.has_pictures:
        return ""
    root = run.gallery.root
    return "" if all(os.path.isfile(root / file) for file in _sample(run)) else str(root)


@lru_cache(maxsize=64)
def _sample(run: OpenRun) -> list[str]:
    """Return some of the files of which a checksum is known, of all if it is known of none.

    Of one's own vectors, some may never have had a picture.
    """
    checksums = run.columns.get("sha256", [""] * len(run))
    files = run.gallery.files
    read = [file for file, sha256 in zip(files, checksums, strict=True) if sha256] or files
    return read[:: -(-len(read) // SAMPLE)]
