"""Look at a gallery, or at any folder of images: numbers, sizes, labels, unreadable files."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from src.config.data import Data
from src.errors import UserError
from src.gallery import Gallery, read_gallery
from src.gallery.file_facts import with_file_facts
from src.gallery.folder import list_images
from src.io.bounded import read_yaml
from src.io.images import load_rgb
from src.io.unreadable import Unreadable
from src.runtime.progress import progress

MAX_PIXELS = Data().max_pixels  # larger images are not decoded


def open_gallery(folder: Path, outputs: Path) -> Gallery:
    """Return the gallery of a gallery's folder, or of any folder of images except outputs in it.

    Raises UserError if it is neither.
    """
    if (folder / "works.csv").is_file():
        return read_gallery(folder)
    files = list_images(folder, outputs) if folder.is_dir() else []
    if not files:
        raise UserError(f"{folder} is neither a gallery nor a folder with images in it")
    works = pd.DataFrame({"image_id": files, "file": files}, dtype=object)
    return Gallery(folder.name, folder, with_file_facts(works, folder))


def is_open_access(folder: Path) -> bool:
    """Return whether a gallery's folder says that its images are only those of open access."""
    path = folder / "gallery.yaml"
    written = read_yaml(path) if path.is_file() else None
    selection = written.get("selection") if isinstance(written, dict) else None
    return isinstance(selection, dict) and selection.get("open_access") is True


def facts(gallery: Gallery) -> list[str]:
    """Return lines of text: number of images, their sizes, number of values of each label."""
    lines = [f"{gallery.name}: {len(gallery)} images"]
    for side in ("width", "height"):
        values = sorted(int(value) for value in gallery.works[side] if value)
        if values:
            median = values[len(values) // 2]
            lines.append(f"{side} {values[0]} to {values[-1]} pixels, median {median}")
    counts = []
    for column in gallery.label_columns():
        codes = gallery.labels(column)
        unknown = f" ({(codes < 0).sum()} unknown)" if (codes < 0).any() else ""
        counts.append(f"{column} {codes.max() + 1}{unknown}")
    labels = f"values: {', '.join(counts)}" if counts else ""
    return list(filter(None, [lines[0], "; ".join(lines[1:]), labels]))


def unreadable(gallery: Gallery) -> dict[str, str]:
    """Return the files that cannot be decoded completely, with the reason."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = pool.map(_decode_error, (gallery.root / file for file in gallery.files))
        shown = progress(reasons, "reading", len(gallery), " images")
        return {file: reason for file, reason in zip(gallery.files, shown, strict=True) if reason}


def _decode_error(path: Path) -> str:
    """Return why a file cannot be decoded, "" if it can."""
    try:
        load_rgb(path, MAX_PIXELS)
    except Unreadable as reason:
        return str(reason)
    return ""
