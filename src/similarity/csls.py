"""CSLS (cross-domain similarity local scaling): a penalty that demotes hubs."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

NEAREST = 10  # neighbors of an image whose mean score is its penalty


def csls_penalty(score: ArrayLike) -> Tensor:
    """Return half the mean score of each image with its nearest, (n,) float64, from score (n, k).

    Cross-domain similarity local scaling ranks by 2 cos(x, y) - r(x) - r(y), r the mean cosine of
    an image with its k nearest, so that hubs, which are near everything, rank lower. The order
    of a query's neighbors by cos(x, y) - r(y) / 2 is the same. Source: Conneau, Lample, Ranzato,
    Denoyer and Jegou, Word translation without parallel data, 2018; there k = 10.

    Example:
        >>> csls_penalty([[0.75, 0.25], [1.0, 0.5]])
        tensor([0.2500, 0.3750], dtype=torch.float64)
    """
    return torch.from_numpy(np.asarray(score, np.float64).mean(axis=1) / 2)
