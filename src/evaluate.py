"""How close the neighbors are. Pure functions of features and neighbors.

n = images, d = width of a row, k = neighbors of each.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from src.postprocess import unit
from src.retrieval import Metrics, label_pairs
from src.settle import exact_scores
from src.similarity import Neighbors, as_tensor
from src.tiles import CHUNK, row_norms

TOGETHER = 8  # chunks that are multiplied at once
STRIPE = 512  # columns
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
    chunks = features.split(CHUNK)
    total = sum((unit(chunk).sum(0) for chunk in chunks), torch.zeros(d, dtype=torch.float64))
    mean = total / n
    kind = torch.float32 if n >= EXACTLY else torch.float64
    gram, along, nonzero = torch.zeros(d, d, dtype=torch.float64), 0.0, 0
    for at in range(0, len(chunks), TOGETHER):
        parts = []
        for chunk in chunks[at : at + TOGETHER]:
            rows = unit(chunk) - mean
            along += float((rows @ mean).square().sum())
            nonzero += int(chunk.any(dim=1).sum())
            parts.append(rows.to(kind))
        part = torch.cat(parts)
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
    parts = [
        exact_scores(rows, norms, i, j[:, None])
        for i, j in zip(
            torch.tensor(first).split(512), torch.tensor(second).split(512), strict=True
        )
    ]
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
    same, different = (
        torch.cat([_scores(rows, norms, part) for part in torch.tensor(kind).split(512)]).numpy()
        for kind in pairs
    )
    return float(auc(same, different).mean())


def _scores(rows: Tensor, norms: Tensor, pairs: Tensor) -> Tensor:
    """Cosines of pairs (b, 2) to 1e-6, several times as fast as to the bit."""
    first, second = pairs.T
    dots: Tensor = torch.linalg.vecdot(rows[first], rows[second])
    return dots.double() / (norms[first] * norms[second])
