"""A search of queries finds what a search among the rows finds, to the bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics.pairwise import cosine_similarity

from src.similarity import Neighbors, NeighborSearch, queries, stored_rows
from src.similarity.csls import csls_penalty
from src.similarity.postprocess import FittedPostprocess, fit_center, fit_whiten
from src.similarity.queries import QuerySearch
from src.similarity.stored_rows import StoredRows
from tests.support.brute_force import FEATURES, assert_same, brute_force

kinds = pytest.mark.parametrize("kind", FEATURES)
DRAW = np.random.default_rng(3)
CLUSTERS = (DRAW.random((30, 48))[DRAW.integers(30, size=700)] + 0.02 * DRAW.random((700, 48))) ** 2
CLUSTERS = CLUSTERS.astype("f4")
CLUSTERS[[7, 300]], CLUSTERS[600:640] = 0, CLUSTERS[0]
Fit = Callable[[torch.Tensor], FittedPostprocess | None]
FITS: dict[str, Fit] = {
    "none": lambda rows: None,
    "center": fit_center,
    "whiten": fit_whiten,
    "whiten fully to 20": lambda rows: fit_whiten(rows, power=1, dim=20),
}
fits = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)


def others(n: int, groups: Any = None) -> np.ndarray:
    """Return (n, n) whether a row may be another's neighbor."""
    ids = np.arange(n) if groups is None else np.asarray(groups)
    return ids[:, None] != ids


def own_memory() -> int:
    """Return the bytes of this process that are not those of a file."""
    memory = psutil.Process().memory_info()
    return memory.rss - memory.shared


def of_rows(search: QuerySearch, k: int, allowed: Any) -> Neighbors:
    return Neighbors(*search.nearest_to_rows(range(len(search)), k, allowed), 0)


@kinds
@pytest.mark.parametrize("k", [1, 4, 10_000])
def test_neighbors_of_the_rows_equal_brute_force(kind, k):
    rows = FEATURES[kind]
    found = of_rows(QuerySearch(rows), k, others(len(rows)))
    expected = brute_force(rows, min(k, len(rows) - 1))
    assert_same(found, expected)
    features = torch.from_numpy(rows)
    assert_same(Neighbors(*QuerySearch(rows).nearest(features, k, others(len(rows))), 0), expected)


@fits
@pytest.mark.parametrize("has_penalty", [False, True], ids=["cosine", "csls"])
@pytest.mark.parametrize("groups", [None, np.arange(700) // 4], ids=["alone", "groups"])
def test_neighbors_of_the_rows_equal_those_of_a_search_among_them(fit, has_penalty, groups):
    features = torch.from_numpy(CLUSTERS)
    fitted = fit(features)
    among = NeighborSearch(features if fitted is None else fitted(features), groups)
    penalty = csls_penalty(among.nearest(10).score) if has_penalty else None
    found = of_rows(QuerySearch(CLUSTERS, fitted, penalty), 12, others(700, groups))
    assert_same(found, among.nearest(12, penalty))


@pytest.mark.parametrize("size", [10.0, 1e3, 1e5])
def test_a_penalty_much_larger_than_the_scores_is_rounded_to_float32(size):
    rows, penalty = FEATURES["positive"], size + 0.01 * np.random.default_rng(0).random(40)
    found = of_rows(QuerySearch(rows, penalty=penalty), 5, others(len(rows)))
    assert_same(found, brute_force(rows, 5, penalty=penalty))


few_values = st.sampled_from([-2, -1, -0.5, 0, 0, 0.5, 1, 1, 3])


@given(st.data(), st.integers(2, 12), st.integers(1, 4), st.booleans())
def test_small_integers_with_many_ties_and_zeros(data, n, width, has_penalty):
    rows = data.draw(arrays(np.float32, (n, width), elements=few_values))
    groups = data.draw(arrays(np.int64, n, elements=st.integers(0, 2)).filter(np.ptp))
    penalty = data.draw(arrays(np.float64, n, elements=few_values)) if has_penalty else None
    k = n - np.bincount(groups).max()
    found = of_rows(QuerySearch(rows, penalty=penalty), k, others(n, groups))
    assert_same(found, brute_force(rows, k, groups, 0 if penalty is None else penalty))


@fits
def test_the_products_of_a_step_and_a_chunk_change_no_bit(fit, monkeypatch):
    rows, fitted = CLUSTERS[:300], fit(torch.from_numpy(CLUSTERS[:300]))
    whole = of_rows(QuerySearch(rows, fitted), 9, others(300))
    monkeypatch.setattr(queries, "PAIRS_PER_STEP", 3)
    for name, value in (("QUERIES_PER_STEP", 7), ("ROWS_PER_STEP", 50)):
        monkeypatch.setattr(stored_rows, name, value)
    assert_same(of_rows(QuerySearch(rows, fitted), 9, others(300)), whole)


@fits
def test_any_query_is_compared_as_a_row_would_be(fit):
    features = torch.from_numpy(CLUSTERS)
    fitted, query = fit(features), torch.from_numpy(DRAW.random((3, 48)).astype("f4"))
    compared = [x if fitted is None else fitted(x) for x in (query, features)]
    score = torch.from_numpy(cosine_similarity(*(x.double().numpy() for x in compared)))
    index, found = QuerySearch(CLUSTERS, fitted).nearest(query, 20)
    np.testing.assert_allclose(found, score.sort(descending=True).values[:, :20], atol=1e-6)
    np.testing.assert_allclose(score.gather(1, torch.from_numpy(index).long()), found, atol=1e-6)


def test_a_row_as_query_finds_itself_first():
    index, score = QuerySearch(
        CLUSTERS[:300], fit_whiten(torch.from_numpy(CLUSTERS[:300]))
    ).nearest(torch.from_numpy(CLUSTERS[[5]]), 1)
    assert (index.item(), score.item()) == (5, 1)


def test_each_query_may_have_its_own_choice_of_rows():
    rows, allowed = FEATURES["positive"], np.zeros((2, 40), bool)
    allowed[0, [3, 9]] = allowed[1, [9, 20, 39]] = True
    index, score = QuerySearch(rows).nearest_to_rows([0, 1], 5, allowed)
    assert index.shape == score.shape == (2, 2)  # the first has no more
    assert set(index[0]) == {3, 9}
    assert set(index[1]) < {9, 20, 39}


def test_where_no_row_is_allowed_there_is_no_neighbor():
    index, score = QuerySearch(FEATURES["positive"]).nearest_to_rows([0], 5, np.zeros(40, bool))
    assert index.shape == score.shape == (1, 0)


def test_rows_whose_sums_overflow_and_vanish_are_compared():
    rows = FEATURES["normal"].astype("f8") * np.array([[1e38], [1e-42]] * 20)
    rows = np.clip(rows, -3e38, 3e38).astype("f4")
    assert_same(of_rows(QuerySearch(rows), 5, others(40)), brute_force(rows, 5))


@pytest.mark.parametrize("off", [0.01, 0.1])
def test_a_wrong_product_within_its_bound_changes_no_neighbor(off, monkeypatch):
    right = StoredRows.products

    def wrong(self: StoredRows, *given: Any) -> Any:
        for vector, products in right(self, *given):
            lengths = torch.from_numpy(np.linalg.norm(self.rows, axis=1))
            yield vector, products + off * lengths * torch.sin(1e4 * products)

    error = StoredRows._error
    monkeypatch.setattr(StoredRows, "products", wrong)
    monkeypatch.setattr(
        StoredRows,
        "_error",
        lambda self, vector, relative, norms: error(
            self, vector, relative + off * bool(relative), norms
        ),
    )
    found = of_rows(QuerySearch(FEATURES["positive"]), 5, others(40))
    assert_same(found, brute_force(FEATURES["positive"], 5))


def test_rows_stay_in_their_file(tmp_path: Path):
    n, d = 30_000, 256
    np.save(tmp_path / "rows.npy", DRAW.random((n, d), dtype="f4"))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    search = QuerySearch(rows)
    search.nearest_to_rows([0], 5)
    before = own_memory()
    for row in range(3):
        search.nearest_to_rows([row], 5)
    assert own_memory() - before < rows.nbytes / 4


@pytest.mark.parametrize(
    "rows, message",
    [
        (np.zeros((3, 2)), r"rows must be \(n, d\) float32, got \(3, 2\) float64"),
        (np.zeros(3, "f4"), r"rows must be \(n, d\) float32, got \(3,\) float32"),
        (np.float32([[1, 2], [np.nan, 0]]), "row 1 holds NaN or infinity"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        QuerySearch(rows)


@pytest.mark.parametrize(
    "query, k, allowed, message",
    [
        (torch.ones(24), 1, None, r"queries must be \(q, 24\) floats, got \(24,\) torch.float32"),
        (torch.ones(1, 23), 1, None, r"queries must be \(q, 24\) floats, got \(1, 23\)"),
        (torch.ones(1, 24).long(), 1, None, r"floats, got \(1, 24\) torch.int64"),
        (torch.full((1, 24), torch.inf), 1, None, "queries hold NaN or infinity"),
        (torch.ones(1, 24), 0, None, "k must be positive, got 0"),
        (torch.ones(1, 24), 1, np.ones(3, bool), r"allowed must be \(40,\) or \(1, 40\) bools"),
        (torch.ones(1, 24), 1, np.ones(40), r"allowed must be \(40,\) or \(1, 40\) bools"),
    ],
)
def test_queries_that_cannot_be_compared_are_refused(query, k, allowed, message):
    with pytest.raises(ValueError, match=message):
        QuerySearch(FEATURES["positive"]).nearest(query, k, allowed)


def test_a_penalty_of_other_rows_is_refused():
    with pytest.raises(ValueError, match=r"penalty must be \(40,\) finite numbers"):
        QuerySearch(FEATURES["positive"], penalty=np.zeros(39))
