import numpy as np
import pytest

from src.evaluation.bootstrap import intervals

DRAW = np.random.default_rng(0)


def test_intervals_equal_a_plain_loop():
    values, draw = DRAW.random((40, 2)), np.random.default_rng(3)
    values[5:20, 1] = np.nan
    resamples = [values[draw.integers(40, size=40)] for _ in range(120)]
    means = np.array([np.nanmean(sample, axis=0) for sample in resamples])
    result = intervals({"a": values[:, 0], "b": values[:, 1]}, 120, seed=3)
    for column, name in enumerate("ab"):
        low, high = np.percentile(means[:, column], [2.5, 97.5])
        assert (result[f"{name}_low"], result[f"{name}_high"]) == pytest.approx(
            (low, high), abs=1e-6
        )
    assert len(result) == 4
    assert intervals({}, 10, seed=0) == {}


def test_intervals_cover_the_true_mean_95_percent_of_the_time():
    draw, covered = np.random.default_rng(0), 0
    for seed in range(300):
        result = intervals({"x": draw.exponential(size=200)}, 300, seed)
        covered += result["x_low"] <= 1 <= result["x_high"]
    assert 0.90 <= covered / 300 <= 0.97  # 0.93 is usual for so skewed a distribution
