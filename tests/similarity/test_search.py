"""Neighbors equal a brute force in float64, whatever the options of the fast pass."""

from collections.abc import Iterator
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from src.similarity import Neighbors, candidates, search, top_k
from src.similarity.centering import Centered
from src.similarity.numerics import exact_scores, row_norms
from tests.support.brute_force import BASE, FEATURES, assert_same, brute_force, nearest

kinds = pytest.mark.parametrize("kind", FEATURES)


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@kinds
@pytest.mark.parametrize("k", [1, 5, 10_000])
def test_neighbors_equal_brute_force(kind, k):
    k = min(k, len(FEATURES[kind]) - 1)
    assert_same(top_k(FEATURES[kind], k), brute_force(FEATURES[kind], k))


@kinds
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("block_size, write", [(1, False), (7, True), (40, False), (64, True)])
def test_no_setting_changes_a_bit(kind, block_size, write, tmp_path):
    k, path = min(4, len(FEATURES[kind]) - 1), tmp_path / "matrix.npy" if write else None
    neighbors = nearest(FEATURES[kind], k, block_size=block_size, matrix=path)
    assert_same(neighbors, brute_force(FEATURES[kind], k))


@kinds
@pytest.mark.parametrize("margin", [0, 1, 1000])
def test_number_of_extra_candidates_changes_no_bit(kind, margin, monkeypatch):
    monkeypatch.setattr(search, "MARGIN", margin)
    k = min(4, len(FEATURES[kind]) - 1)
    assert_same(top_k(FEATURES[kind], k, block_size=9), brute_force(FEATURES[kind], k))


def test_neighbors_of_many_rows_in_clusters():
    draw = np.random.default_rng(0)
    centers = draw.random((20, 64))
    rows = (centers[draw.integers(20, size=700)] + 0.01 * draw.random((700, 64))).astype("f4")
    assert_same(top_k(rows, 10, block_size=256), brute_force(rows, 10))


@kinds
@pytest.mark.parametrize(("run", "margin"), [(1, 2), (2, 0), (4, 1), (8, 0)])
def test_comparing_the_maximum_of_each_run_first_changes_no_bit(kind, run, margin, monkeypatch):
    monkeypatch.setattr(candidates, "RUN_LENGTH", run)
    monkeypatch.setattr(search, "MARGIN", margin)
    k = min(2, len(FEATURES[kind]) - 1)
    assert_same(top_k(FEATURES[kind], k, block_size=16), brute_force(FEATURES[kind], k))


@pytest.mark.parametrize("block_size", [1024, 2048])
@pytest.mark.parametrize("order", ["random", "rising", "clusters", "duplicates"])
def test_large_tiles_give_the_same_neighbors(order, block_size):
    draw = np.random.default_rng(0)
    rows = draw.random((2304, 12)) ** 3
    if order == "rising":  # every tile is better than those before it
        rows = np.linspace(1, 0, 2304)[:, None] * rows + 1
    if order == "clusters":
        rows = rows[np.sort(draw.integers(30, size=2304))] + 0.01 * rows
    if order == "duplicates":
        rows = rows[draw.integers(100, size=2304)]
    rows = rows.astype("f4")
    assert_same(top_k(rows, 10, block_size=block_size), brute_force(rows, 10))


# The squares and sums of these numbers are exact, so the brute force has no rounding of its own.
few_values = st.sampled_from([-2, -1, -0.5, 0, 0, 0.5, 1, 1, 3])


ANY = given(
    st.data(),
    st.integers(2, 12),
    st.integers(1, 4),
    st.integers(1, 13),
    st.integers(0, 3),
    st.sampled_from(["float32", "tf32", "float16"]),
)


@ANY
def test_small_integers_with_many_ties_and_zeros(data, n, width, block_size, margin, precision):
    features = data.draw(arrays(np.float32, (n, width), elements=few_values))
    groups = data.draw(arrays(np.int64, n, elements=st.integers(0, 2)).filter(np.ptp))
    k = data.draw(st.integers(1, n - np.bincount(groups).max()))
    with mock.patch.object(search, "MARGIN", margin):
        how = {"block_size": block_size, "precision": precision}
        assert_same(nearest(features, k, **how), brute_force(features, k))
        neighbors = nearest(features, k, groups=groups, **how)
    assert_same(neighbors, brute_force(features, k, groups))


test_small_integers_with_many_ties_and_zeros_thoroughly = pytest.mark.slow(
    settings(max_examples=300)(
        ANY(test_small_integers_with_many_ties_and_zeros.hypothesis.inner_test)
    )
)


@kinds
@pytest.mark.parametrize("block_size", [7, None])
def test_rows_of_one_group_are_not_neighbors(kind, block_size):
    n = len(FEATURES[kind])
    groups, k = np.arange(n) // 3 if n > 3 else np.arange(n), min(n - 3, 4) if n > 3 else 1
    neighbors = top_k(FEATURES[kind], k, block_size=block_size, groups=groups)
    assert (groups[neighbors.index] != groups[:, None]).all()
    assert_same(neighbors, brute_force(FEATURES[kind], k, groups))


def test_groups_may_leave_exactly_k_neighbors():
    groups = [0] * 30 + [1] * 10
    assert_same(top_k(BASE, 10, groups=groups), brute_force(BASE, 10, groups))


@pytest.mark.parametrize("kind", ["equal rows", "only zeros", "too alike for float32"])
def test_rows_that_the_fast_pass_cannot_prove_are_searched_again(kind, monkeypatch):
    monkeypatch.setattr(search, "MARGIN", 2)
    neighbors = top_k(FEATURES[kind], 3)
    assert neighbors.fallback_share > 0.5
    assert_same(neighbors, brute_force(FEATURES[kind], 3))


@pytest.mark.parametrize("kind, k", [("positive", 10), ("normal", 10), ("only zeros", 39)])
def test_the_fast_pass_proves_every_row_of_ordinary_features(kind, k):
    assert top_k(FEATURES[kind], k).fallback_share == 0


@pytest.fixture(scope="module")
def on_edge() -> torch.Tensor:
    """Rows whose score with row 0 is where float32 rounds to another: the last bit decides."""
    start, step = torch.tensor(np.random.default_rng(0).random((2, 40, 300)))
    step[0] = 0
    low, high = torch.zeros(2, 40, 1, dtype=torch.float64)
    high += 1

    def scores(rows: torch.Tensor) -> torch.Tensor:
        return exact_scores(rows, row_norms(rows), torch.tensor([0]), torch.arange(40)[None]).T

    first = scores(start)
    for _ in range(60):
        middle = (low + high) / 2
        same = scores(start + middle * step) == first
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    return start + low * step


@pytest.mark.usefixtures("threads")
def test_a_score_has_the_same_bits_alone_and_in_a_batch(on_edge):
    norms, query, others = row_norms(on_edge), torch.tensor([0]), torch.arange(1, 40)[:, None]
    together = exact_scores(on_edge, norms, query, others.T)[0]
    alone = [exact_scores(on_edge, norms, query, other[None])[0, 0] for other in others]
    assert torch.equal(together, torch.stack(alone))
    assert torch.equal(together, exact_scores(on_edge, norms, others[:, 0], 0 * others)[:, 0])


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("block_size, margin", [(1, 16), (7, 0), (23, 1), (40, 30)])
def test_no_setting_changes_a_bit_where_scores_are_about_to_round(
    block_size, margin, on_edge, monkeypatch
):
    whole = top_k(on_edge, 39)
    monkeypatch.setattr(search, "MARGIN", margin)
    neighbors = top_k(on_edge, 5, block_size=block_size)
    assert_same(neighbors, Neighbors(whole.index[:, :5], whole.score[:, :5], 0))


@pytest.mark.usefixtures("medium_precision")
def test_every_product_has_full_precision(monkeypatch):
    tile, seen = Centered.tile, []
    monkeypatch.setattr(search, "MARGIN", 2)
    monkeypatch.setattr(
        Centered, "tile", lambda *a: seen.append(torch.get_float32_matmul_precision()) or tile(*a)
    )
    assert top_k(FEATURES["only zeros"], 3).fallback_share == 1
    assert seen == ["highest", "highest"]  # the sweep, and the search again


@pytest.mark.parametrize("inexact_pass", [(0.01, 0.0101), (0.1, 0.101)], indirect=True)
def test_a_wrong_product_with_a_true_bound_gives_right_neighbors(inexact_pass):
    neighbors = top_k(BASE, 5)
    assert neighbors.fallback_share > 0
    assert_same(neighbors, brute_force(BASE, 5))


@pytest.mark.parametrize("inexact_pass", [(0.01, 0), (0.1, 0.001)], indirect=True)
def test_a_wrong_product_with_too_small_a_bound_gives_wrong_neighbors(inexact_pass):
    assert (top_k(BASE, 5).index != brute_force(BASE, 5).index).any()


def test_a_block_may_be_larger_than_the_number_of_rows():
    assert_same(top_k(BASE, 4, block_size=10**7), brute_force(BASE, 4))


@kinds
@pytest.mark.parametrize("precision", ["float32", "tf32", "float16"])
def test_precision_of_the_fast_pass_changes_no_bit(kind, precision):
    k = min(4, len(FEATURES[kind]) - 1)
    neighbors = nearest(FEATURES[kind], k, block_size=16, precision=precision)
    assert_same(neighbors, brute_force(FEATURES[kind], k))


@kinds
def test_rows_streamed_to_the_device_change_no_bit(kind, monkeypatch):
    monkeypatch.setattr("src.similarity.centering.fits_on_device", lambda *_: False)
    k = min(4, len(FEATURES[kind]) - 1)
    assert_same(top_k(FEATURES[kind], k, block_size=7), brute_force(FEATURES[kind], k))
