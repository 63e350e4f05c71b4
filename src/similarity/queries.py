"""Exact nearest rows of any query, in one pass over rows that stay in their file.

As in a search among the rows themselves, a fast product in float32 only proposes candidates, a
bound on its error proves that none is missing, and the candidates are scored again as
NeighborSearch scores them. No row is post-processed for that but the candidates: the cosine of a
row x with a query y after post-processing is ((x / |x| - mean) . A y) / (length of both), with A
the axes, so that the fast product is that of the rows as they are with one vector A y.

n = rows, d = their width, m = width after post-processing, q = queries, c = candidates.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.similarity.centering import UNIT_ROUNDOFF
from src.similarity.inputs import as_tensor, finite_penalty
from src.similarity.numerics import CHUNK, PAIRS_PER_STEP, exact_scores, row_norms
from src.similarity.postprocess import FittedPostprocess
from src.similarity.refinement import best_columns

QUERIES_PER_STEP = 64  # multiplied with all rows at once
ROWS_PER_STEP = 32 * CHUNK  # read into memory at once
# What moves a score after the product: both rows and the score itself are rounded to float32
# (3 * 2^-24). The rest covers numbers below the normal range.
ROUNDING = 2.0**-22
SMALLEST = 2.0**-126  # normal number of float32: what is below may become 0
LARGEST_LENGTH = 2.0**120  # of a row whose sums surely stay in the range of float32


class QuerySearch:
    """Searches rows that stay where they are, as a memory map, for the nearest of any query.

    Lengths of the rows, before and after post-processing, are computed once, here: with whitening
    that takes as long as whitening all rows.

    Args:
        rows: (n, d) float32, before post-processing.
        postprocess: what rows and queries are compared after.
        penalty: (n,) floats, subtracted from a row's score for the order alone: csls_penalty.

    Raises ValueError unless rows are (n, d) finite float32 and the penalty is (n,) finite numbers.

    Example:
        >>> rows = np.array([[3, 0], [2, 0], [3, 4]], np.float32)
        >>> QuerySearch(rows).nearest(torch.tensor([[0.0, 5.0]]), k=2)
        (array([[2, 0]], dtype=int32), array([[0.8, 0. ]], dtype=float32))
    """

    def __init__(
        self,
        rows: NDArray[np.float32],
        postprocess: FittedPostprocess | None = None,
        penalty: Tensor | NDArray[np.float64] | None = None,
    ):
        if rows.ndim != 2 or rows.dtype != np.float32 or not rows.size:
            raise ValueError(f"rows must be (n, d) float32, got {rows.shape} {rows.dtype}")
        self.rows, self.postprocess = rows, postprocess
        self.penalty = finite_penalty(penalty, len(rows))  # (n,)
        self._norms, self._lengths = self._measure()  # (n,) float64 each

    def __len__(self) -> int:
        return len(self.rows)

    def nearest(
        self, queries: Tensor, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return index and score, (q, k) each, of the rows nearest to queries (q, d), best first.

        queries are features before post-processing, of any scale. A score is the cosine; the order
        is that of NeighborSearch: descending score, or score minus penalty, then ascending row.
        allowed is (n,), or (q, n) with an own choice for each query; where fewer than k rows are
        allowed, as many columns are returned as the query with the fewest has.

        Raises ValueError unless queries are (q, d) finite floats, allowed fits, and k is positive.
        """
        given, d = as_tensor(queries), self.rows.shape[1]
        if given.ndim != 2 or given.shape[1] != d or not given.is_floating_point():
            raise ValueError(
                f"queries must be (q, {d}) floats, got {(*given.shape,)} {given.dtype}"
            )
        given = given.float()
        if not row_norms(given).isfinite().all():
            raise ValueError("queries hold NaN or infinity")
        compared = given if self.postprocess is None else self.postprocess(given)
        return self._nearest(compared, k, allowed)

    def nearest_to_rows(
        self, numbers: Sequence[int], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return what nearest does for the rows with these numbers (q,) as queries.

        Index and score are equal to the bit to those of NeighborSearch on as many threads. A row
        is its own nearest unless allowed leaves it out.
        """
        return self._nearest(self._compared(np.asarray(numbers)), k, allowed)

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

    def _compared(self, numbers: NDArray[np.int64]) -> Tensor:
        """Return rows (c, m) as NeighborSearch compares them.

        They are whitened together with the others of their chunk, because the last bits of a
        product may depend on its shape.
        """
        if self.postprocess is None:
            return self._read(numbers)
        if self.postprocess.axes is None:
            return self.postprocess(self._read(numbers))
        compared = torch.empty(len(numbers), self.postprocess.axes.shape[1])
        for chunk in np.unique(numbers // CHUNK).tolist():
            inside = numbers // CHUNK == chunk
            start = chunk * CHUNK
            rows = self.postprocess(self._read(slice(start, start + CHUNK)))
            compared[torch.from_numpy(inside)] = rows[torch.from_numpy(numbers[inside] - start)]
        return compared

    def _nearest(
        self, queries: Tensor, k: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return index and score (q, k) of queries (q, m) as they are compared."""
        if k < 1:
            raise ValueError(f"k must be positive, got {k}")
        n, q = len(self.rows), len(queries)
        masks = np.ones(n, bool) if allowed is None else np.asarray(allowed)
        if masks.dtype != bool or masks.shape not in ((n,), (q, n)):
            raise ValueError(f"allowed must be ({n},) or ({q}, {n}) bools, got {masks.shape}")
        k = min(k, int(masks.sum(-1).min(initial=n)))
        index, score = torch.empty(q, k, dtype=torch.int32), torch.empty(q, k)
        if k:
            masks = np.broadcast_to(masks, (q, n))
            for i, vector, products in self._products(queries):
                choice = torch.from_numpy(masks[i].nonzero()[0])
                index[i], score[i] = self._best(queries[i], vector, products, choice, k)
        return index.numpy(), score.numpy()

    def _products(self, queries: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield for each query its number, its vector (d,) and the products with it, (n,) float32.

        The vector is A y for the query y of length 1, float64. numpy multiplies, from the file's
        memory and whatever precision torch is set to.
        """
        norms = row_norms(queries)[:, None]
        vectors = queries.double() / torch.where(norms == 0, 1, norms)
        if self.postprocess is not None and self.postprocess.axes is not None:
            vectors = vectors @ self.postprocess.axes.T
        for start in range(0, len(queries), QUERIES_PER_STEP):
            step = vectors[start : start + QUERIES_PER_STEP]
            with np.errstate(all="ignore"):  # rows that overflow are scored exactly
                products = torch.from_numpy(np.asarray(self.rows @ step.float().numpy().T))
            for i, vector in enumerate(step):
                yield start + i, vector, products[:, i]

    def _best(
        self, query: Tensor, vector: Tensor, products: Tensor, choice: Tensor, k: int
    ) -> tuple[Tensor, Tensor]:
        """Return index and score (k,) of the best rows of choice (c,), which ascends."""
        if not query.any():
            score = torch.zeros(1, len(choice))
        else:
            d = self.rows.shape[1]
            steps = (d + 8) * UNIT_ROUNDOFF["float32"]
            # Higham, Accuracy and Stability, 3.1: a sum of d products in any order; twice 2^-24
            # more for the rounding of the vector
            relative = steps / (1 - steps) + 2.0**-23
            choice = self._possible(choice, products[choice], vector, relative, k)
            choice = self._possible(choice, self._exact_products(choice, vector), vector, 0, k)
            score = self._scores(query, choice)[None]
        ranked = score
        if self.penalty is not None:
            ranked = (score.double() - self.penalty[choice]).float()
        best = best_columns(ranked, choice[None], k)[0]
        return choice[best].int(), score[0, best]

    def _possible(
        self, choice: Tensor, products: Tensor, vector: Tensor, relative: float, k: int
    ) -> Tensor:
        """Return the rows of choice (c,) that may be among the k best, by products (c,).

        A product of x and the vector is off by at most relative |x| |vector|.
        """
        norms, lengths = self._norms[choice], self._lengths[choice]
        zero = lengths == 0
        norms, lengths = norms.where(~zero, 1), lengths.where(~zero, 1)
        key = products.double() / norms - self._mean_product(vector)
        key = (key / lengths).where(~zero, 0)
        error = self._error(vector, relative, norms) / lengths + ROUNDING
        # beyond a quarter the first-order terms of the bound no longer hold: it says nothing
        unknown = ~(error < 0.25) | ~key.isfinite() | (norms > LARGEST_LENGTH)
        key, error = key.where(~unknown, 0), error.where(~unknown, 2).where(~zero, 0)
        if self.penalty is not None:
            key, size = key - self.penalty[choice], self.penalty[choice].abs()
            error = error + 2.0**-23 * (1 + size)  # of the difference, rounded to float32
        floor = (key - error).topk(k).values[-1]  # k rows reach it
        return choice[key + error >= floor]

    def _mean_product(self, vector: Tensor) -> float:
        return 0.0 if self.postprocess is None else float(self.postprocess.mean @ vector)

    def _error(self, vector: Tensor, relative: float, norms: Tensor) -> Tensor:
        """Return how far a key may be from the cosine, times the row's length, (c,) float64.

        For rows with the lengths norms (c,), by products as in _possible. The float64 arithmetic
        of the vector, of the key and of NeighborSearch's rows is off by at most 16 (d + m + 16)
        2^-53 relative to the lengths of what is multiplied, at most 2 for x / |x| - mean.
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

    def _scores(self, query: Tensor, choice: Tensor) -> Tensor:
        """Return the score of query (m,) with each row of choice (c,), float32."""
        scores = list[Tensor]()
        for piece in choice.split(PAIRS_PER_STEP):
            both = torch.cat([query[None], self._compared(piece.numpy())])
            others = torch.arange(1, len(both))[None]
            scores.append(exact_scores(both, row_norms(both), torch.tensor([0]), others)[0])
        return torch.cat(scores)
