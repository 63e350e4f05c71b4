"""Sign flips and Holm's correction against enumeration, scipy and plain loops."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from src.evaluation import significance
from src.evaluation.significance import DRAWS, holm, sign_flip_p_values, smallest_p_value

DRAW = np.random.default_rng(0)


def enumerated(sums: np.ndarray) -> float:
    """Return the exact p-value of sums (c,): over all 2^c signs."""
    totals = np.array([abs(np.dot(signs, sums)) for signs in product((1, -1), repeat=len(sums))])
    return float((totals >= abs(sums.sum()) * (1 - 1e-12)).mean())


def test_p_values_are_those_of_all_signs_but_for_the_draws() -> None:
    sums = DRAW.normal(0.4, 1, (12, 5))
    expected = np.array([enumerated(column) for column in sums.T])
    error = np.sqrt(expected * (1 - expected) / DRAWS)
    assert (np.abs(sign_flip_p_values(sums) - expected) < 4 * error + 1 / DRAWS).all()


def test_p_values_are_those_of_scipy_but_for_the_draws() -> None:
    sums = DRAW.normal(0.2, 1, (60, 3))
    for column, p in zip(sums.T, sign_flip_p_values(sums), strict=True):
        found = stats.permutation_test(
            (column, np.zeros(60)),
            lambda x, y, axis: np.mean(x - y, axis=axis),
            permutation_type="samples",
            n_resamples=DRAWS,
            vectorized=True,
            rng=np.random.default_rng(1),
        )
        assert p == pytest.approx(found.pvalue, abs=5 * np.sqrt(2 * 0.25 / DRAWS))


def test_ties_count_whatever_rounding_does() -> None:
    """Equal sizes: 0.1 * 5 and sums in another order differ in their last bits."""
    sums = np.full((10, 1), 0.1)
    p = sign_flip_p_values(sums)[0]
    assert p == pytest.approx(2 / 2**10, abs=0.002)
    assert sign_flip_p_values(sums * 7)[0] == p == sign_flip_p_values(-sums)[0]


def test_signs_whose_sum_is_as_far_from_0_but_for_rounding_count() -> None:
    sums = np.array([[0.6], [-0.7], [-0.1], [-0.2], [-0.4], [-0.5]])  # many choices add up to 1.3
    expected = enumerated(sums[:, 0])
    assert expected == 20 / 64
    assert sign_flip_p_values(sums)[0] == pytest.approx(expected, abs=0.02)


def test_no_p_value_is_0_and_equal_runs_have_1() -> None:
    sums = np.stack([np.ones(200), np.zeros(200)], axis=1)
    assert sign_flip_p_values(sums).tolist() == [1 / (DRAWS + 1), 1.0]


def test_p_values_do_not_depend_on_what_else_is_compared() -> None:
    sums = DRAW.normal(0.1, 1, (40, 7))
    alone = [sign_flip_p_values(sums[:, [at]])[0] for at in range(7)]
    assert sign_flip_p_values(sums).tolist() == alone


def test_batches_leave_out_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = np.ones((30, 1))
    for numbers in (1, 30 * 77, 2**24):
        monkeypatch.setattr(significance, "NUMBERS_PER_BATCH", numbers)
        assert sign_flip_p_values(sums, draws=199)[0] == 1 / 200


def test_under_no_difference_one_in_twenty_is_below_5_percent() -> None:
    """Classes of unequal sizes and skewed differences: only their signs are exchangeable."""
    sizes = DRAW.exponential(size=(25, 1000)) * DRAW.choice([-1, 1], (25, 1000))
    share = (sign_flip_p_values(sizes) <= 0.05).mean()
    assert share == pytest.approx(0.05, abs=0.02)


def test_the_smallest_p_value_is_that_of_all_signs_alike() -> None:
    for classes in (1, 4, 9):
        assert smallest_p_value(classes) == enumerated(np.ones(classes))
    assert smallest_p_value(0) == 1


def test_holm_rejects_what_stepping_down_by_hand_rejects() -> None:
    """Holm 1979: from the smallest on, p <= level / (those left), until the first that is not."""
    for p_values in DRAW.random((300, 9)) ** 4:
        order = np.argsort(p_values)
        for level in (0.01, 0.05, 0.2):
            rejected = np.zeros(9, dtype=bool)
            for place, at in enumerate(order):
                if p_values[at] > level / (9 - place):
                    break
                rejected[at] = True
            assert ((holm(p_values) <= level) == rejected).all()


def test_holm_equals_a_known_example() -> None:
    """As R's p.adjust(c(.01, .02, .03, .04, .05), "holm")."""
    adjusted = holm(np.array([0.01, 0.02, 0.03, 0.04, 0.05]))
    assert adjusted == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm(np.array([])).size == 0
    assert holm(np.array([0.7])).tolist() == [0.7]
    assert holm(np.full(3, 0.9)).tolist() == [1, 1, 1]
