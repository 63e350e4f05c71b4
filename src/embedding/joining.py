"""Layers joined: the rows of several layers side by side. Imports no torch."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.embedding.row_files import (
    CHECKSUMS,
    CHUNK,
    FEATURES,
    NAMES,
    SKIPPED,
    describe,
    read_texts,
)
from src.errors import UserError
from src.io.files import create_npy, temporary_name
from src.runtime.progress import progress


def join_layers(layers: list[Path], folder: Path, options: dict[str, Any]) -> None:
    """Write to folder, unless it exists, the joined_rows of several layers.

    Raises UserError if the layers do not hold the same images.
    """
    if folder.is_dir():
        return
    parts = [np.load(layer / FEATURES, mmap_mode="r") for layer in layers]
    for other in layers[1:]:
        if (other / NAMES).read_bytes() != (layers[0] / NAMES).read_bytes():
            raise UserError(f"{other} and {layers[0]} hold different images: delete both folders")
    temporary = temporary_name(folder)
    temporary.mkdir(parents=True)
    try:
        with (temporary / FEATURES).open("x+b") as file:
            shape = (len(parts[0]), sum(part.shape[1] for part in parts))
            file.seek(create_npy(file, shape, np.float32))
            starts = range(0, len(parts[0]), CHUNK)
            for start in progress(starts, "joining layers", len(starts)):
                rows = joined_rows([part[start : start + CHUNK] for part in parts])
                file.write(rows.tobytes())
        for name in (NAMES, SKIPPED):
            shutil.copy(layers[0] / name, temporary / name)
        describe(temporary, options, read_texts(layers[0] / CHECKSUMS))
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def joined_rows(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the rows of several layers, (b, d) each, side by side: (b, sum of all d).

    Each layer's row is normalized and divided by the root of the number of layers, so that a joined
    row has unit length; a row of zeros stays zero.
    """
    units = [_normalized(part) for part in parts]
    rows: NDArray[np.float64] = np.concatenate(units, 1) / np.sqrt(len(parts))
    return rows.astype(np.float32)


def _normalized(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return rows (b, d) scaled to unit length, rows of zeros unchanged."""
    wide = rows.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    norms[norms == 0] = 1
    wide /= norms
    return wide
