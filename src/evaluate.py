"""How good the neighbors are. Pure functions of features, neighbors and labels, in float64.

n = images, d = width of a row, k = neighbors of each.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from src.postprocess import unit
from src.settle import exact_scores
from src.similarity import Neighbors, as_tensor
from src.tiles import CHUNK, row_norms

DEPTHS = (1, 5, 10)
Metrics = dict[str, float]
Queries = dict[str, NDArray[np.float64]]  # a metric of each query; NaN where it is left out


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

    With unit rows x and z rows that are not zero, the sum over i != j of x_i.x_j is |sum x|^2 - z,
    and the sum of squares is |X^T X|_F^2 - z.
    """
    n, d = features.shape
    total = torch.zeros(d, dtype=torch.float64)
    gram, nonzero = torch.zeros(d, d, dtype=torch.float64), 0
    for block in features.split(CHUNK):
        rows = unit(block)
        total += rows.sum(0)
        gram += rows.T @ rows
        nonzero += int(block.any(dim=1).sum())
    pairs = n * (n - 1)
    mean = (float(total @ total) - nonzero) / pairs
    square = (float(gram.square().sum()) - nonzero) / pairs
    return mean, max(0.0, square - mean * mean) ** 0.5


def retrieval(
    column: str, labels: NDArray[np.int64], index: NDArray[np.int32], groups: NDArray[np.int64]
) -> tuple[Metrics, Queries]:
    """Precision at 1, 5 and 10 of a label (n,), -1 where unknown, with its chance level.

    The share of a query's first k neighbors that have its label; an unlabeled neighbor counts as
    wrong. Queries without a label, or with one that no image outside their own group (n,) has, are
    left out. Chance is what a random order of the other groups' images would give. Depths beyond
    the list (n, k) are left out.
    """
    others, right = _counts(labels, groups)
    asked = (labels >= 0) & (right > 0)
    metrics: Metrics = {f"{column}/queries": int(asked.sum())}
    queries: Queries = {}
    if not asked.any():
        return metrics, queries
    hits = (labels[index] == labels[:, None]) & (labels[:, None] >= 0)  # (n, k)
    chance = float((right[asked] / others[asked]).mean())
    for depth in (depth for depth in DEPTHS if depth <= index.shape[1]):
        name = f"{column}/precision_at_{depth}"
        queries[name] = np.where(asked, hits[:, :depth].mean(axis=1), np.nan)
        metrics[name] = float(queries[name][asked].mean())
        metrics[f"{name}_chance"] = chance
    return metrics, queries


def _counts(
    labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many images are outside each one's group, and how many of those share its label."""
    others = len(labels) - _frequency(groups)
    pairs = np.unique(np.stack([labels, groups]), axis=1, return_inverse=True)[1]
    return others, _frequency(labels) - _frequency(pairs)


def _frequency(values: NDArray[np.int64]) -> NDArray[np.int64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(counts[place.reshape(-1)])


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
