import numpy as np
import pytest
from scipy import stats

from src.evaluation.bootstrap import intervals, macro_intervals

DRAW = np.random.default_rng(0)
NO_CLASSES: dict[str, np.ndarray] = {}


def ends(result: dict[str, float], name: str) -> tuple[float, float]:
    """Return the interval of a metric."""
    return result[f"{name}_low"], result[f"{name}_high"]


def clustered(sizes: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return values that are alike within a class, and the class of each."""
    classes = np.repeat(np.arange(len(sizes)), sizes)
    return draw.normal(size=len(sizes))[classes] + draw.normal(size=len(classes)), classes


def test_intervals_by_query_equal_a_plain_loop():
    values, draw = DRAW.random((40, 2)), np.random.default_rng(3)
    values[5:20, 1] = np.nan
    resamples = [values[draw.integers(40, size=40)] for _ in range(120)]
    means = np.array([np.nanmean(sample, axis=0) for sample in resamples])
    result = intervals({"a": values[:, 0], "b": values[:, 1]}, NO_CLASSES, 120, seed=3)
    for column, name in enumerate("ab"):
        expected = np.percentile(means[:, column], [2.5, 97.5])
        assert ends(result, name) == pytest.approx(tuple(expected), abs=1e-6)
    assert len(result) == 4
    assert intervals({}, NO_CLASSES, 10, seed=0) == {}


def test_intervals_by_class_equal_a_plain_loop():
    classes = DRAW.integers(-1, 7, size=60)
    values = np.where((classes < 0) | (classes == 3), np.nan, DRAW.random(60))
    members = [np.flatnonzero(classes == c) for c in (0, 1, 2, 4, 5, 6)]  # 3 has no value
    draw = np.random.default_rng(8)
    means = [
        values[np.concatenate([members[c] for c in draw.integers(6, size=6)])].mean()
        for _ in range(130)
    ]
    result = intervals({"a": values, "b": DRAW.random(60)}, {"a": classes}, 130, seed=8)
    assert ends(result, "a") == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


@pytest.mark.parametrize("is_clustered", [False, True])
def test_intervals_are_those_of_scipy(is_clustered):
    values, classes = clustered(np.array([3, 9, 1, 14, 6, 2, 8, 5, 20, 4] * 3), DRAW)
    n, times = len(values), 20_000
    if is_clustered:
        parts = np.bincount(classes, values), np.bincount(classes).astype(float)
    else:
        parts = values, np.ones(n)
    expected = stats.bootstrap(
        parts,
        lambda sums, numbers, axis: sums.sum(axis=axis) / numbers.sum(axis=axis),
        n_resamples=times,
        batch=1000,
        paired=True,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    result = intervals({"x": values}, {"x": classes} if is_clustered else {}, times, seed=2)
    width = expected.high - expected.low
    assert ends(result, "x") == pytest.approx(tuple(expected), abs=0.03 * width)


def test_classes_are_resampled_alike_whatever_else_is_measured():
    values, classes = clustered(np.array([2, 5, 3, 4] * 5), DRAW)
    some = np.where(DRAW.random(len(values)) < 0.2, np.nan, values)
    alone = intervals({"b": some}, {"b": classes}, 60, seed=0)
    queries = {"a": values, "b": some, "c": values}
    together = intervals(queries, {"a": classes, "b": classes.copy()}, 60, seed=0)
    assert ends(together, "b") == ends(alone, "b")
    assert list(together) == ["a_low", "b_low", "c_low", "a_high", "b_high", "c_high"]
    same_ids = intervals(queries, dict.fromkeys("ab", classes), 60, seed=0)
    assert same_ids == together


def test_a_metric_is_resampled_among_the_classes_in_which_it_has_values():
    values, classes = clustered(np.array([2, 5, 3, 4] * 5), DRAW)
    some = np.where(classes % 3 == 0, np.nan, values)
    alone = intervals({"b": some}, {"b": classes}, 60, seed=0)
    together = intervals({"a": values, "b": some}, dict.fromkeys("ab", classes), 60, seed=0)
    assert ends(together, "b") == ends(alone, "b")


def test_a_metric_of_a_single_query_has_no_interval_beside_others():
    values = DRAW.random(30)
    single = np.where(np.arange(30) == 7, values, np.nan)
    assert set(intervals({"a": values, "b": single}, NO_CLASSES, 60, 0)) == {"a_low", "a_high"}


def test_paintings_that_depend_on_one_another_widen_the_interval_by_class_alone():
    values, classes = clustered(np.full(40, 25), DRAW)
    by_query, by_class = (intervals({"x": values}, c, 500, 0) for c in ({}, {"x": classes}))
    widths = [np.subtract(*reversed(ends(result, "x"))) for result in (by_query, by_class)]
    design_effect = (1 + 24 * 0.5) ** 0.5  # half of the variance is between the classes
    assert widths[1] / widths[0] == pytest.approx(design_effect, rel=0.25)


def test_intervals_cover_the_true_mean_95_percent_of_the_time():
    draw, covered = np.random.default_rng(0), 0
    for seed in range(300):
        result = intervals({"x": draw.exponential(size=200)}, NO_CLASSES, 300, seed)
        covered += result["x_low"] <= 1 <= result["x_high"]
    assert 0.90 <= covered / 300 <= 0.97  # 0.93 is usual for so skewed a distribution


def test_intervals_by_class_cover_the_true_mean_where_those_by_query_do_not():
    draw, covered = np.random.default_rng(0), np.zeros(2)
    for seed in range(200):
        values, classes = clustered(draw.integers(2, 12, size=50), draw)
        for at, given in enumerate(({}, {"x": classes})):
            low, high = ends(intervals({"x": values}, given, 300, seed), "x")
            covered[at] += low <= 0 <= high
    assert covered[0] / 200 < 0.75
    assert 0.89 <= covered[1] / 200 <= 0.98


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_share_that_never_varies_gets_wilsons_interval(value):
    names = ("artist/map_at_10", "style/map_at_10", "intra", "behind")
    values = np.where(np.arange(96) < 90, value, np.nan)
    queries = dict.fromkeys(names, values)
    classes = {"style/map_at_10": np.arange(96) // 9}  # ten classes have a query
    result = intervals(queries, classes, 20, seed=0)
    for name, trials in (("artist/map_at_10", 90), ("style/map_at_10", 10)):
        test = stats.binomtest(round(value * trials), trials)
        wilson = test.proportion_ci(0.95, method="wilson")
        assert ends(result, name) == pytest.approx(tuple(wilson), abs=1e-6)
    assert ends(result, "intra") == ends(result, "behind") == (value, value)  # no shares


def test_intervals_of_the_mean_over_classes_resample_the_means_of_the_classes():
    values, classes = clustered(DRAW.integers(1, 20, size=30), DRAW)
    values[::7] = np.nan
    present = [c for c in range(30) if not np.isnan(values[classes == c]).all()]
    means = np.array([np.nanmean(values[classes == c]) for c in present])
    expected = intervals({"m": means}, NO_CLASSES, 200, seed=4)
    result = macro_intervals({"a": values, "b": values}, {"a": classes}, 200, seed=4)
    assert result == {"a_macro_low": expected["m_low"], "a_macro_high": expected["m_high"]}


def test_a_single_unit_has_no_interval():
    values = np.array([0.5, 0.25, np.nan])
    one = np.array([4, 4, 5])
    assert intervals({"a": values}, {"a": one}, 10, seed=0) == {}
    assert intervals({"a": values[1:]}, NO_CLASSES, 10, seed=0) == {}
