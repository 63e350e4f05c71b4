"""Statistics of cosines: of neighbors, of all pairs, of pairs that share a label.

n = images, d = width of a row, k = neighbors of each. Pure functions of features and neighbors.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from src.evaluation.label_pairs import label_pairs
from src.evaluation.retrieval import Metrics
from src.runtime.progress import Watch, unwatched
from src.similarity import Neighbors
from src.similarity.inputs import as_tensor
from src.similarity.numerics import CHUNK, doubles, exact_scores, row_norms
from src.similarity.parallel import parallel_map

INTRA_DEPTHS = (1, 5)  # of intra_at_<depth>
PRODUCT_ROWS = 16 * CHUNK  # rows multiplied at once
STRIPE = 512  # columns multiplied at once
PAIRS_PER_STEP = 512  # pairs scored at once, near the cache
FLOAT32_ROWS = 10_000  # with fewer rows, products in float64 take no time


def intra_inter(
    features: ArrayLike | Tensor, neighbors: Neighbors, watch: Watch = unwatched
) -> Metrics:
    """Return how much closer the neighbors are than images in general.

    features (n, d), neighbors (n, k). intra is the mean score of the k neighbors, intra_at_1 and
    intra_at_5 of the first ones. inter is the exact mean cosine over all pairs i != j, inter_std
    its standard deviation. gap = intra - inter, separation = gap / inter_std, NaN if all pairs are
    equal. They describe one embedding and do not rank embeddings. watch goes through the blocks of
    rows.

    >>> from src.similarity import top_k
    >>> features = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    >>> metrics = intra_inter(features, top_k(features, 1))
    >>> metrics["intra"], round(metrics["inter"], 4), round(metrics["separation"], 4)
    (1.0, 0.3333, 1.4142)
    """
    rows, scores = as_tensor(features), neighbors.score.astype(np.float64)
    metrics = {"intra": float(scores.mean())}
    for depth in INTRA_DEPTHS:
        if depth <= scores.shape[1]:
            metrics[f"intra_at_{depth}"] = float(scores[:, :depth].mean())
    inter, std = cosine_moments(rows, watch)
    gap = metrics["intra"] - inter
    separation = gap / std if std > 0 else float("nan")
    return metrics | {"inter": inter, "inter_std": std, "gap": gap, "separation": separation}


def cosine_moments(features: Tensor, watch: Watch = unwatched) -> tuple[float, float]:
    """Return mean and standard deviation of the cosine over all pairs i != j, in O(n d^2).

    Unit rows x_i = m + c_i with mean m have x_i.x_j = |m|^2 + a_i + a_j + c_i.c_j, where
    a_i = m.c_i. The c_i sum to zero, so the squares of x_i.x_j - |m|^2 over all i and j, i = j
    included, sum to 2n sum a_i^2 + |C^T C|_F^2. From FLOAT32_ROWS rows on, C^T C is computed in
    float32, which leaves the deviation accurate to 1e-6 (relative).
    """
    n = len(features)
    norms = row_norms(features)
    scale, nonzero = torch.where(norms == 0, 1, norms)[:, None], int((norms > 0).sum())
    total = _sum_of_unit_rows(features, scale)
    mean = total / n
    projections, gram = _centered_moments(features, scale, mean, watch)
    squared = float(mean @ mean)
    diagonal = nonzero * (1 - squared) ** 2 + (n - nonzero) * squared**2  # terms with i = j
    pairs = n * (n - 1)
    inter = (float(total @ total) - nonzero) / pairs
    square = (2 * n * projections + gram - diagonal) / pairs
    return inter, max(0.0, square - (inter - squared) ** 2) ** 0.5


def _sum_of_unit_rows(features: Tensor, scale: Tensor) -> Tensor:
    """Return (d,) the sum of features (n, d) / scale (n, 1) in float64."""

    def sum_part(part: slice) -> Tensor:
        """Return the sum of these unit rows, (d,)."""
        units = (block.div_(scale[part][at]) for at, block in doubles(features[part]))
        return torch.stack([block.sum(0) for block in units]).sum(0)

    return torch.stack(parallel_map(sum_part, len(features), 16 * CHUNK)).sum(0)


def _centered_moments(
    features: Tensor, scale: Tensor, mean: Tensor, watch: Watch
) -> tuple[float, float]:
    """Return sum a_i^2 and |C^T C|_F^2 for the rows c_i = features_i / scale_i - mean."""
    n, d = features.shape
    dtype = torch.float32 if n >= FLOAT32_ROWS else mean.dtype
    memory = torch.empty(min(n, PRODUCT_ROWS), d, dtype=dtype)
    gram, projections = torch.zeros(d, d, dtype=torch.float64), 0.0
    starts = range(0, n, PRODUCT_ROWS)
    for start in watch(starts, "all pairs", len(starts)):
        rows = slice(start, start + PRODUCT_ROWS)
        centered = memory[: len(features[rows])]
        projections += _center(features[rows], scale[rows], mean, centered)
        for first in range(0, d, STRIPE):  # the upper triangle; C^T C is symmetric
            stripe = slice(first, first + STRIPE)
            gram[stripe, first:] += centered[:, stripe].T @ centered[:, first:]
    squares = gram.triu(1).square().sum() * 2 + gram.diagonal().square().sum()
    return projections, float(squares)


def _center(features: Tensor, scale: Tensor, mean: Tensor, out: Tensor) -> float:
    """Write features / scale - mean to out (b, d); return the sum of the rows' a_i^2."""

    def center_part(part: slice) -> float:
        """Fill these rows of out; return the sum of their a_i^2."""
        squares = 0.0
        for at, block in doubles(features[part]):
            out[part][at] = block.div_(scale[part][at]).sub_(mean)
            squares += float((block @ mean).square().sum())
        return squares

    return sum(parallel_map(center_part, len(features), 4 * CHUNK))


def auc(higher: ArrayLike, lower: ArrayLike) -> NDArray[np.float64]:
    """Return for each score of higher the share of lower that it exceeds; a tie counts half.

    The result has the shape of higher. Its mean is the area under the ROC curve (Hanley and
    McNeil, 1982).
    """
    ranked = np.sort(np.asarray(lower))
    below = np.searchsorted(ranked, higher) + np.searchsorted(ranked, higher, side="right")
    return np.asarray(below / (2 * len(ranked)))


def inter_stored_only(neighbors: Neighbors, seed: int, queries: int = 5) -> float:
    """Return the first version's figure for inter, kept only for comparison with that version.

    It is the mean stored score of pairs (i, j) with j drawn from the neighbors of i, for 5 random
    i: an estimate of intra, not of inter.
    """
    n, k = neighbors.score.shape
    rng = np.random.default_rng(seed)
    rows = rng.choice(n, min(queries, n), replace=False)
    drawn = rng.integers(k, size=(len(rows), 100))
    return float(neighbors.score[rows[:, None], drawn].mean(dtype=np.float64))


def random_pairs(features: ArrayLike | Tensor, count: int, seed: int) -> NDArray[np.float32]:
    """Return (count,) cosines of seeded random pairs i != j of rows (n, d), with replacement."""
    rows = as_tensor(features)
    rng = np.random.default_rng(seed)
    first = rng.integers(len(rows), size=count)
    second = (first + rng.integers(1, len(rows), size=count)) % len(rows)
    norms = row_norms(rows)
    i, j = torch.from_numpy(first), torch.from_numpy(second)[:, None]

    def score(part: slice) -> Tensor:
        """Return the cosines of these pairs, (p, 1)."""
        return exact_scores(rows, norms, i[part], j[part])

    return torch.cat(parallel_map(score, count, 16 * PAIRS_PER_STEP))[:, 0].numpy()


def label_auc(
    features: ArrayLike | Tensor, labels: NDArray[np.int64], count: int, seed: int
) -> float:
    """Return the probability that a random pair of one label scores above a pair of two labels.

    features (n, d); labels (n,), -1 where unknown. It is estimated from count seeded pairs of each
    kind; a tie counts half. NaN if there are no pairs of one kind. Unlike auc, it depends on which
    images belong together.
    """
    pairs = label_pairs(labels, count, seed)
    if pairs is None:
        return float("nan")
    rows = as_tensor(features)
    norms = row_norms(rows).clamp(min=torch.finfo(torch.float64).tiny)
    same, different = (_fast_cosines(rows, norms, torch.from_numpy(kind)).numpy() for kind in pairs)
    return float(auc(same, different).mean())


def _fast_cosines(rows: Tensor, norms: Tensor, pairs: Tensor) -> Tensor:
    """Return the cosines (p,) of pairs (p, 2), accurate to 1e-6, faster than exact_scores."""
    first, second = pairs.T
    dots = torch.empty(len(pairs), dtype=rows.dtype)

    def fill(part: slice) -> None:
        """Fill the dot products of these pairs."""
        # memory is reused: allocating it would take longer than the arithmetic
        left, right = torch.empty(2, PAIRS_PER_STEP, rows.shape[1], dtype=rows.dtype)
        steps = (x[part].split(PAIRS_PER_STEP) for x in (first, second, dots))
        for i, j, out in zip(*steps, strict=True):
            torch.index_select(rows, 0, i, out=left[: len(i)])
            torch.index_select(rows, 0, j, out=right[: len(j)])
            torch.linalg.vecdot(left[: len(i)], right[: len(j)], out=out)

    parallel_map(fill, len(pairs), 16 * PAIRS_PER_STEP)
    return dots.double() / (norms[first] * norms[second])
