"""How near two images are under each layer that was embedded for the same images.

n = images, d = width of a layer's rows, c = other images.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.browser.opened import OpenRun
from src.browser.run_search import others
from src.errors import UserError
from src.io.arrays import read_npy, view_npy

MAX_LAYERS = 8
RANKED_NUMBERS = 2**22  # of a layer, up to which all its cosines with an image take a millisecond
KEPT = 4  # runs whose small layers stay in memory


class Layer(NamedTuple):
    """The features of a layer, before any post-processing."""

    name: str
    features: NDArray[np.float32]  # (n, d), a memory map
    unit: NDArray[np.float64] | None  # (n, d) of length 1; None for a layer of many numbers


class Pair(NamedTuple):
    """How near another image is under a layer."""

    cosine: float
    rank: int | None  # among all images that may be neighbors; None where it takes too long


@lru_cache(KEPT)
def layers_of(run: OpenRun) -> list[Layer]:
    """Return the layers beside that of the run with the same images, itself included, by name."""
    own = run.files.path / run.files.paths().get("embeddings", "")
    files = np.array(run.gallery.files)
    found = list[Layer]()
    for path in sorted(own.parent.glob("*/features.npy"), key=_by_numbers):
        try:
            features = view_npy(path)
            names = read_npy(path.parent / "image_names.npy")
        except (UserError, OSError):  # a layer that is being written, or was deleted in part
            continue
        fits = features.ndim == 2 and features.dtype == np.float32
        if fits and len(features) == len(files) and np.array_equal(names, files):
            unit = _unit(features) if features.size <= RANKED_NUMBERS else None
            found.append(Layer(path.parent.name, features, unit))
        if len(found) == MAX_LAYERS:
            break
    return found


def _by_numbers(path: Path) -> list[tuple[bool, int, str]]:
    """Return what sorts features.7 before features.10."""
    parts = re.findall(r"\d+|\D+", path.parent.name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def pairs(run: OpenRun, layer: Layer, row: int, rows: Sequence[int]) -> list[Pair]:
    """Return how near the images in rows (c,) are to the one in row."""
    if layer.unit is None:
        chosen = _unit(layer.features[[row, *rows]])
        return [Pair(cosine, None) for cosine in (chosen[1:] @ chosen[0]).tolist()]
    cosines = layer.unit @ layer.unit[row]
    possible = np.sort(cosines[others(run, row)])
    # equal images may differ by rounding, and are equally near
    ranks = len(possible) + 1 - np.searchsorted(possible, cosines[list(rows)] + 1e-12, "right")
    return [Pair(*pair) for pair in zip(cosines[list(rows)].tolist(), ranks.tolist(), strict=True)]


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return rows of length 1; a row of zeros stays one."""
    numbers = rows.astype(np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", numbers, numbers))[:, None]
    unit: NDArray[np.float64] = numbers / np.where(norms == 0, 1, norms)
    return unit
