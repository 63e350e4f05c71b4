"""Rows that stay in their file, and how near they are to a query, within a proven bound.

No row is post-processed for that: the cosine of a row x with a query y after post-processing is
((x / |x| - mean) . A y) / (length of both), with A the axes, so that the fast product is that of
the rows as they are with one vector A y. An augmented row is a sum of rows, and so is its cosine.

n = rows, d = their width, m = width after post-processing, q = queries, c = chosen rows,
k = neighbors added to a row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.runtime.progress import Watch, unwatched
from src.similarity.augment import augment, weights
from src.similarity.centering import UNIT_ROUNDOFF
from src.similarity.numerics import CHUNK, row_norms
from src.similarity.postprocess import FittedPostprocess

QUERIES_PER_STEP = 64  # multiplied with all rows at once
ROWS_PER_STEP = 32 * CHUNK  # read into memory at once
# What moves a score after the product: both rows and the score itself are rounded to float32
# (3 * 2^-24). The rest covers numbers below the normal range.
ROUNDING = 2.0**-22
SMALLEST = 2.0**-126  # normal number of float32: what is below may become 0
LARGEST_LENGTH = 2.0**120  # of a row whose sums surely stay in the range of float32


@dataclass(frozen=True)
class Augmentation:
    """What was added to each row, as augment takes and returns it."""

    index: NDArray[np.int32]  # (n, k) rows
    score: NDArray[np.float32]  # (n, k) their cosines
    length: NDArray[np.float64]  # (n,) of the sums, 0 for a row of zeros


class StoredRows:
    """Rows (n, d) float32 in memory or a file, which are compared after post-processing.

    Lengths of the rows, before and after post-processing, are computed once, here: with whitening
    that takes as long as whitening all rows. Raises ValueError for rows that are not finite.
    """

    def __init__(self, rows: NDArray[np.float32], postprocess: FittedPostprocess | None):
        self.rows, self.postprocess, self.count = rows, postprocess, len(rows)
        self._norms, self._lengths = self._measure()  # (n,) float64 each

    def _measure(self) -> tuple[Tensor, Tensor]:
        """Return the length of each row, and that before the last normalization; 0: scores 0."""
        norms, lengths = torch.empty(2, len(self.rows), dtype=torch.float64)
        for start in range(0, len(self.rows), ROWS_PER_STEP):
            at = slice(start, start + ROWS_PER_STEP)
            block = self._read(at)
            norms[at] = row_norms(block)
            if self.postprocess is None:
                lengths[at] = norms[at] > 0
                continue
            parts = [self.postprocess.project(part).norm(dim=1) for part in block.split(CHUNK)]
            lengths[at] = torch.cat(parts)
        if not norms.isfinite().all():
            raise ValueError(f"row {int(norms.isfinite().int().argmin())} holds NaN or infinity")
        return norms, lengths

    def _read(self, at: slice | NDArray[np.int64]) -> Tensor:
        """Return a copy of rows; without one, torch warns of memory that it may not write."""
        return torch.from_numpy(np.array(self.rows[at]))

    def all_compared(self, watch: Watch = unwatched) -> Tensor:
        """Return all rows (n, m) as NeighborSearch compares them, in memory."""
        rows = self._read(slice(None))
        return rows if self.postprocess is None else self.postprocess(rows, watch)

    def compared(self, numbers: NDArray[np.int64]) -> Tensor:
        """Return rows (c, m) as NeighborSearch compares them.

        The last bits of a product may depend on its shape and on a row's place in it, but not on
        the other rows. So each is whitened at its place in a chunk of the same size, beside as many
        of the others as have places of their own.
        """
        if self.postprocess is None:
            return self._read(numbers)
        if self.postprocess.axes is None:
            return self.postprocess(self._read(numbers))
        compared = torch.empty(len(numbers), self.postprocess.axes.shape[1])
        for size, which in _chunks(numbers, self.count):
            chunk, places = torch.zeros(size, self.rows.shape[1]), numbers[which] % CHUNK
            chunk[places] = self._read(numbers[which])
            compared[which] = self.postprocess(chunk)[places]
        return compared

    def products(self, queries: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield for each query (q, m) its vector (d,) and the products with it, (n,) float32.

        The vector is A y for the query y of length 1, float64. numpy multiplies, from the file's
        memory and whatever precision torch is set to.
        """
        norms = row_norms(queries)[:, None]
        vectors = queries.double() / torch.where(norms == 0, 1, norms)
        if self.postprocess is not None and self.postprocess.axes is not None:
            vectors = vectors @ self.postprocess.axes.T
        for step in vectors.split(QUERIES_PER_STEP):
            with np.errstate(all="ignore"):  # rows that overflow are scored exactly
                products = torch.from_numpy(np.asarray(self.rows @ step.float().numpy().T))
            yield from zip(step, products.T, strict=True)

    def keys(
        self, choice: Tensor, vector: Tensor, products: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the cosines of rows choice (c,) with a query, and their errors: (c,) float64 each.

        vector and products are what `products` yields; without products they are computed exactly.
        """
        d, relative = self.rows.shape[1], 0.0
        if products is None:
            product = self._exact_products(choice, vector)
        else:
            # Higham, Accuracy and Stability, 3.1: a sum of d products in any order; twice 2^-24
            # more for the rounding of the vector
            steps = (d + 8) * UNIT_ROUNDOFF["float32"]
            product, relative = products[choice].double(), steps / (1 - steps) + 2.0**-23
        norms, lengths = self._norms[choice], self._lengths[choice]
        zero = lengths == 0
        norms, lengths = norms.where(~zero, 1), lengths.where(~zero, 1)
        mean = 0.0 if self.postprocess is None else float(self.postprocess.mean @ vector)
        key = ((product / norms - mean) / lengths).where(~zero, 0)
        error = self._error(vector, relative, norms) / lengths + ROUNDING
        # beyond a quarter the first-order terms of the bound no longer hold: it says nothing
        unknown = ~(error < 0.25) | ~key.isfinite() | (norms > LARGEST_LENGTH)
        return key.where(~unknown, 0), error.where(~unknown, 2).where(~zero, 0)

    def _error(self, vector: Tensor, relative: float, norms: Tensor) -> Tensor:
        """Return how far a key may be from the cosine, times the row's length, (c,) float64.

        For rows with the lengths norms (c,), by products that are off by at most relative |x|
        |vector|. The float64 arithmetic of the vector, of the key and of NeighborSearch's rows is
        off by at most 16 (d + m + 16) 2^-53 relative to the lengths of what is multiplied, at most
        2 for x / |x| - mean.
        """
        d, size = self.rows.shape[1], float(vector.norm())
        axes = None if self.postprocess is None else self.postprocess.axes
        m, spread = (d, 1.0) if axes is None else (axes.shape[1], float(axes.norm()))
        in_float64 = 16 * (d + m + 16) * 2.0**-53 * (size + spread)
        error: Tensor = relative * size + in_float64 + 2 * d * SMALLEST / norms
        return error

    def _exact_products(self, choice: Tensor, vector: Tensor) -> Tensor:
        """Return the products of rows choice (c,) with the vector in float64, (c,)."""
        pieces = choice.split(ROWS_PER_STEP)
        return torch.cat([self._read(piece.numpy()).double() @ vector for piece in pieces])


def _chunks(numbers: NDArray[np.int64], n: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield sizes of chunks, and which of numbers (c,) fit in each at places of their own.

    Rows of the last of n rows' chunks, which may be shorter, are yielded apart.
    """
    last = n - n % CHUNK
    for size, candidates in ((CHUNK, numbers < last), (n - last, numbers >= last)):
        which = np.flatnonzero(candidates)
        which = which[np.argsort(numbers[which] % CHUNK, kind="stable")]
        places = numbers[which] % CHUNK
        turn = np.arange(len(which)) - np.searchsorted(places, places)  # 0 for the first of a place
        for number in range(turn.max(initial=-1) + 1):
            yield size, which[turn == number]


class AugmentedRows:
    """Stored rows, each with its neighbors added: what StoredRows does, for these sums."""

    def __init__(self, stored: StoredRows, augmentation: Augmentation):
        self._stored, self._lists = stored, augmentation
        self._index = torch.from_numpy(augmentation.index).long()  # (n, k)
        self._weight = weights(torch.from_numpy(augmentation.score))  # (n, k)
        self._length = torch.from_numpy(augmentation.length)  # (n,)
        self.products, self.count = stored.products, stored.count

    def all_compared(self, watch: Watch = unwatched) -> Tensor:
        """Return all rows (n, m) as NeighborSearch compares them, in memory."""
        rows, lists = self._stored.all_compared(watch), self._lists
        return augment(rows, lists.index, lists.score, watch=watch).rows

    def compared(self, numbers: NDArray[np.int64]) -> Tensor:
        """Return rows (c, m) as NeighborSearch compares them."""
        index = self._lists.index[numbers]
        needed = np.union1d(numbers, index)
        own, neighbors = np.searchsorted(needed, numbers), np.searchsorted(needed, index)
        rows, score = self._stored.compared(needed), self._lists.score[numbers]
        return augment(rows, neighbors, score, torch.from_numpy(own)).rows

    def keys(
        self, choice: Tensor, vector: Tensor, products: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the cosines of rows choice (c,) with a query, and their errors: (c,) float64 each.

        A row is s / |s|, with s the sum of rows of length 1 times their weights, so that its cosine
        and its error are such sums, too, divided by |s|.
        """
        needed = torch.zeros(len(self._index), dtype=torch.bool)
        needed[choice] = needed[self._index[choice].flatten()] = True
        numbers = needed.nonzero().flatten()
        of_all = torch.zeros(2, len(self._index), dtype=torch.float64)
        of_all[0, numbers], of_all[1, numbers] = self._stored.keys(numbers, vector, products)
        added = of_all[:, self._index[choice]] * self._weight[choice]  # (2, c, k)
        key, error = of_all[:, choice] + added.sum(-1)
        length = self._length[choice]
        zero, length = length == 0, length.where(length > 0, 1)
        return (key / length).where(~zero, 0), (error / length + ROUNDING).where(~zero, 0)
