"""What works.csv says of the files of images: checksum and size."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from src.io.files import sha256
from src.io.images import pixel_size
from src.runtime.progress import progress


def with_file_facts(works: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Return works with sha256, width and height of each file below root, "" if unreadable."""
    paths = [root / file for file in works["file"]]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        facts = progress(pool.map(_file_facts, paths), "scanning", len(paths), " images")
        columns = pd.DataFrame(facts, columns=["sha256", "width", "height"], dtype=object)
    return works.assign(**columns)


def _file_facts(path: Path) -> tuple[str, str, str]:
    """Return sha256, width and height of an image file, "" for what cannot be read."""
    try:
        digest = sha256(path) if path.is_file() else ""
    except OSError:
        digest = ""
    if not digest:
        return "", "", ""
    width, height = pixel_size(path) or ("", "")
    return digest, str(width), str(height)
