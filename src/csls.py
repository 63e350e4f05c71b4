"""Cross-domain similarity local scaling: hubs, which are near to everything, come later.

n = images, k = neighbors of each.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from src.files import replacing
from src.gallery import most
from src.resume import hash_of
from src.similarity import Neighbors
from src.spread import ALONE, World

log = logging.getLogger(__name__)

NEAREST = 10  # of each image, whose scores are taken into account


def csls_penalty(score: ArrayLike) -> Tensor:
    """(n,) float64, what csls takes from a neighbor's score, of the scores (n, k) of its nearest.

    Cross-domain similarity local scaling ranks by 2 cos(x, y) - r(x) - r(y), r the mean cosine of
    an image with its k nearest, so that hubs, which are near to everything, come later. A query's
    neighbors are ordered alike by cos(x, y) - r(y) / 2. Source: Conneau, Lample, Ranzato, Denoyer
    and Jegou, Word translation without parallel data, 2018; there k = 10.
    """
    return torch.from_numpy(np.asarray(score, np.float64).mean(axis=1) / 2)


def local_scaling(
    features: Tensor,
    groups: NDArray[np.int64],
    search: Callable[[int], Neighbors],
    folder: Path,
    world: World = ALONE,
) -> Tensor:
    """(n,) what csls takes from each image's scores; kept in folder for other runs of these rows.

    The neighbors that it is made of cost as much again as those that are ranked by it.
    """
    path = folder / f"csls-{hash_of(features)}-{hash_of(torch.from_numpy(groups))}.npy"
    kept = world.from_first(lambda: np.load(path) if path.exists() else None)
    if kept is not None:
        return torch.from_numpy(kept)
    log.info("similarity: the scores of each image's %d nearest first, for csls", NEAREST)
    penalty = csls_penalty(search(min(NEAREST, most(groups))).score)
    if world.first:
        with replacing(path) as part, part.open("wb") as file:
            np.save(file, penalty.numpy())
    return penalty
