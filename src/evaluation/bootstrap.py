"""Confidence intervals of means over queries. Imports no torch, so that comparing is quick.

Sources: Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13; Field and Welsh,
Bootstrapping clustered data, 2007; Wilson, Probable inference, the law of succession, and
statistical inference, 1927.

n = images, m = metrics resampled together, u = units that are drawn (queries or classes), b =
resamples of a batch.
"""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.evaluation.list_measures import Floats
from src.evaluation.metric import SHARE
from src.evaluation.metrics import find_metric
from src.evaluation.relevance import Ints
from src.evaluation.retrieval import Metrics, Queries
from src.runtime.progress import Watch, unwatched

RESAMPLES_PER_BATCH = 50
Terms = NDArray[Any]  # float32 or float64
Z = 1.959964  # standard deviations of a normal distribution: half of a 95% interval


def intervals(
    queries: Queries,
    classes: Mapping[str, Ints],
    resamples: int,
    seed: int,
    watch: Watch = unwatched,
) -> Metrics:
    """Return <metric>_low and <metric>_high: 95% percentile bootstrap intervals of the means.

    classes maps a metric's name to the class of each image, (n,), -1 for none. Such a metric is
    resampled by class: of the c classes that have a query with a value, each resample draws c with
    replacement, and takes the mean over all queries of the drawn ones. Images of a class may then
    depend on one another; the interval holds for other classes like these, and is too narrow if
    they are few. A metric without classes is resampled by query: each resample draws n of the n
    images, and the mean is over those that have a value; the images have to be independent.

    A share that is 0 for all queries, or 1, gets Wilson's interval for as many trials as there are
    units, since resampling cannot tell what was never seen. A metric of a single unit gets none.
    watch goes through the batches of resamples.

    >>> shares = {"artist/map_at_10": np.array([0.0, 0.0, 1.0, 0.5])}
    >>> intervals(shares, {"artist/map_at_10": np.array([7, 7, 5, 5])}, 100, seed=0)
    {'artist/map_at_10_low': 0.0, 'artist/map_at_10_high': 0.75}
    """
    result: dict[str, tuple[float, float]] = {}
    for names in _resampled_together(queries, classes):
        values = np.stack([queries[name] for name in names], axis=1).astype(np.float64)  # (n, m)
        terms, units = _terms(values, classes.get(names[0]))
        if units.max() < 2:
            continue
        batches = _resampled_means(terms, resamples, np.random.default_rng(seed))
        count = ceil(resamples / RESAMPLES_PER_BATCH)
        means = np.concatenate(list(watch(batches, "resampling", count)))
        ends = np.nanpercentile(means, [2.5, 97.5], axis=0).T
        for name, (low, high), trials in zip(names, ends, units, strict=True):
            if trials > 1:
                result[name] = _wilson(name, queries[name], trials) or (float(low), float(high))
    found = [(name, *result[name]) for name in queries if name in result]
    lows = {f"{name}_low": low for name, low, _ in found}
    return lows | {f"{name}_high": high for name, _, high in found}


def macro_intervals(
    queries: Queries, classes: Mapping[str, Ints], resamples: int, seed: int
) -> Metrics:
    """Return <metric>_macro_low and <metric>_macro_high: intervals of the means over classes.

    Arguments are as in `intervals`. Each of the c classes with a query counts once; a resample
    draws c of them with replacement.
    """
    result: Metrics = {}
    for names in _resampled_together(queries, classes):
        if names[0] in classes:
            values = np.stack([queries[name] for name in names], axis=1)
            sums, numbers = np.split(_terms(values, classes[names[0]])[0], 2, axis=1)
            means = dict(zip((f"{name}_macro" for name in names), (sums / numbers).T, strict=True))
            result |= intervals(means, {}, resamples, seed)
    return result


def _resampled_together(queries: Queries, classes: Mapping[str, Ints]) -> list[list[str]]:
    """Return the names of the metrics in groups: of the same classes and queries, or of none."""
    groups: dict[object, list[str]] = {}
    for name, values in queries.items():
        ids = classes.get(name)
        key = None if ids is None else (id(ids), np.isnan(values).tobytes())
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _terms(values: Floats, ids: Ints | None) -> tuple[Terms, Ints]:
    """Return what is summed over the drawn units, (u, 2m), and the units with a value, (m,).

    values (n, m) are NaN where missing; ids (n,) are the classes. The first m columns hold the sums
    of a unit's values, the others how many there are. Without ids, each image is a unit.
    """
    valid = ~np.isnan(values)
    terms = np.concatenate([np.where(valid, values, 0), valid], axis=1)
    if ids is None:
        # n rows: float32 takes half the time
        return terms.astype(np.float32), valid.sum(axis=0)
    rows = (ids >= 0) & valid.any(axis=1)
    unit = np.unique(ids[rows], return_inverse=True)[1].reshape(-1)
    sums = np.stack([np.bincount(unit, column) for column in terms[rows].T], axis=1)
    return sums, (sums[:, values.shape[1] :] > 0).sum(axis=0)


def _resampled_means(terms: Terms, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield the means (b, m) of batches of resamples, NaN for a metric without drawn values.

    terms (u, 2m) holds for each unit the sums of its values, and their numbers.
    """
    u = len(terms)
    for start in range(0, resamples, RESAMPLES_PER_BATCH):
        counts = [
            np.bincount(rng.integers(u, size=u), minlength=u)
            for _ in range(start, min(start + RESAMPLES_PER_BATCH, resamples))
        ]
        sums, numbers = np.split((np.stack(counts).astype(terms.dtype) @ terms).astype("f8"), 2, 1)
        yield np.divide(sums, numbers, out=np.full_like(sums, np.nan), where=numbers > 0)


def _wilson(name: str, values: Floats, trials: int) -> tuple[float, float] | None:
    """Return Wilson's interval if all values (n,) of a share are 0, or all are 1, else None.

    Without a success it is 0 to z^2 / (trials + z^2): 0.04 for 96 trials, where the rule of three
    gives 0.03.
    """
    metric = find_metric(name)
    if metric is None or metric.unit != SHARE:
        return None
    unseen = Z**2 / (trials + Z**2)
    if np.nanmax(values) == 0:
        return 0.0, unseen
    return (1 - unseen, 1.0) if np.nanmin(values) == 1 else None
