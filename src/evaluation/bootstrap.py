"""How sure a mean is: bootstrap intervals over queries. No torch, so that comparing is quick."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from src.evaluation.retrieval import Metrics, Queries

RESAMPLES = 50  # drawn at once


def intervals(queries: Queries, resamples: int, seed: int) -> Metrics:
    """<metric>_low and _high: 95% percentile bootstrap intervals of the means over queries.

    Each resample draws as many of the n images as there are, with replacement, the same for all
    metrics; a metric's mean is over those of them that it has a value for. Source: Efron and
    Tibshirani, An Introduction to the Bootstrap, chapter 13. Images of one artist or object are not
    independent, so the intervals are of this collection's size, not of another collection.
    """
    if not queries:
        return {}
    values = np.stack(list(queries.values()), axis=1).astype(np.float32)  # (n, m)
    there = ~np.isnan(values)
    sums = np.concatenate([np.where(there, values, 0), there.astype(np.float32)], axis=1)
    means = np.concatenate(list(_means(sums, resamples, np.random.default_rng(seed))))
    low, high = np.nanpercentile(means, [2.5, 97.5], axis=0)
    return {f"{name}_low": float(low[at]) for at, name in enumerate(queries)} | {
        f"{name}_high": float(high[at]) for at, name in enumerate(queries)
    }


def _means(
    sums: NDArray[np.float32], resamples: int, draw: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """The means (b, m) of some resamples, of values and of how many there are, (n, 2m)."""
    n = len(sums)
    for start in range(0, resamples, RESAMPLES):
        count = [
            np.bincount(draw.integers(n, size=n), minlength=n)
            for _ in range(start, min(start + RESAMPLES, resamples))
        ]
        total, number = np.split(
            (np.stack(count).astype(np.float32) @ sums).astype("f8"), 2, axis=1
        )
        yield np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
