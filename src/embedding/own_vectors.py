"""One's own vectors as embeddings: converted once, then cached as a network's rows are.

outputs/embeddings/<gallery>/vectors-<hash>/vectors/ holds the files of a layer: features.npy
(m, d) float32 and the names of its m images. The hash is of the content of the file of vectors and
of which of its rows are taken. A conversion that is interrupted begins anew: it takes seconds a
gigabyte. Imports no torch. n = rows of the file, m = rows of the gallery, d = numbers of a row.
"""

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.config.backbone import VECTORS
from src.embedding.cache import Embeddings, Facts
from src.embedding.row_files import FEATURES, NAMES, SKIPPED, describe, read_options
from src.errors import UserError
from src.gallery import Gallery
from src.gallery.features import row_numbers
from src.gallery.vector_files import open_vectors
from src.gallery.vectors import Vectors
from src.io.arrays import view_npy
from src.io.csv_cells import write_table
from src.io.files import create_npy, folder_lock, sha256, temporary_name
from src.io.outputs import Outputs
from src.io.printable import printable
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import progress

log = logging.getLogger(__name__)

SCRATCH = "copy.npy"  # of an array in a .npz file
WEIGHTS = "own vectors"  # in place of the name of a network's weights
# What float32 does to numbers of other types, by the name of their type
LOSSES = {
    r"float64|double": "each number is rounded, by up to 6e-8 of it",
    r"u?int(32|64)": "integers beyond 2**24 are rounded",
}


def own_vectors(
    gallery: Gallery, path: Path, outputs: Path, processes: ProcessGroup = SINGLE_PROCESS
) -> Embeddings:
    """Return the rows of the file of vectors at path that are those of the gallery, as float32.

    A lock makes concurrent runs wait and reuse the result. Raises UserError if a number is NaN,
    infinite or beyond float32, if the file is damaged or changes meanwhile, or if the disk is full.
    """
    folder, checksum, is_cached = processes.broadcast_from_rank_zero(
        lambda: _converted(gallery, path, Outputs(outputs).embeddings / gallery.name)
    )
    facts: Facts = {
        "weights": WEIGHTS,
        "vectors": checksum,
        "reused_embeddings": is_cached,
        "processes": processes.world_size,
        "images": len(gallery),
        "skipped": 0,
    }
    return Embeddings(folder, gallery, view_npy(folder / FEATURES, "c"), facts)


def _converted(gallery: Gallery, path: Path, parent: Path) -> tuple[Path, str, bool]:
    """Return the folder of the rows, the SHA-256 of the file, and whether they were there."""
    before, checksum = _state(path), sha256(path)
    options = {
        "backbone": VECTORS,
        "weights": WEIGHTS,
        "vectors": checksum,
        "images": _hash_of_images(gallery),
        "layer": VECTORS,
    }
    digest = hashlib.sha256(repr(options).encode()).hexdigest()[:12]
    folder = parent / f"{VECTORS}-{digest}" / VECTORS
    with folder_lock(folder.parent):
        if folder.is_dir():
            _check_cached(folder, options, len(gallery))
            log.info("embedding: using cached rows of %s in %s", path, folder)
            return folder, checksum, True
        part = temporary_name(folder)
        part.mkdir()
        try:
            _write(part, gallery, path)
            describe(part, options, list(gallery.works["sha256"]))
            if _state(path) != before:
                raise UserError(f"data.features={path} was changed during the run: run it again")
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder, checksum, False


def _state(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is written."""
    facts = os.stat(path)
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _hash_of_images(gallery: Gallery) -> str:
    """Return a hash of which row of the file each image is, and what it is called."""
    names = [f"{a}\0{b}\0" for a, b in zip(gallery.works["image_id"], gallery.files, strict=True)]
    return hashlib.sha256("".join(names).encode("utf-8", "surrogateescape")).hexdigest()


def _check_cached(folder: Path, options: dict[str, Any], n: int) -> None:
    """Raise UserError if the files in the folder are not those that were written there."""
    rows = view_npy(folder / FEATURES)
    if read_options(folder) != options or rows.dtype != np.float32 or len(rows) != n:
        raise UserError(f"{folder} is damaged: delete that folder")


def _write(folder: Path, gallery: Gallery, path: Path) -> None:
    """Write features.npy, image_names.npy and an empty skipped.csv to folder."""
    vectors = open_vectors(path)
    rows, names = row_numbers(path, vectors, gallery), list(gallery.works["image_id"])
    losses = [text for kind, text in LOSSES.items() if re.fullmatch(kind, vectors.dtype)]
    log.info("embedding: taking %d rows of %d numbers from %s", len(rows), vectors.d, path)
    for loss in losses:
        log.info("embedding: %s becomes float32: %s", vectors.dtype, loss)
    done = 0
    with (
        (folder / FEATURES).open("x+b") as file,
        progress(None, "converting", len(rows), " rows") as bar,
    ):
        file.seek(create_npy(file, (len(rows), vectors.d), np.float32))
        for block, chosen in _chosen(vectors, rows, folder / SCRATCH):
            called = [*zip(chosen, names[done : done + len(chosen)], strict=True)]
            file.write(_as_float32(block, path, called).tobytes())
            done += len(chosen)
            bar.update(len(chosen))
    (folder / SCRATCH).unlink(missing_ok=True)
    np.save(folder / NAMES, np.array(gallery.files))
    write_table(folder / SKIPPED, ["file", "reason"], [], False)


def _chosen(
    vectors: Vectors, rows: NDArray[np.int64], scratch: Path
) -> Iterator[tuple[NDArray[Any], list[int]]]:
    """Yield those of the rows (m,), which ascend, that are in each block of the file."""
    start, taken = 0, 0  # rows of the file, and of those chosen, that are done
    for block in vectors.blocks(scratch):
        end = start + len(block)
        chosen = rows[taken : np.searchsorted(rows, end)]
        yield block if len(chosen) == len(block) else block[chosen - start], chosen.tolist()
        start, taken = end, taken + len(chosen)


def _as_float32(
    block: NDArray[Any], path: Path, rows: list[tuple[int, str]]
) -> NDArray[np.float32]:
    """Return numbers (b, d) as float32; rows (b,) are the numbers and the ids of the rows.

    Raises UserError for a row with NaN or infinity, or beyond what float32 holds.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        numbers = np.asarray(block, np.float32)
    lost = ~np.isfinite(numbers).all(axis=1)
    # tiny numbers that become 0 would make a row of zeros
    lost |= ~numbers.any(axis=1) & np.asarray(block).any(axis=1)
    for at in np.flatnonzero(lost)[:1].tolist():
        values = np.asarray(block[at], np.float64)
        bad = values[~np.isfinite(values)]
        found = bad[0] if len(bad) else values[np.abs(values).argmax()]
        advice = "leave the row out" if len(bad) else "scale all rows, whose cosines stay the same"
        row, name = rows[at]
        known = "" if name == str(row) else f" ({printable(name)})"
        raise UserError(
            f"data.features={path}: row {row}{known} holds {found:g}, but finite numbers of"
            f" float32, up to 3e38 and not all below 1e-45, are needed: {advice}"
        )
    return numbers
