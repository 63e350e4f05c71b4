"""CSLS: the order, its penalties, and searches of the same rows one after the other."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics.pairwise import cosine_similarity

from src.config.enums import Postprocess, RankedBy
from src.evaluation.hubness import neighborhood_metrics
from src.gallery.folder import folder_gallery
from src.pipeline.embed import embed
from src.pipeline.rank import csls_penalties, rank
from src.similarity import Neighbors, NeighborSearch, SearchOptions, checkpoint, search, top_k
from src.similarity.centering import Centered
from src.similarity.csls import csls_penalty
from src.similarity.record import hash_of
from tests.support.brute_force import BASE, FEATURES, assert_same, brute_force, nearest
from tests.support.options import changed

kinds = pytest.mark.parametrize("kind", FEATURES)


def penalty_of(kind: str) -> np.ndarray:
    """By the brute force, of as many nearest as there are, 10 at most."""
    nearest = brute_force(FEATURES[kind], min(10, len(FEATURES[kind]) - 1))
    return nearest.score.astype("f8").mean(1) / 2


def stopping(tiles: list[int]) -> Iterator[int]:
    """Watch that interrupts a search after 5 tiles."""
    yield from tiles[:5]
    raise KeyboardInterrupt


def test_the_order_equals_the_published_formula():
    rows = np.random.default_rng(1).normal(size=(300, 20))
    cosine = cosine_similarity(rows)
    np.fill_diagonal(cosine, -np.inf)
    near = np.sort(cosine, axis=1)[:, -10:].mean(1)
    csls = 2 * cosine - near[:, None] - near
    neighbors = top_k(rows, 50, penalty=csls_penalty(top_k(rows, 10).score))
    np.testing.assert_array_equal(neighbors.index, np.argsort(-csls, axis=1)[:, :50])
    np.testing.assert_allclose(
        neighbors.score, np.take_along_axis(cosine, neighbors.index, 1), atol=1e-6
    )
    assert (np.diff(neighbors.score, axis=1) > 0).any()  # not the order of the cosine


@kinds
@pytest.mark.parametrize("margin", [0, 1, 16])
@pytest.mark.parametrize(
    "how", [{"block_size": 7}, {}, {"precision": "float16", "block_size": 16}], ids=str
)
def test_no_setting_changes_a_bit(kind, margin, how, monkeypatch):
    monkeypatch.setattr(search, "MARGIN", margin)
    k, penalty = min(4, len(FEATURES[kind]) - 1), penalty_of(kind)
    neighbors = nearest(FEATURES[kind], k, penalty=penalty, **how)
    assert_same(neighbors, brute_force(FEATURES[kind], k, penalty=penalty))


@kinds
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_writing_or_reading_a_matrix_changes_no_neighbor(kind, dtype, tmp_path):
    k, penalty = min(4, len(FEATURES[kind]) - 1), penalty_of(kind)
    rows, path = np.repeat(FEATURES[kind], 600 // FEATURES[kind].shape[1] + 1, axis=1), tmp_path
    for _ in range(2):
        neighbors = nearest(rows, k, penalty=penalty, matrix=path / "matrix.npy", dtype=dtype)
        assert_same(neighbors, brute_force(rows, k, penalty=penalty))
    plain = nearest(rows, k, matrix=path / "plain.npy", dtype=dtype)
    assert (path / "plain.npy").read_bytes() == (path / "matrix.npy").read_bytes()
    assert_same(plain, brute_force(rows, k))


few_values = st.sampled_from([-2, -1, -0.5, 0, 0, 0.5, 1, 1, 3])
penalties = st.sampled_from([-1e6, -1.5, -0.25, 0, 0, 0.1, 0.25, 1, 7.3])


ANY = given(st.data(), st.integers(2, 12), st.integers(1, 4), st.integers(1, 13), st.integers(0, 3))


@ANY
def test_any_penalty(data, n, width, block_size, margin):
    features = data.draw(arrays(np.float32, (n, width), elements=few_values))
    penalty = data.draw(arrays(np.float64, n, elements=penalties))
    groups = data.draw(arrays(np.int64, n, elements=st.integers(0, 2)).filter(np.ptp))
    k = data.draw(st.integers(1, n - np.bincount(groups).max()))
    with mock.patch.object(search, "MARGIN", margin):
        neighbors = top_k(features, k, penalty=penalty, groups=groups, block_size=block_size)
    assert_same(neighbors, brute_force(features, k, groups, penalty))


test_any_penalty_thoroughly = pytest.mark.slow(
    settings(max_examples=300)(ANY(test_any_penalty.hypothesis.inner_test))
)


@pytest.mark.parametrize("size", [10.0, 1e3, 1e5])
def test_a_penalty_much_larger_than_the_scores_is_rounded_to_float32(size, monkeypatch):
    monkeypatch.setattr(search, "MARGIN", 1)
    penalty = size + 0.01 * np.random.default_rng(0).random(40)
    assert_same(top_k(BASE, 5, penalty=penalty), brute_force(BASE, 5, penalty=penalty))


def test_rows_that_the_fast_pass_cannot_prove_are_searched_again(monkeypatch):
    monkeypatch.setattr(search, "MARGIN", 2)
    for kind in ("equal rows", "too alike for float32"):
        penalty = penalty_of(kind)
        neighbors = top_k(FEATURES[kind], 3, penalty=penalty)
        assert neighbors.fallback_share > 0.5
        assert_same(neighbors, brute_force(FEATURES[kind], 3, penalty=penalty))


def test_an_interrupted_search_resumes_only_with_its_own_penalty(tmp_path, monkeypatch):
    def seeing(tiles):
        seen.extend(tiles)
        return tiles

    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", -1)
    monkeypatch.setattr(checkpoint, "SAVE_COST_RATIO", 0)
    penalty, other = np.random.default_rng(0).random((2, 40))
    with contextlib.suppress(KeyboardInterrupt):
        nearest(BASE, 4, block_size=7, checkpoints=tmp_path, watch=stopping, penalty=penalty)
    for used, remaining in ((None, 21), (other, 21), (penalty, 16)):
        seen = []
        neighbors = nearest(BASE, 4, block_size=7, checkpoints=tmp_path, watch=seeing, penalty=used)
        assert_same(neighbors, brute_force(BASE, 4, penalty=0 if used is None else used))
        assert len(seen) == remaining


@pytest.mark.parametrize(
    "penalty", [np.zeros(39), np.zeros((40, 1)), [np.nan] + [0] * 39, [-1e300] + [0] * 39]
)
def test_a_wrong_penalty_is_refused(penalty):
    with pytest.raises(ValueError, match=r"penalty must be \(40,\) finite numbers"):
        top_k(BASE, 4, penalty=penalty)


def test_penalties_are_computed_once_for_the_same_rows_and_groups(tmp_path, monkeypatch):
    nearest_neighbors, depths = NeighborSearch.nearest, []

    def counted(search: NeighborSearch, k: int, **options: Any) -> Neighbors:
        depths.append(k)
        return nearest_neighbors(search, k, **options)

    monkeypatch.setattr(NeighborSearch, "nearest", counted)
    single, halves = np.arange(40), np.arange(40) // 20 * 20
    first = csls_penalties(NeighborSearch(BASE, single), tmp_path)
    assert torch.equal(first, csls_penalties(NeighborSearch(BASE, single), tmp_path))
    assert depths == [10]
    csls_penalties(NeighborSearch(BASE, halves), tmp_path)
    csls_penalties(NeighborSearch(BASE * 2, single), tmp_path)
    assert depths == [10, 10, 10]
    few = csls_penalties(NeighborSearch(BASE[:4], np.array([0, 1, 2, 2])), tmp_path / "few")
    assert depths[-1] == 2 and len(few) == 4


def test_the_stored_penalties_of_earlier_runs_are_read(tmp_path):
    search = NeighborSearch(BASE, np.arange(40))
    name = f"csls-10-{hash_of(torch.from_numpy(BASE))}-{hash_of(torch.arange(40))}.npy"
    np.save(tmp_path / name, np.arange(40.0))
    assert csls_penalties(search, tmp_path).tolist() == list(range(40))


@kinds
@pytest.mark.parametrize("memory", [0, 1500, 10**9], ids=["none", "some tiles", "all tiles"])
def test_a_second_search_that_reads_the_tiles_of_the_first_finds_the_same(
    kind, memory, monkeypatch
):
    monkeypatch.setattr(search, "free_memory", lambda _: 4 * memory)
    k, penalty = min(4, len(FEATURES[kind]) - 1), penalty_of(kind)
    searches = NeighborSearch(FEATURES[kind], options=SearchOptions(block_size=16))
    assert_same(searches.nearest(k, keep_tiles=True), brute_force(FEATURES[kind], k))
    neighbors = searches.nearest(k, penalty=penalty)
    assert_same(neighbors, brute_force(FEATURES[kind], k, penalty=penalty))
    assert_same(searches.nearest(k), brute_force(FEATURES[kind], k))


def test_a_second_search_computes_only_the_tiles_that_were_not_kept(monkeypatch):
    computed, tile = [], Centered.tile
    monkeypatch.setattr(Centered, "tile", lambda *a: computed.append(a) or tile(*a))
    searches = NeighborSearch(BASE, options=SearchOptions(block_size=7))
    for kept, count in ((True, 21), (False, 0), (False, 21)):  # of 21 tiles
        computed.clear()
        searches.nearest(4, keep_tiles=kept)
        assert len(computed) == count


def test_a_resumed_search_keeps_no_tiles_of_another_size(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", -1)
    monkeypatch.setattr(checkpoint, "SAVE_COST_RATIO", 0)
    with contextlib.suppress(KeyboardInterrupt):
        nearest(BASE, 4, block_size=7, checkpoints=tmp_path, watch=stopping)
    options = SearchOptions(block_size=9, checkpoints=tmp_path)
    searches = NeighborSearch(BASE, options=options)
    assert_same(searches.nearest(4, keep_tiles=True), brute_force(BASE, 4))
    assert_same(searches.nearest(4, np.zeros(40)), brute_force(BASE, 4))


def test_a_run_ranked_by_csls(embedded, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    outputs = Path(embedded.outputs)
    gallery = folder_gallery(Path(embedded.data.images), None, None, 0, outputs)
    embeddings = embed(gallery, embedded)
    for kind in (Postprocess.none, Postprocess.whiten):
        options = changed(embedded, "similarity", ranking=RankedBy.csls, postprocess=kind)
        neighbors = rank(embeddings, options, tmp_path / kind.name)
        near = brute_force(neighbors.features, 10).score.astype("f8").mean(1)
        assert_same(neighbors.saved, brute_force(neighbors.features, 3, penalty=near / 2))
        with np.load(tmp_path / kind.name / "neighbors.npz") as saved:
            np.testing.assert_array_equal(saved["index"], neighbors.saved.index)
    assert caplog.text.count("nearest neighbors of each image for csls") == 2
    rank(embeddings, options, tmp_path / "again")
    assert caplog.text.count("nearest neighbors of each image for csls") == 2


def test_csls_halves_hubness_and_orphans():
    rows = np.random.default_rng(0).normal(size=(1000, 60)) + 0.3
    plain = top_k(rows, 10)
    scaled = top_k(rows, 10, penalty=csls_penalty(plain.score))
    before, after = neighborhood_metrics(plain.index), neighborhood_metrics(scaled.index)
    assert after["hubness"] < before["hubness"] / 2
    assert after["orphans"] < before["orphans"] / 2
