"""Seeded random pairs of images with one label, and with two. Imports no torch."""

import numpy as np

from src.evaluation.list_measures import Floats
from src.evaluation.relevance import Ints


def label_pairs(labels: Ints, count: int, seed: int) -> tuple[Ints, Ints] | None:
    """Return seeded random pairs (count, 2) of images with one label, and of images with two.

    labels (n,), -1 if unknown. Every pair of a kind is equally likely, with replacement. None if
    there are no pairs of one kind.
    """
    rows = np.flatnonzero(labels >= 0)
    rows = rows[np.argsort(labels[rows], kind="stable")]
    _, start, size = np.unique(labels[rows], return_index=True, return_counts=True)
    if len(size) < 2 or size.max() < 2:
        return None
    rng = np.random.default_rng(seed)
    classes = rng.choice(len(size), count, p=_probabilities(size * (size - 1)))
    first = rng.integers(size[classes])
    second = (first + rng.integers(1, size[classes])) % size[classes]
    same = np.stack([start[classes] + first, start[classes] + second], axis=1)
    classes = rng.choice(len(size), count, p=_probabilities(size * (len(rows) - size)))
    second = rng.integers(len(rows) - size[classes])
    second += np.where(second >= start[classes], size[classes], 0)  # skip the first image's class
    different = np.stack([start[classes] + rng.integers(size[classes]), second], axis=1)
    return rows[same], rows[different]


def _probabilities(weights: Ints) -> Floats:
    return np.asarray(weights / weights.sum())
