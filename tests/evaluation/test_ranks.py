"""Whole rankings against scikit-learn, plain loops and all orders of ties."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from src.evaluation import ranks
from src.evaluation.ranks import Measured, candidates_of, chance, measure, rank


def measured(scores: np.ndarray, hit: np.ndarray, excluded: np.ndarray) -> Measured:
    """Return the measures of rankings by scores; all are (q, n), hit and excluded by image."""
    rankings = rank(torch.tensor(scores, dtype=torch.float32))
    in_order = [np.take_along_axis(x, rankings.order, axis=1) for x in (hit, excluded)]
    labeled, counted = np.flatnonzero(in_order[0]), candidates_of(in_order[1])
    result, candidates, relevant = measure(rankings, labeled, counted)
    np.testing.assert_array_equal(candidates, (~excluded).sum(axis=1))
    np.testing.assert_array_equal(relevant, (hit & ~excluded).sum(axis=1))
    return result


def by_definition(hits: list[bool]) -> tuple[float, float, float]:
    """Return average precision, R-precision and AUC of one order."""
    relevant = sum(hits)
    precision = sum(np.mean(hits[: i + 1]) for i, hit in enumerate(hits) if hit) / relevant
    others = len(hits) - relevant
    wins = sum(hit and not other for i, hit in enumerate(hits) for other in hits[i:])
    return precision, np.mean(hits[:relevant]), wins / (relevant * others) if others else np.nan


def over_all_orders(scores: list[int], hits: list[bool]) -> np.ndarray:
    """Return the mean of each measure over all orders that the scores allow."""
    values = {}
    for order in permutations(range(len(scores))):
        in_order = [scores[i] for i in order]
        if in_order == sorted(in_order, reverse=True):
            values[order] = by_definition([hits[i] for i in order])
    return np.mean(list(values.values()), axis=0)


image = st.tuples(st.integers(-2, 1), st.booleans(), st.booleans())  # score, hit, excluded


@given(st.lists(image, min_size=1, max_size=6))
def test_measures_are_the_means_over_all_orders_of_equal_scores(images):
    scores, hit, excluded = (np.array([column]) for column in zip(*images, strict=True))
    kept = [(score, is_hit) for score, is_hit, is_excluded in images if not is_excluded]
    result = np.array(measured(scores / 2, hit, excluded))[:, 0]
    if not any(is_hit for _, is_hit in kept):
        assert np.isnan(result).all()
    else:
        expected = over_all_orders(*map(list, zip(*kept, strict=True)))
        np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_measures_without_ties_are_those_of_scikit_learn(seed):
    draw = np.random.default_rng(seed)
    q, n = 7, 300
    scores = np.stack([draw.permutation(n) for _ in range(q)]) - 100.0
    hit = draw.random((q, n)) < draw.random((q, 1))
    excluded = draw.random((q, n)) < 0.2
    result = measured(scores, hit, excluded)
    for query in range(q):
        kept = ~excluded[query]
        true, score = hit[query, kept], scores[query, kept]
        assert result.map[query] == pytest.approx(average_precision_score(true, score), rel=1e-12)
        assert result.label_auc[query] == pytest.approx(roc_auc_score(true, score), rel=1e-12)
        first = true[np.argsort(-score)][: true.sum()]
        assert result.r_precision[query] == pytest.approx(first.mean(), rel=1e-12)


def test_auc_of_ties_is_that_of_scikit_learn():
    draw = np.random.default_rng(3)
    scores, hit = draw.integers(-5, 5, (5, 80)), draw.random((5, 80)) < 0.3
    result = measured(scores, hit, np.zeros_like(hit)).label_auc
    expected = [roc_auc_score(*pair) for pair in zip(hit, scores, strict=True)]
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_chance_is_the_mean_over_all_orders(n):
    for relevant in range(1, n + 1):
        hits = [image < relevant for image in range(n)]
        result = np.array(chance(np.array([n]), np.array([relevant])))[:, 0]
        np.testing.assert_allclose(result, over_all_orders([0] * n, hits), rtol=1e-12)


def test_chance_of_map_is_its_closed_form_for_large_numbers():
    n, relevant = 100_000, 700
    harmonic = np.sum(1 / np.arange(1, n + 1))
    closed = (harmonic + (relevant - 1) / (n - 1) * (n - harmonic)) / n
    by_chance = chance(np.array([n]), np.array([relevant]))
    assert by_chance.map[0] == pytest.approx(closed, rel=1e-12)
    assert (by_chance.r_precision[0], by_chance.label_auc[0]) == (relevant / n, 0.5)


def test_equal_scores_give_chance_to_the_bit():
    draw = np.random.default_rng(0)
    hit, excluded = draw.random((2, 9, 50)) < 0.3
    result = measured(np.full((9, 50), 0.7), hit, excluded)
    expected = chance((~excluded).sum(axis=1), (hit & ~excluded).sum(axis=1))
    for values, by_chance in zip(result, expected, strict=True):
        np.testing.assert_array_equal(values, by_chance)


def test_rankings_by_hand():
    scores = [[0.5, -0.0, 0.5, 1.0, 0.0, -0.25], [-1.0, -1.0, -1.0, 0.0, -2.0, -np.inf]]
    order, is_tied, first, last = rank(torch.tensor(scores))
    assert order.tolist() == [[3, 0, 2, 1, 4, 5], [3, 0, 1, 2, 4, 5]]
    assert is_tied.astype(int).tolist() == [[0, 1, 1, 1, 1, 0], [0, 1, 1, 1, 0, 0]]
    assert (first.tolist(), last.tolist()) == ([1, 3, 7], [2, 4, 9])


def test_another_device_ranks_alike(monkeypatch):
    scores = torch.randint(-40, 40, (11, 300), generator=torch.Generator().manual_seed(0)) / 64
    expected = rank(scores)
    monkeypatch.setattr(ranks, "HOST", "none")
    result = rank(scores)
    for result_part, expected_part in zip(result[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(result_part, expected_part)
    for found in (result, expected):
        ordered = np.take_along_axis(scores.numpy(), found.order, axis=1)
        np.testing.assert_array_equal(ordered, -np.sort(-scores.numpy(), axis=1))
        assert (np.sort(found.order, axis=1) == np.arange(300)).all()


def test_nothing_is_measured_of_no_queries():
    nothing = np.zeros((0, 4))
    assert [len(x) for x in measured(nothing, nothing > 0, nothing > 0)] == [0, 0, 0]
    assert [len(x) for x in chance(np.zeros(0, int), np.zeros(0, int))] == [0, 0, 0]
