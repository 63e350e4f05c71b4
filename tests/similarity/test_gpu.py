"""Neighbors on a GPU equal those of a brute force."""

import numpy as np
import pytest
import torch

from src.evaluation.all_pairs import Task, all_pairs
from src.evaluation.relevance import Relevance
from src.similarity import top_k
from src.similarity.all_scores import AllScores
from src.similarity.augment import augment
from tests.support.brute_force import FEATURES, assert_same, brute_force, nearest

kinds = pytest.mark.parametrize("kind", FEATURES)


def on_gpu(test):
    skip = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    return pytest.mark.gpu(skip(test))


@on_gpu
@kinds
@pytest.mark.parametrize("stays", [True, False], ids=["resident", "streamed"])
@pytest.mark.parametrize("precision", ["float32", "tf32", "float16"])
def test_no_precision_of_a_gpu_changes_a_bit(kind, precision, stays, monkeypatch):
    monkeypatch.setattr("src.similarity.centering.fits_on_device", lambda *_: stays)
    k = min(4, len(FEATURES[kind]) - 1)
    neighbors = nearest(FEATURES[kind], k, block_size=16, device="cuda", precision=precision)
    assert_same(neighbors, brute_force(FEATURES[kind], k))


@on_gpu
@pytest.mark.parametrize("precision", ["float32", "tf32", "float16"])
def test_a_gpu_and_the_cpu_find_the_same_among_many_rows(precision):
    draw = np.random.default_rng(0)
    centers = draw.random((100, 512))
    rows = centers[draw.integers(100, size=5000)] + 0.1 * draw.random((5000, 512))
    neighbors = nearest(rows.astype("f4"), 10, device="cuda", precision=precision)
    assert_same(neighbors, top_k(rows.astype("f4"), 10, device="cpu"))
    assert neighbors.fallback_share < 0.5


@on_gpu
@kinds
def test_a_gpu_that_writes_a_matrix_finds_the_same(kind, tmp_path):
    k = min(4, len(FEATURES[kind]) - 1)
    neighbors = nearest(
        FEATURES[kind], k, block_size=23, device="cuda", matrix=tmp_path / "matrix.npy"
    )
    assert_same(neighbors, brute_force(FEATURES[kind], k))


@on_gpu
@pytest.mark.parametrize("stays", [True, False], ids=["resident", "streamed"])
@pytest.mark.parametrize("precision", ["float32", "tf32", "float16"])
def test_a_collection_that_grows_on_a_gpu_has_the_bits_of_the_cpu(
    precision, stays, tmp_path, monkeypatch
):
    monkeypatch.setattr("src.similarity.centering.fits_on_device", lambda *_: stays)
    rows, old = np.random.default_rng(0).random((3000, 256), dtype="f4"), np.arange(3000) % 20 != 3
    how = {"device": "cuda", "precision": precision, "block_size": 512}
    nearest(rows[old], 10, lists=tmp_path / "earlier", **how)
    grown = nearest(rows, 10, lists=tmp_path, earlier=(tmp_path / "earlier",), **how)
    assert_same(grown, top_k(rows, 10, device="cpu"))


@on_gpu
def test_rows_augmented_by_the_lists_of_a_gpu_have_the_bits_of_the_cpu():
    rows = np.random.default_rng(0).random((3000, 256), dtype="f4")
    lists = [nearest(rows, 5, device=device) for device in ("cuda", "cpu")]
    first, second = (augment(torch.from_numpy(rows), x.index, x.score) for x in lists)
    assert torch.equal(first.rows, second.rows)
    assert torch.equal(first.length, second.length)


@on_gpu
@pytest.mark.parametrize("stays", [True, False], ids=["resident", "streamed"])
@pytest.mark.parametrize("max_bytes", [0, 10**9])
def test_a_gpu_scores_and_ranks_all_pairs_as_the_cpu_does(stays, max_bytes, monkeypatch):
    monkeypatch.setattr("src.similarity.exact_tiles.fits_on_device", lambda *_: stays)
    monkeypatch.setattr("src.similarity.exact_tiles.SIDE", {"cpu": 256, "cuda": 200})
    draw = np.random.default_rng(0)
    rows = torch.tensor(draw.random((900, 70), dtype="f4"))
    gpu = AllScores(rows, torch.device("cuda"), max_bytes)
    found = torch.cat([scores.cpu() for _, scores in gpu.bands()])
    assert torch.equal(found, torch.cat([scores.clone() for _, scores in AllScores(rows).bands()]))
    task = Task("x", Relevance(draw.integers(9, size=900), [np.arange(900)]))
    penalty = draw.random(900)
    assert all_pairs(rows, [task], penalty, "cuda")[0] == all_pairs(rows, [task], penalty)[0]
