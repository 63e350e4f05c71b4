"""The scores of all pairs: those of the search, whatever the threads and the memory."""

from itertools import combinations

import numpy as np
import pytest
import torch

from src.similarity import all_scores, exact_tiles, top_k, write_matrix
from src.similarity.all_scores import AllScores, StoredScores
from src.similarity.parallel import thread_count
from tests.similarity.test_watch import Recorder

DRAW = torch.Generator().manual_seed(0)
ROWS = torch.rand(700, 19, generator=DRAW)  # two whole bands and a part
ROWS[5], ROWS[699] = 0, 3 * ROWS[3]


def whole(features: torch.Tensor, **options: int) -> torch.Tensor:
    """Return all scores, (n, n)."""
    matrix = torch.full((len(features), len(features)), torch.nan)
    for rows, scores in AllScores(features, **options).bands():
        matrix[rows] = scores
    return matrix


@pytest.mark.parametrize("shift", [0.0, -0.5])
def test_scores_are_those_of_the_search(shift):
    rows = torch.where(ROWS == 0, 0, ROWS + shift)
    neighbors = top_k(rows, len(rows) - 1)
    matrix = whole(rows).numpy()
    found = np.take_along_axis(matrix, neighbors.index.astype(int), axis=1)
    np.testing.assert_array_equal(found, neighbors.score)
    np.testing.assert_array_equal(np.diag(matrix), np.arange(700) != 5)


def test_scores_are_symmetric_and_equal_for_any_threads_and_memory():
    expected = whole(ROWS)
    assert torch.equal(expected, expected.T)
    for threads in (1, 2, 5):
        with thread_count(threads):
            for max_bytes in (0, 300_000, 10**9):
                assert torch.equal(whole(ROWS, max_bytes=max_bytes), expected)


@pytest.mark.parametrize("size", [7, 256])
def test_a_stored_matrix_has_the_same_bands(tmp_path, monkeypatch, size):
    monkeypatch.setitem(all_scores.SIDE, "cpu", size)
    write_matrix(ROWS, tmp_path / "matrix.npy")
    watch = Recorder()
    stored = StoredScores(tmp_path / "matrix.npy", ROWS).bands(watch)
    expected = AllScores(ROWS).bands()
    for (rows, scores), (other_rows, others) in zip(stored, expected, strict=True):
        assert rows == other_rows
        assert torch.equal(scores, others)
    assert watch.done == watch.announced == {"ranking all images": -(-700 // size)}


@pytest.mark.parametrize(("size", "n"), [(1, 80), (7, 200), (64, 200)])
def test_other_bands_and_slices_give_the_same_scores(monkeypatch, size, n):
    expected = whole(ROWS[:n])
    monkeypatch.setitem(exact_tiles.SIDE, "cpu", size)
    monkeypatch.setitem(exact_tiles.SLICE, "cpu", 8)
    assert torch.equal(whole(ROWS[:n]), expected)


@pytest.mark.parametrize("blocks", [1, 2, 5, 8, 9, 14])
def test_as_many_tiles_are_kept_as_memory_allows(blocks):
    def most(distance: int) -> int:
        """Return the most tiles in memory after any block, counted one by one."""
        pairs = list(combinations(range(blocks), 2))
        kept = [(i, j) for i, j in pairs if j - i <= distance]
        return max(sum(i <= now < j for i, j in kept) for now in range(blocks))

    for tiles in range(-1, blocks**2):
        distance = all_scores.reach(blocks, tiles)
        assert most(distance) <= max(tiles, 0)
        assert distance == blocks - 1 or most(distance + 1) > tiles


@pytest.mark.parametrize("max_bytes, products", [(10**9, 28), (0, 49), (3 * 40_000, 28 + 10)])
def test_each_pair_is_multiplied_once_if_memory_allows(monkeypatch, max_bytes, products):
    done = []
    mm = torch.mm
    monkeypatch.setattr(torch, "mm", lambda *args, **named: done.append(mm(*args, **named)))
    monkeypatch.setitem(exact_tiles.SIDE, "cpu", 100)
    whole(ROWS, max_bytes=max_bytes)
    assert len(done) == products  # of 7 * 7 tiles of 40,000 bytes


def test_rows_of_any_scale_and_dtype():
    features = ROWS.double() * torch.logspace(-120, 120, 700, dtype=torch.float64)[:, None]
    assert torch.equal(whole(features), whole(ROWS))
    assert torch.allclose(whole(ROWS.half()), whole(ROWS), atol=1e-3)


def test_features_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="2 rows hold NaN or infinity.*the first is row 1"):
        AllScores([[1.0], [np.nan], [np.inf]])
    with pytest.raises(ValueError, match=r"features must be \(n, d\) floats"):
        AllScores([[1, 2], [3, 4]])


def test_bands_are_watched():
    watch = Recorder()
    list(AllScores(ROWS).bands(watch))
    assert watch.done == watch.announced == {"ranking all images": 3}
