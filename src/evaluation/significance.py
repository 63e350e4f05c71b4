"""Tests of paired differences: sign flips of whole classes, and Holm's correction.

c = classes (or queries, where each stands alone), m = comparisons. Imports no torch.
"""

import numpy as np
from numpy.typing import NDArray

DRAWS = 9999  # so that the smallest p-value, 1 in 10,000, survives Holm's correction for 499 others
NUMBERS_PER_BATCH = 2**24  # signs drawn at once
TIE = 1e-12  # of the sum of all sizes: sums that differ by less are equal but for rounding


def sign_flip_p_values(
    sums: NDArray[np.float64], draws: int = DRAWS, seed: int = 0
) -> NDArray[np.float64]:
    """Return the two-sided p-value of each comparison, (m,): that its sums add up to 0 by chance.

    sums (c, m) are the summed differences of the queries of each class. If two runs are equally
    good, the difference of a class is as likely as its negative. So the p-value is (b + 1) / (draws
    + 1), with b the number of draws of random signs whose sum is at least as far from 0; all
    comparisons share the signs, and no p-value is 0.
    Sources: Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, chapter 3; Phipson and
    Smyth, Permutation p-values should never be zero, 2010.
    """
    count, random = len(sums), np.random.default_rng(seed)
    total, tolerance = sums.sum(axis=0), TIE * np.abs(sums).sum(axis=0)
    batch = max(1, NUMBERS_PER_BATCH // max(1, count))
    reached = np.zeros(sums.shape[1], dtype=np.int64)
    for start in range(0, draws, batch):
        shape = min(batch, draws - start), (count + 7) // 8
        octets = random.integers(0, 256, shape, dtype=np.uint8)
        flipped = np.unpackbits(octets, axis=1, count=count).astype(np.float64)  # (b, c)
        redrawn = np.abs(total - 2 * (flipped @ sums))
        reached += (redrawn >= np.abs(total) - tolerance).sum(axis=0)
    return np.asarray((reached + 1) / (draws + 1))


def smallest_p_value(classes: int) -> float:
    """Return the smallest p-value that so many classes can have: all signs alike, of 2^c.

    >>> smallest_p_value(5)
    0.0625
    """
    return float(2.0 ** (1 - classes)) if classes else 1.0


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values (m,) adjusted for their number by Holm's step-down method.

    Those of at most 0.05 are significant with a chance of 5% that any of them is wrongly so.
    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.

    >>> holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * p_values[order]))
    return adjusted
