import numpy as np
import pytest

from src.evaluation.bootstrap import intervals

DRAW = np.random.default_rng(0)


def test_intervals_equal_a_plain_loop():
    values, draw = DRAW.random((40, 2)), np.random.default_rng(3)
    values[5:20, 1] = np.nan
    resamples = [values[draw.integers(40, size=40)] for _ in range(120)]
    means = np.array([np.nanmean(each, axis=0) for each in resamples])
    found = intervals({"a": values[:, 0], "b": values[:, 1]}, 120, seed=3)
    for at, name in enumerate("ab"):
        low, high = np.percentile(means[:, at], [2.5, 97.5])
        assert (found[f"{name}_low"], found[f"{name}_high"]) == pytest.approx((low, high), abs=1e-6)
    assert len(found) == 4
    assert intervals({}, 10, seed=0) == {}


def test_intervals_hold_the_true_mean_nineteen_times_of_twenty():
    draw, held = np.random.default_rng(0), 0
    for seed in range(300):
        found = intervals({"x": draw.exponential(size=200)}, 300, seed)
        held += found["x_low"] <= 1 <= found["x_high"]
    assert 0.90 <= held / 300 <= 0.97  # 0.93 is usual for so skewed a distribution
