"""The data of the map: positions and labels as numbers, packed as base64 of little-endian integers.

n = images that have a page.
"""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.browser.layouts import Positions
from src.browser.opened import OpenRun
from src.browser.site import NotThere, Site

STEPS = 2**16 - 1  # of a coordinate, which has 16 bits
NO_VALUE = 2**16 - 1  # the code of an image without a label
REST = "other values"  # those that have no code of their own


def pca_points(site: Site, run: OpenRun, number: int) -> dict[str, str]:
    """Return the points of the principal components; compute them if need be."""
    return _points(run, run.layouts.pca())


def umap_points(site: Site, run: OpenRun, number: int) -> dict[str, str]:
    """Return the points of the UMAP layout. Raises NotThere if it was not computed."""
    positions = run.layouts.find("umap")
    if positions is None:
        raise NotThere("the UMAP layout is not computed yet: open map.html?layout=umap")
    return _points(run, positions)


def pca_count(run: OpenRun) -> int:
    """Return the number of chunks of pca_points: none without features."""
    return 0 if run.layouts.obstacle() else 1


def umap_count(run: OpenRun) -> int:
    """Return the number of chunks of umap_points: none until it is computed."""
    return 0 if run.layouts.find("umap") is None else 1


def label_count(run: OpenRun) -> int:
    """Return the number of chunks of label_codes."""
    return len(run.labels)


def label_codes(site: Site, run: OpenRun, number: int) -> dict[str, Any]:
    """Return a label column: values, the most frequent first, their counts, and codes (n,)."""
    column = list(run.labels)[number]
    values, codes = run.labels[column]
    names, counts, renumbered = by_frequency(values, codes[run.rows])
    return {"column": column, "values": names, "counts": counts, "codes": packed(renumbered)}


def by_frequency(
    values: list[str], codes: NDArray[np.int64], most: int = NO_VALUE
) -> tuple[list[str], list[int], NDArray[np.uint16]]:
    """Return the values that occur, the most frequent first, their counts, and the codes in them.

    Beyond `most` values, the rarest share the last code. Images without a value have NO_VALUE.
    """
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda code: (-counts[code], values[code]))
    rank = np.full(len(values) + 1, NO_VALUE)  # the last is that of -1
    rank[order] = np.minimum(np.arange(len(order)), most - 1)
    names = [values[code] for code in order]
    totals = counts[order].tolist()
    if len(order) > most:
        names[most - 1 :], totals[most - 1 :] = [REST], [sum(totals[most - 1 :])]
    return names, totals, rank[codes].astype(np.uint16)


def quantized(positions: Positions) -> NDArray[np.uint16]:
    """Return positions (n, 2) as whole numbers from 0 to STEPS, in the middle of that square.

    Both axes have one scale. Equal positions all lie in the middle.
    """
    low = positions.min(axis=0).astype(np.float64)
    extent = positions.max(axis=0) - low
    scale = STEPS / extent.max() if extent.any() else 0
    middle = (STEPS - extent * scale) / 2
    return np.asarray(np.rint((positions - low) * scale + middle), np.uint16)


def packed(numbers: NDArray[Any]) -> str:
    """Return unsigned integers as base64 of their bytes, the lowest first."""
    return base64.b64encode(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()).decode()


def _points(run: OpenRun, positions: Positions) -> dict[str, str]:
    """Return x, y of each image, and the rows if not all images have a page."""
    points = {"positions": packed(quantized(positions[run.rows]))}
    rows = {} if run.written is None else {"rows": packed(run.rows.astype(np.uint32))}
    return points | rows
