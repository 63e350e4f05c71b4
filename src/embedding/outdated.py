"""Rows that an earlier version's decoder made: which of them are valid, and what becomes of them.

Imports no torch, so that a run whose rows are cached does not load the network's libraries.
"""

import logging
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from src.embedding.joining import is_joined
from src.embedding.row_files import DONE, OPTIONS, SKIPPED, DoneRows, read_options
from src.gallery import Gallery
from src.io.files import atomic_write
from src.io.images import is_decoded_anew
from src.runtime.progress import progress

log = logging.getLogger(__name__)

DECODER = 2  # raised when files are decoded differently; is_decoded_anew names these files
FIRST_DECODER = 1  # that of rows without a number
EARLIER = "earlier"  # subfolder for finished layers, of which some rows are outdated


def is_outdated(folder: Path) -> bool:
    """Return whether an earlier decoder made the rows in a layer's folder."""
    if not (folder / OPTIONS).is_file():
        return False
    saved = read_options(folder)  # {} for an empty file, which is damaged
    return bool(saved) and saved.get("decoder", FIRST_DECODER) != DECODER


def rows_decoded_anew(gallery: Gallery) -> frozenset[int]:
    """Return the rows whose files DECODER decodes differently than an earlier decoder."""
    paths = [gallery.root / file for file in gallery.files]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = pool.map(is_decoded_anew, paths)
        shown = progress(answers, "checking", len(paths), " images")
        return frozenset(row for row, is_anew in enumerate(shown) if is_anew)


def update(folder: Path, decoded_anew: Callable[[], frozenset[int]]) -> None:
    """Keep the valid rows in the folder of a backbone, and let the others be computed again.

    decoded_anew returns the rows of the gallery whose files are decoded differently now.
    """
    outdated = [path.parent for path in folder.glob(f"**/{OPTIONS}") if is_outdated(path.parent)]
    if not outdated:
        return
    anew = decoded_anew()
    if anew:
        log.info(
            "embedding: %d images are decoded differently than by an earlier version (their color"
            " profile is applied, or their samples are read as the file says): their rows are"
            " computed again",
            len(anew),
        )
    for part in {layer.parent for layer in outdated if layer.parent.suffix == ".part"}:
        _forget(part, anew)
    for layer in outdated:
        if layer.parent == folder and (anew or _has_skipped(layer)):
            _set_aside(layer)
        elif layer.parent.name != EARLIER:
            _stamp(layer)


def _forget(part: Path, rows: frozenset[int]) -> None:
    """Count rows of an unfinished pass, and its unreadable images, as not done."""
    done = DoneRows(part)
    valid = sorted(done.rows - rows - done.unreadable.keys())
    if len(valid) < len(done.rows):
        for path in part.glob(DONE):
            path.unlink()
        DoneRows(part).append(valid, [])


def _has_skipped(layer: Path) -> bool:
    """Return whether images were skipped, which may be readable now."""
    return len((layer / SKIPPED).read_text(errors="replace").splitlines()) > 1


def _set_aside(layer: Path) -> None:
    """Move the folder of a layer away, to be copied from; delete one that joins other layers."""
    target = layer.parent / EARLIER / layer.name
    shutil.rmtree(target, ignore_errors=True)
    if is_joined(layer.name):
        shutil.rmtree(layer)
    else:
        target.parent.mkdir(exist_ok=True)
        layer.rename(target)


def _stamp(folder: Path) -> None:
    """Record that the rows in a layer's folder are those of DECODER."""
    options = read_options(folder) | {"decoder": DECODER}
    with atomic_write(folder / OPTIONS) as part:
        part.write_text(yaml.safe_dump(options, sort_keys=False))
