"""Rows of the same images that are cached for other galleries."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from src.embedding.cache import EmbeddingRequest
from src.embedding.outdated import EARLIER, is_outdated
from src.embedding.row_files import (
    CHECKSUMS,
    CHUNK,
    FEATURES,
    OPTIONS,
    DoneRows,
    read_options,
    read_texts,
)
from src.errors import UserError
from src.io.arrays import map_npy, view_npy
from src.runtime.progress import progress

log = logging.getLogger(__name__)

RowsMap = np.memmap[Any, np.dtype[np.float32]]  # (n, d)


def copy_rows(request: EmbeddingRequest, folder: Path, layers: list[str]) -> list[int]:
    """Copy rows of the same images and options, by checksum, from other galleries to folder.

    folder holds a features.npy for each of layers. Rows come from finished and unfinished folders
    of the same backbone; a damaged one is warned of. Return the rows that were copied, ascending.
    Raises UserError if a file of folder is damaged.
    """
    targets = {layer: map_npy(folder / layer / FEATURES) for layer in layers}
    checksums = request.gallery.works["sha256"]
    missing = {row for row, checksum in enumerate(checksums) if checksum}
    copied: list[int] = []
    for source in _sources(request.folder):
        if source == folder or not missing:
            continue
        try:
            rows = _copy_from(source, request, targets, missing)
        except FileNotFoundError:  # another process has just finished that pass
            continue
        except UserError as error:  # those rows are embedded again
            log.warning("embedding: no rows of another gallery are reused: %s", error)
            continue
        missing -= set(rows)
        copied += rows
    return sorted(copied)


def _copy_from(
    source: Path,
    request: EmbeddingRequest,
    targets: dict[str, RowsMap],
    missing: set[int],
) -> list[int]:
    """Copy those of the missing rows that source has in all layers, and return them, ascending.

    targets has the map of each layer's file. Raises UserError if a file of source is damaged.
    """
    if not all(_has_options(source / layer, request.options) for layer in targets):
        return []
    checksums = list(request.gallery.works["sha256"])
    old_rows = [_row_by_checksum(source / layer) for layer in targets]
    rows = sorted(row for row in missing if all(checksums[row] in old for old in old_rows))
    if any(is_outdated(source / layer) for layer in targets):
        rows = [row for row in rows if row not in request.decoded_anew]
    for (layer, target), old in zip(targets.items(), old_rows, strict=True):
        old_of = [old[checksums[row]] for row in rows]
        _copy(source / layer / FEATURES, old_of, target, rows)
    return rows


def _sources(folder: Path) -> list[Path]:
    """Return the folders of the same backbone in all galleries, then their unfinished passes.

    Each is followed by the folder of its layers that an earlier decoder made.
    """
    backbone = folder.name.rpartition("-")[0]
    folders = sorted(folder.parent.parent.glob(f"*/{backbone}-*"))
    finished = [path for folder in folders for path in (folder, folder / EARLIER)]
    return [*finished, *(part for folder in folders for part in sorted(folder.glob("*.part")))]


def _has_options(folder: Path, options: dict[str, Any]) -> bool:
    """Return whether the rows in folder were made with options.

    They may be those of other images, of any layer and of an earlier decoder.
    """
    if not all((folder / name).is_file() for name in (OPTIONS, CHECKSUMS, FEATURES)):
        return False
    saved = read_options(folder)
    free = dict.fromkeys(("images", "layer", "decoder"))
    return saved | free == options | free


def _row_by_checksum(folder: Path) -> dict[str, int]:
    """Return the row of each image in folder; in an unfinished pass, the rows that are done."""
    checksums: list[str] = read_texts(folder / CHECKSUMS)
    rows = set(range(len(checksums)))
    if folder.parent.suffix == ".part":
        done = DoneRows(folder.parent)
        rows &= done.rows - done.unreadable.keys()
    return {checksums[row]: row for row in rows if checksums[row]}


def _copy(source: Path, source_rows: list[int], target: RowsMap, rows: list[int]) -> None:
    """Copy rows of the file source to these rows of target."""
    old = view_npy(source)
    starts = range(0, len(rows), CHUNK)
    for start in progress(starts, "copying rows", len(starts)):
        chunk = slice(start, start + CHUNK)
        target[rows[chunk]] = old[source_rows[chunk]]
    target.flush()
