"""Confidence intervals of means over queries. Imports no torch, so that comparing is quick."""

from collections.abc import Iterator
from math import ceil

import numpy as np
from numpy.typing import NDArray

from src.evaluation.retrieval import Metrics, Queries
from src.runtime.progress import Watch, unwatched

RESAMPLES_PER_BATCH = 50


def intervals(queries: Queries, resamples: int, seed: int, watch: Watch = unwatched) -> Metrics:
    """Return <metric>_low and <metric>_high: 95% percentile bootstrap intervals of the means.

    Each resample draws n of the n images with replacement, the same for all metrics; a metric's
    mean is over the drawn images that have a value. Images of one artist or object are not
    independent, so the intervals hold for this collection, not for another one. watch goes through
    the batches of resamples.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13.
    """
    if not queries:
        return {}
    values = np.stack(list(queries.values()), axis=1).astype(np.float32)  # (n, m)
    valid = ~np.isnan(values)
    terms = np.concatenate([np.where(valid, values, 0), valid.astype(np.float32)], axis=1)
    batches = _resampled_means(terms, resamples, np.random.default_rng(seed))
    count = ceil(resamples / RESAMPLES_PER_BATCH)
    means = np.concatenate(list(watch(batches, "resampling", count)))
    low, high = np.nanpercentile(means, [2.5, 97.5], axis=0)
    return {f"{name}_low": float(low[i]) for i, name in enumerate(queries)} | {
        f"{name}_high": float(high[i]) for i, name in enumerate(queries)
    }


def _resampled_means(
    terms: NDArray[np.float32], resamples: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Yield the means (b, m) of batches of resamples, NaN for a metric without drawn values.

    terms (n, 2m) holds the m values of each image, 0 where missing, then 1 where not missing.
    """
    n = len(terms)
    for start in range(0, resamples, RESAMPLES_PER_BATCH):
        counts = [
            np.bincount(rng.integers(n, size=n), minlength=n)
            for _ in range(start, min(start + RESAMPLES_PER_BATCH, resamples))
        ]
        sums, numbers = np.split(
            (np.stack(counts).astype(np.float32) @ terms).astype("f8"), 2, axis=1
        )
        yield np.divide(sums, numbers, out=np.full_like(sums, np.nan), where=numbers > 0)
