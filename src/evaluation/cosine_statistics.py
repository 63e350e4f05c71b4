"""How close the neighbors are. Pure functions of features and neighbors.

n = images, d = width of a row, k = neighbors of each.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from src.evaluation.retrieval import Metrics, label_pairs
from src.similarity import Neighbors
from src.similarity.numerics import CHUNK, as_tensor, doubles, exact_scores, row_norms, side_by_side

TOGETHER = 16 * CHUNK  # rows that are multiplied at once
STRIPE = 512  # columns
PAIRS = 512  # scored at once, near the cache
EXACTLY = 10_000  # rows; fewer are multiplied in float64, which then takes no time


def intra_inter(features: ArrayLike | Tensor, neighbors: Neighbors) -> Metrics:
    """How much closer the neighbors are than images in general.

    intra is the mean score of the k neighbors (intra_at_1, intra_at_5: of the first ones), inter
    the exact mean over all pairs i != j and inter_std its standard deviation; gap = intra - inter,
    separation = gap / inter_std. They describe one embedding and do not rank embeddings.
    """
    rows, scores = as_tensor(features), neighbors.score.astype(np.float64)
    metrics = {"intra": float(scores.mean())}
    for depth in (1, 5):
        if depth <= scores.shape[1]:
            metrics[f"intra_at_{depth}"] = float(scores[:, :depth].mean())
    inter, std = all_pairs(rows)
    gap = metrics["intra"] - inter
    separation = gap / std if std > 0 else float("nan")
    return metrics | {"inter": inter, "inter_std": std, "gap": gap, "separation": separation}


def all_pairs(features: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of the cosines of all pairs i != j, without computing any.

    Unit rows x_i = m + c_i, with m their mean, have x_i.x_j = |m|^2 + a_i + a_j + c_i.c_j, where
    a_i = m.c_i; so the squares of all x_i.x_j - |m|^2, i = j too, sum up to
    2n sum a_i^2 + |C^T C|_F^2, because the c_i sum up to zero. From EXACTLY rows on C^T C is of
    float32 products, which leaves the deviation right to 1e-6 of itself.
    """
    n, d = features.shape
    norms = row_norms(features)
    scale, nonzero = torch.where(norms == 0, 1, norms)[:, None], int((norms > 0).sum())

    def sum_units(part: slice) -> Tensor:
        units = (block.div_(scale[part][at]) for at, block in doubles(features[part]))
        return torch.stack([block.sum(0) for block in units]).sum(0)

    total = torch.stack(side_by_side(sum_units, n, 16 * CHUNK)).sum(0)
    mean = total / n
    centered = torch.empty(
        min(n, TOGETHER), d, dtype=torch.float32 if n >= EXACTLY else total.dtype
    )
    gram, along = torch.zeros(d, d, dtype=torch.float64), 0.0
    for first in range(0, n, TOGETHER):

        def center(part: slice, first: int = first) -> float:
            """Fill these rows of centered; the sum of their a_i^2."""
            squares = 0.0
            rows = slice(first + part.start, first + part.stop)
            for at, block in doubles(features[rows]):
                centered[part][at] = block.div_(scale[rows][at]).sub_(mean)
                squares += float((block @ mean).square().sum())
            return squares

        count = min(TOGETHER, n - first)
        along += sum(side_by_side(center, count, 4 * CHUNK))
        part = centered[:count]
        for start in range(0, d, STRIPE):  # what is left of the diagonal is there already
            stripe = slice(start, start + STRIPE)
            gram[stripe, start:] += part[:, stripe].T @ part[:, start:]
    upper = gram.triu(1).square().sum() * 2 + gram.diagonal().square().sum()
    squared = float(mean @ mean)
    own = nonzero * (1 - squared) ** 2 + (n - nonzero) * squared**2  # i = j
    pairs = n * (n - 1)
    inter = (float(total @ total) - nonzero) / pairs
    square = (2 * n * along + float(upper) - own) / pairs
    return inter, max(0.0, square - (inter - squared) ** 2) ** 0.5


def auc(higher: ArrayLike, lower: ArrayLike) -> NDArray[np.float64]:
    """For each score of higher, the chance that it exceeds a random one of lower; a tie is half.

    The mean of it is the area under the ROC curve (Hanley and McNeil, 1982).
    """
    ranked = np.sort(np.asarray(lower))
    below = np.searchsorted(ranked, higher) + np.searchsorted(ranked, higher, side="right")
    return np.asarray(below / (2 * len(ranked)))


def inter_stored_only(neighbors: Neighbors, seed: int, queries: int = 5) -> float:
    """The first version's figure for "inter" when only neighbors are stored; it is no such thing.

    The mean stored score of pairs (i, j), j drawn from i's own neighbors, for 5 random i: another
    estimate of intra. Kept for comparison with what was published.
    """
    n, k = neighbors.score.shape
    draw = np.random.default_rng(seed)
    rows = draw.choice(n, min(queries, n), replace=False)
    drawn = draw.integers(k, size=(len(rows), 100))
    return float(neighbors.score[rows[:, None], drawn].mean(dtype=np.float64))


def random_pairs(features: ArrayLike | Tensor, count: int, seed: int) -> NDArray[np.float32]:
    """(count,) scores of seeded random pairs i != j, with replacement."""
    rows = as_tensor(features)
    draw = np.random.default_rng(seed)
    first = draw.integers(len(rows), size=count)
    second = (first + draw.integers(1, len(rows), size=count)) % len(rows)
    norms = row_norms(rows)
    i, j = torch.from_numpy(first), torch.from_numpy(second)[:, None]
    parts = side_by_side(lambda at: exact_scores(rows, norms, i[at], j[at]), count, 16 * PAIRS)
    return torch.cat(parts)[:, 0].numpy()


def label_auc(
    features: ArrayLike | Tensor, labels: NDArray[np.int64], count: int, seed: int
) -> float:
    """The chance that a random pair of one label (n,) scores above a random pair of two.

    A tie is half; of seeded samples of so many pairs each. -1 is no label; NaN where there are no
    such pairs. Unlike auc against all pairs it knows what belongs together.
    """
    pairs = label_pairs(labels, count, seed)
    if pairs is None:
        return float("nan")
    rows = as_tensor(features)
    norms = row_norms(rows).clamp(min=torch.finfo(torch.float64).tiny)
    same, different = (_scores(rows, norms, torch.from_numpy(kind)).numpy() for kind in pairs)
    return float(auc(same, different).mean())


def _scores(rows: Tensor, norms: Tensor, pairs: Tensor) -> Tensor:
    """Return the cosines (p,) of pairs (p, 2), to 1e-6, several times as fast as to the bit."""
    first, second = pairs.T
    dots = torch.empty(len(pairs), dtype=rows.dtype)

    def fill(part: slice) -> None:
        # the same memory for all: new memory would take longer than the arithmetic
        left, right = torch.empty(2, PAIRS, rows.shape[1], dtype=rows.dtype)
        for i, j, out in zip(*(x[part].split(PAIRS) for x in (first, second, dots)), strict=True):
            torch.index_select(rows, 0, i, out=left[: len(i)])
            torch.index_select(rows, 0, j, out=right[: len(j)])
            torch.linalg.vecdot(left[: len(i)], right[: len(j)], out=out)

    side_by_side(fill, len(pairs), 16 * PAIRS)
    return dots.double() / (norms[first] * norms[second])
