"""Exact nearest rows of any query, in one pass over rows that stay in their file.

As in a search among the rows themselves, a fast product in float32 only proposes candidates, a
bound on its error proves that none is missing, and the candidates are scored again as
NeighborSearch scores them. No row is post-processed or augmented for that but the candidates.

n = rows, d = their width, m = width after post-processing, q = queries, c = candidates.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.runtime.progress import Watch, unwatched
from src.similarity.augment import augment
from src.similarity.inputs import as_tensor, finite_penalty
from src.similarity.numerics import PAIRS_PER_STEP, exact_scores, ranking_scores, row_norms
from src.similarity.postprocess import FittedPostprocess
from src.similarity.refinement import best_columns
from src.similarity.stored_rows import Augmentation, AugmentedRows, StoredRows

# A cosine from which on a row is the query itself, embedded again: a row moved by less than 1e-3 of
# its length. Rounding in a network moves it by less, but whitening enlarges that on small axes.
SAME = 1 - 2.0**-20


class QuerySearch:
    """Searches rows that stay where they are, as a memory map, for the nearest of any query.

    Lengths of the rows, before and after post-processing, are computed once, here: with whitening
    that takes as long as whitening all rows.

    Args:
        rows: (n, d) float32, before post-processing.
        postprocess: what rows and queries are compared after.
        penalty: (n,) floats, subtracted from a row's score for the order alone: csls_penalty.
        augmentation: what was added to the rows after post-processing. As many nearest rows, before
            augmentation, are added to a query.

    Raises ValueError unless rows are (n, d) finite float32, the penalty is (n,) finite numbers, and
    augmentation is of n rows.

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
        augmentation: Augmentation | None = None,
    ):
        if rows.ndim != 2 or rows.dtype != np.float32 or not rows.size:
            raise ValueError(f"rows must be (n, d) float32, got {rows.shape} {rows.dtype}")
        if augmentation is not None and len(augmentation.length) != len(rows):
            raise ValueError(f"augmentation must be of {len(rows)} rows")
        self.rows, self.postprocess, self.augmentation = rows, postprocess, augmentation
        self.penalty = finite_penalty(penalty, len(rows))  # (n,)
        self._stored = StoredRows(rows, postprocess)
        self._searched: StoredRows | AugmentedRows = self._stored
        if augmentation is not None:
            self._searched = AugmentedRows(self._stored, augmentation)

    def __len__(self) -> int:
        return len(self.rows)

    def all_compared(self, watch: Watch = unwatched) -> Tensor:
        """Return all rows (n, m) as NeighborSearch compares them, in memory."""
        return self._searched.all_compared(watch)

    def nearest(
        self, queries: Tensor, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return index and score, (q, k) each, of the rows nearest to queries (q, d), best first.

        queries are features before post-processing, of any scale. With augmentation, their nearest
        rows are added to them; a query that is a row, up to rounding, is given that row's own
        neighbors, so that it finds itself with a cosine of 1. A score is the cosine; the order
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
        if self.augmentation is not None:
            compared = self._augmented(compared, self.augmentation)
        return _search(self._searched, compared, k, allowed, self.penalty)

    def nearest_to_rows(
        self, numbers: Sequence[int], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return what nearest does for the rows with these numbers (q,) as queries.

        Index and score are equal to the bit to those of NeighborSearch on as many threads. A row
        is its own nearest unless allowed leaves it out.
        """
        compared = self._searched.compared(np.asarray(numbers))
        return _search(self._searched, compared, k, allowed, self.penalty)

    def _augmented(self, queries: Tensor, lists: Augmentation) -> Tensor:
        """Return queries (q, m) with their nearest rows added, as the rows have been, (q, m)."""
        index, score = _search(self._stored, queries, lists.index.shape[1])
        same = score[:, 0] >= SAME
        nearest = index[same, 0]
        index[same], score[same] = lists.index[nearest], lists.score[nearest]
        needed, places = np.unique(index, return_inverse=True)
        rows = torch.cat([queries, self._stored.compared(needed.astype(np.int64))])
        places = places.reshape(index.shape) + len(queries)
        return augment(rows, places, score, torch.arange(len(queries))).rows


def _search(
    rows: StoredRows | AugmentedRows,
    queries: Tensor,
    k: int,
    allowed: NDArray[np.bool_] | None = None,
    penalty: Tensor | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return index and score (q, k) of queries (q, m) as they are compared."""
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    n, q = rows.count, len(queries)
    masks = np.ones(n, bool) if allowed is None else np.asarray(allowed)
    if masks.dtype != bool or masks.shape not in ((n,), (q, n)):
        raise ValueError(f"allowed must be ({n},) or ({q}, {n}) bools, got {masks.shape}")
    k = min(k, int(masks.sum(-1).min(initial=n)))
    index, score = torch.empty(q, k, dtype=torch.int32), torch.empty(q, k)
    if k:
        masks = np.broadcast_to(masks, (q, n))
        for i, (vector, products) in enumerate(rows.products(queries)):
            choice = torch.from_numpy(masks[i].nonzero()[0])
            if queries[i].any():
                choice = _possible(choice, *rows.keys(choice, vector, products), penalty, k)
                choice = _possible(choice, *rows.keys(choice, vector, None), penalty, k)
                scores = _scores(rows, queries[i], choice)
            else:
                scores = torch.zeros(len(choice))
            ranked = ranking_scores(scores, None if penalty is None else penalty[choice])
            best = best_columns(ranked[None], choice[None], k)[0]
            index[i], score[i] = choice[best].int(), scores[best]
    return index.numpy(), score.numpy()


def _possible(choice: Tensor, key: Tensor, error: Tensor, penalty: Tensor | None, k: int) -> Tensor:
    """Return the rows of choice (c,) that may be among the k best, by keys (c,) within errors."""
    if penalty is not None:
        key, size = key - penalty[choice], penalty[choice].abs()
        error = error + 2.0**-23 * (1 + size)  # of the difference, rounded to float32
    floor = (key - error).topk(k).values[-1]  # k rows reach it
    return choice[key + error >= floor]


def _scores(rows: StoredRows | AugmentedRows, query: Tensor, choice: Tensor) -> Tensor:
    """Return the score of query (m,) with each row of choice (c,), float32."""
    scores = list[Tensor]()
    for piece in choice.split(PAIRS_PER_STEP):
        both = torch.cat([query[None], rows.compared(piece.numpy())])
        others = torch.arange(1, len(both))[None]
        scores.append(exact_scores(both, row_norms(both), torch.tensor([0]), others)[0])
    return torch.cat(scores)
