"""Augmented rows equal a sum by hand, whatever is summed beside them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from src.config import Similarity
from src.errors import UserError
from src.similarity import NeighborSearch, augment, top_k
from src.similarity.augment import MAX_NEIGHBORS
from src.similarity.numerics import exact_sum, row_norms
from src.similarity.parallel import thread_count
from tests.support.brute_force import FEATURES, assert_same, brute_force

kinds = pytest.mark.parametrize("kind", FEATURES)
MANY = np.random.default_rng(5).normal(size=(700, 33)).astype("f4")


def by_hand(rows: np.ndarray, index: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return the rows augmented by one product with the (n, n) matrix of weights."""
    rows = rows.astype("f8")
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    weights = np.eye(len(rows))
    np.put_along_axis(weights, index.astype(int), np.maximum(score, 0).astype("f8") ** 3, 1)
    sums = weights @ unit
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-300)


def augmented(rows: np.ndarray, k: int) -> torch.Tensor:
    found = top_k(rows, k)
    return augment.augment(torch.from_numpy(rows), found.index, found.score).rows


@kinds
@pytest.mark.parametrize("k", [1, 5])
def test_rows_equal_a_product_with_the_weights(kind, k):
    rows, k = FEATURES[kind], min(k, len(FEATURES[kind]) - 1)
    found = brute_force(rows, k)
    expected = by_hand(rows, found.index, found.score)
    np.testing.assert_allclose(augmented(rows, k), expected, atol=1e-7)


few_values = st.sampled_from([-2, -1, -0.5, 0, 0, 0.5, 1, 1, 3])


@given(st.data(), st.integers(3, 9), st.integers(1, 4))
def test_small_integers_with_ties_and_zeros(data, n, width):
    rows = data.draw(arrays(np.float32, (n, width), elements=few_values))
    groups = data.draw(arrays(np.int64, n, elements=st.integers(0, 2)).filter(np.ptp))
    found = brute_force(rows, n - np.bincount(groups).max(), groups)
    result = augment.augment(torch.from_numpy(rows), found.index, found.score)
    np.testing.assert_allclose(result.rows, by_hand(rows, found.index, found.score), atol=1e-6)
    assert (result.rows.any(dim=1).numpy() == rows.any(axis=1)).all()
    assert (result.length[rows.any(axis=1)] > 1 - 1e-12).all()  # no neighbor points away


@pytest.mark.parametrize("step", [1, 7, 64, 10_000])
@pytest.mark.parametrize("threads", [1, 2])
def test_steps_and_threads_change_no_bit(step, threads, monkeypatch):
    found = top_k(MANY, 9)
    expected = augment.augment(torch.from_numpy(MANY), found.index, found.score)
    monkeypatch.setattr(augment, "ROWS_PER_STEP", step)
    with thread_count(threads):
        again = augment.augment(torch.from_numpy(MANY), found.index, found.score)
    assert torch.equal(again.rows, expected.rows)
    assert torch.equal(again.length, expected.length)


def test_some_rows_have_the_bits_that_they_have_among_all():
    found, own = top_k(MANY, 9), torch.tensor([698, 3, 3, 41])
    whole = augment.augment(torch.from_numpy(MANY), found.index, found.score)
    part = augment.augment(torch.from_numpy(MANY), found.index[own], found.score[own], own)
    assert torch.equal(part.rows, whole.rows[own])
    assert torch.equal(part.length, whole.length[own])


def test_rows_are_summed_in_the_order_of_the_lists():
    rows, own = torch.from_numpy(MANY), torch.arange(8)
    found, scale = top_k(MANY, 20), 1 / row_norms(rows)
    lengths = []
    for order in (np.s_[:8], np.s_[:8, ::-1]):
        index, score = found.index[order].copy(), found.score[order].copy()
        sums = rows[own].double() * scale[own, None]
        for neighbors, cosines in zip(index.T, score.T.astype("f8"), strict=True):
            weight = torch.from_numpy(cosines * cosines * cosines) * scale[neighbors]
            sums = sums + rows[neighbors].double() * weight[:, None]
        lengths.append(exact_sum(sums * sums).sqrt())
        assert torch.equal(augment.augment(rows, index, score, own).length, lengths[-1])
    assert not torch.equal(*lengths)  # the order shows in the last bits


def test_what_points_away_is_not_added():
    rows = torch.tensor([[1.0, 0], [-1, 0], [0, 1]])
    found = top_k(rows, 2)
    assert torch.equal(augment.augment(rows, found.index, found.score).rows, rows)


def test_rows_that_were_given_stay_as_they_are():
    rows = torch.from_numpy(MANY.copy())
    found = top_k(rows, 3)
    augment.augment(rows, found.index, found.score)
    np.testing.assert_array_equal(rows, MANY)


def test_neighbors_are_then_searched_among_the_new_rows():
    rows, k = FEATURES["positive"], 4
    found = brute_force(rows, k)
    new = by_hand(rows, found.index, found.score).astype("f4")
    np.testing.assert_array_equal(top_k(augmented(rows, k), 6).index, brute_force(new, 6).index)
    assert_same(
        NeighborSearch(augmented(rows, k)).nearest(6), brute_force(augmented(rows, k).numpy(), 6)
    )


@pytest.mark.parametrize(
    "index, score", [(np.zeros((39, 2)), np.zeros((39, 2))), (np.zeros((40, 2)), np.zeros((40, 3)))]
)
def test_lists_of_other_rows_are_refused(index, score):
    with pytest.raises(ValueError, match=r"index and score must be \(40, k\), got"):
        augment.augment(torch.from_numpy(FEATURES["positive"]), index, score)


def test_the_option_allows_what_is_kept_for_later_runs():
    assert Similarity(augment=MAX_NEIGHBORS).augment == MAX_NEIGHBORS
    with pytest.raises(UserError, match="augment must be between 0 and 20"):
        Similarity(augment=MAX_NEIGHBORS + 1)
