"""Queries among augmented rows find what a search among these rows finds, to the bit."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from src.similarity import Neighbors, NeighborSearch, queries, stored_rows
from src.similarity.augment import augment
from src.similarity.csls import csls_penalty
from src.similarity.queries import QuerySearch
from src.similarity.stored_rows import Augmentation, StoredRows
from tests.similarity.test_queries import CLUSTERS, FITS, few_values, of_rows, others
from tests.support.brute_force import FEATURES, assert_same, brute_force

K = 4
SOME = np.arange(0, 700, 6)  # the rows of zeros and copies among them
fits = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)


def augmented(rows: np.ndarray, fit: Any, groups: Any = None) -> tuple[torch.Tensor, Any, Any]:
    """Return the rows of a search after augmentation, what was fitted, and what was added."""
    features = torch.from_numpy(rows)
    fitted = fit(features)
    compared = features if fitted is None else fitted(features)
    found = NeighborSearch(compared, groups).nearest(K)
    result = augment(compared, found.index, found.score)
    added = Augmentation(found.index, found.score, result.length.numpy())
    return result.rows, fitted, added


@fits
@pytest.mark.parametrize("has_penalty", [False, True], ids=["cosine", "csls"])
@pytest.mark.parametrize("groups", [None, np.arange(700) // 4], ids=["alone", "groups"])
def test_neighbors_of_the_rows_equal_those_of_a_search_among_them(fit, has_penalty, groups):
    rows, fitted, added = augmented(CLUSTERS, fit, groups)
    among = NeighborSearch(rows, groups)
    penalty = csls_penalty(among.nearest(10).score) if has_penalty else None
    search = QuerySearch(CLUSTERS, fitted, penalty, added)
    found = search.nearest_to_rows(SOME, 12, others(700, groups)[SOME])
    expected = among.nearest(12, penalty)
    assert_same(Neighbors(*found, 0), Neighbors(expected.index[SOME], expected.score[SOME], 0))
    assert torch.equal(search.all_compared(), rows)


@pytest.mark.parametrize("kind", sorted({*FEATURES} - {"two rows", "very wide"}))
def test_hard_rows_equal_brute_force(kind):
    rows, _, added = augmented(FEATURES[kind], FITS["none"])
    found = of_rows(QuerySearch(FEATURES[kind], augmentation=added), 6, others(40))
    assert_same(found, brute_force(rows.numpy(), 6))


@given(st.data(), st.integers(5, 12), st.integers(1, 4))
def test_small_integers_with_many_ties_and_zeros(data, n, width):
    given = data.draw(arrays(np.float32, (n, width), elements=few_values))
    rows, _, added = augmented(given, FITS["none"])
    found = of_rows(QuerySearch(given, augmentation=added), n - 1, others(n))
    assert_same(found, brute_force(rows.numpy(), n - 1))


@fits
def test_the_products_of_a_step_and_a_chunk_change_no_bit(fit, monkeypatch):
    given = CLUSTERS[200:400]
    rows, fitted, added = augmented(given, fit)
    monkeypatch.setattr(queries, "PAIRS_PER_STEP", 3)
    for name, value in (("QUERIES_PER_STEP", 7), ("ROWS_PER_STEP", 50)):
        monkeypatch.setattr(stored_rows, name, value)
    found = of_rows(QuerySearch(given, fitted, None, added), 9, others(200))
    assert_same(found, NeighborSearch(rows).nearest(9))


@pytest.mark.parametrize("off", [0.01, 0.1])
def test_a_wrong_product_within_its_bound_changes_no_neighbor(off, monkeypatch):
    right, error = StoredRows.products, StoredRows._error

    def wrong(self: StoredRows, *given: Any) -> Any:
        for vector, products in right(self, *given):
            lengths = torch.from_numpy(np.linalg.norm(self.rows, axis=1))
            yield vector, products + off * lengths * torch.sin(1e4 * products)

    def honest(self: StoredRows, vector: Any, relative: float, norms: Any) -> Any:
        return error(self, vector, relative + off * bool(relative), norms)

    given = CLUSTERS[:200]
    rows, _, added = augmented(given, FITS["none"])
    expected = NeighborSearch(rows).nearest(5)
    monkeypatch.setattr(StoredRows, "products", wrong)
    found = of_rows(QuerySearch(given, augmentation=added), 5, others(200))
    assert not np.array_equal(found.index, expected.index)
    monkeypatch.setattr(StoredRows, "_error", honest)
    assert_same(of_rows(QuerySearch(given, augmentation=added), 5, others(200)), expected)


@fits
def test_any_query_has_its_nearest_rows_added(fit):
    rows, fitted, added = augmented(CLUSTERS, fit)
    query = torch.from_numpy(np.random.default_rng(7).random((3, 48)).astype("f4"))
    index, score = QuerySearch(CLUSTERS, fitted, None, added).nearest(query, 700)
    features = torch.from_numpy(CLUSTERS)
    both = [x if fitted is None else fitted(x) for x in (query, features)]
    own, among = (torch.nn.functional.normalize(x.double()) for x in both)
    cosine = own @ among.T
    nearest = cosine.topk(K)
    sums = own + (nearest.values.clamp(min=0)[..., None] ** 3 * among[nearest.indices]).sum(1)
    expected = torch.nn.functional.normalize(sums) @ rows.double().T
    np.testing.assert_allclose(np.take_along_axis(expected.numpy(), index, 1), score, atol=2e-6)
    assert (np.diff(score, axis=1) <= 0).all()


@fits
@pytest.mark.parametrize("groups", [None, np.arange(700) // 4], ids=["alone", "groups"])
def test_a_row_as_query_finds_what_it_finds_in_the_gallery(fit, groups):
    _, fitted, added = augmented(CLUSTERS, fit, groups)
    search, numbers = QuerySearch(CLUSTERS, fitted, None, added), [5, 41, 299, 300, 698]
    index, score = search.nearest(torch.from_numpy(CLUSTERS[numbers]), 20)
    by_row = search.nearest_to_rows(numbers, 20)
    found = index[:, 0].tolist()
    assert found[:3] + found[4:] == [5, 41, 299, 698]
    assert (score[[0, 1, 2, 4], 0] == 1).all()  # row 300 is one of zeros
    if fitted is None or fitted.axes is None:  # products of few rows have other last bits
        np.testing.assert_array_equal(index, by_row[0])
    np.testing.assert_allclose(score, by_row[1], atol=1e-6)


@pytest.mark.parametrize("size", [1e-7, 1e-5, 1e-4, 5e-4])
def test_a_row_that_a_network_rounded_otherwise_finds_itself_with_1(size):
    _, _, added = augmented(CLUSTERS, FITS["none"])
    noise = np.random.default_rng(1).normal(size=(50, 48)) / 48**0.5
    lengths = np.linalg.norm(CLUSTERS[50:100], axis=1, keepdims=True)
    query = torch.from_numpy((CLUSTERS[50:100] + size * lengths * noise).astype("f4"))
    index, score = QuerySearch(CLUSTERS, augmentation=added).nearest(query, 1)
    assert index[:, 0].tolist() == list(range(50, 100))
    assert {f"{value:.4f}" for value in score[:, 0]} == {"1.0000"}


def test_copies_find_themselves_with_1_as_well():
    given = np.concatenate([FEATURES["normal"], FEATURES["normal"][:5]])
    _, _, added = augmented(given, FITS["none"])
    index, score = QuerySearch(given, augmentation=added).nearest(torch.from_numpy(given[40:]), 2)
    assert index.tolist() == [[row, 40 + row] for row in range(5)]  # the lower number first
    assert (score == 1).all()


def test_a_query_of_zeros_stays_one():
    _, _, added = augmented(CLUSTERS, FITS["none"])
    index, score = QuerySearch(CLUSTERS, augmentation=added).nearest(torch.zeros(1, 48), 3)
    assert index.tolist() == [[0, 1, 2]]
    assert not score.any()


def test_what_was_added_to_other_rows_is_refused():
    _, _, added = augmented(CLUSTERS, FITS["none"])
    with pytest.raises(ValueError, match="augmentation must be of 699 rows"):
        QuerySearch(CLUSTERS[1:], augmentation=added)
