"""Cross-domain similarity local scaling: hubs, which are near to everything, come later."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

NEAREST = 10  # of each image, whose scores are taken into account


def csls_penalty(score: ArrayLike) -> Tensor:
    """(n,) float64, what csls takes from a neighbor's score, of the scores (n, k) of its nearest.

    Cross-domain similarity local scaling ranks by 2 cos(x, y) - r(x) - r(y), r the mean cosine of
    an image with its k nearest, so that hubs, which are near to everything, come later. A query's
    neighbors are ordered alike by cos(x, y) - r(y) / 2. Source: Conneau, Lample, Ranzato, Denoyer
    and Jegou, Word translation without parallel data, 2018; there k = 10.
    """
    return torch.from_numpy(np.asarray(score, np.float64).mean(axis=1) / 2)
