"""The features that a run has compared, and their principal components, in numpy.

Imports no torch, which takes seconds: a page waits for these. n = images, d = width of a stored
row, m = width after post-processing, s = rows of the sample.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from src.runtime.progress import Watch, unwatched

Floats = NDArray[np.float64]
SAMPLE = 4096  # rows that principal axes are fitted on
BLOCK = 512  # rows in memory at once
MIN_DEVIATION = 1e-9  # of rows of length 1 along an axis; less is rounding


@dataclass(frozen=True)
class Compared:
    """Features (n, d) as they are stored, and how they were changed before they were compared."""

    stored: NDArray[np.float32]  # a memory map
    mean: Floats | None = None  # (d,) that centering subtracts from rows of length 1
    axes: Floats | None = None  # (d, m) that whitening multiplies by
    # neighbors (n, k) added to each row after that, and their cosines
    added: tuple[NDArray[np.int32], NDArray[np.float32]] | None = None

    def __len__(self) -> int:
        return len(self.stored)

    def rows(self, chosen: slice | NDArray[np.int64]) -> Floats:
        """Return rows of length 1, (b, m), as they were compared; a row of zeros stays one.

        Whitened ones are exact to float32, which is twice as fast.
        """
        if self.added is None:
            return self._postprocessed(chosen)
        index, score = self.added[0][chosen], self.added[1][chosen]
        own = np.arange(len(self))[chosen]
        needed = np.union1d(own, index)
        rows = self._postprocessed(needed)
        sums = rows[np.searchsorted(needed, own)]  # as similarity.augment does, without torch
        for neighbors, cosines in zip(np.searchsorted(needed, index).T, score.T, strict=True):
            sums += np.maximum(cosines, 0).astype(np.float64)[:, None] ** 3 * rows[neighbors]
        return _normalize(sums)

    def _postprocessed(self, chosen: slice | NDArray[np.int64]) -> Floats:
        """Return rows of length 1, (b, m), as FittedPostprocess does."""
        rows = _normalize(self.stored[chosen].astype(np.float64))
        if self.mean is None:
            return rows
        moved = np.subtract(rows, self.mean, out=rows, where=np.any(rows, axis=1, keepdims=True))
        if self.axes is not None:
            moved = (moved.astype(np.float32) @ self.axes.astype(np.float32)).astype(np.float64)
        return _normalize(moved)


def _normalize(rows: Floats) -> Floats:
    """Divide rows by their lengths, in place; return them."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    rows /= np.where(norms == 0, 1, norms)
    return rows


def principal_components(
    rows: Compared, count: int, seed: int = 0, watch: Watch = unwatched
) -> NDArray[np.float32]:
    """Return rows on their `count` principal axes, (n, count), the widest first.

    The axes are those of a seeded sample; axes along which it has no extent give zeros. watch goes
    through the blocks of rows.
    """
    n = len(rows)
    chosen = np.random.default_rng(seed).choice(n, min(SAMPLE, n), replace=False)
    sample = rows.rows(np.sort(chosen))
    mean = sample.mean(axis=0)
    axes = principal_axes(sample - mean, count)
    points = np.empty((n, count), np.float32)
    for start in watch(range(0, n, BLOCK), "placing", ceil(n / BLOCK)):
        block = slice(start, start + BLOCK)
        points[block] = rows.rows(block) @ axes - mean @ axes
    return points


def principal_axes(moved: Floats, count: int) -> Floats:
    """Return the first `count` principal axes of rows (s, m) around 0 as columns, (m, count).

    The largest entry of each is positive; columns beyond the rows' extent are zeros.
    """
    s, m = moved.shape
    if m <= s:
        values, vectors = np.linalg.eigh(moved.T @ moved)
    else:  # the (s, s) matrix is smaller and has the same axes
        values, vectors = np.linalg.eigh(moved @ moved.T)
        vectors = moved.T @ vectors
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    kept = vectors[:, values > s * MIN_DEVIATION**2]
    kept = kept / np.linalg.norm(kept, axis=0)
    strongest = np.take_along_axis(kept, np.abs(kept).argmax(axis=0, keepdims=True), 0)
    axes = np.zeros((m, count))
    axes[:, : kept.shape[1]] = kept * np.sign(strongest)
    return axes
