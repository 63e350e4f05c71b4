"""The matrix of cosines: its values, and how it is written, resumed, reused and refused."""

import shutil
from itertools import chain, repeat
from unittest import mock

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from src.errors import UserError
from src.similarity import plan, write_matrix
from src.similarity.centering import Centered
from src.similarity.matrix import Matrix
from tests.support.brute_force import BASE, FEATURES, WIDE, assert_same, brute_force, nearest


@pytest.mark.parametrize("block_size", [1, 5, 23, 100])
@pytest.mark.parametrize("dtype, off", [("float32", 2e-6), ("float16", 5e-4)])
@pytest.mark.parametrize("kind", ["positive", "normal", "opposite rows", "zero rows", "alike"])
def test_matrix_holds_the_cosines(kind, dtype, off, block_size, tmp_path):
    write_matrix(FEATURES[kind], tmp_path / "matrix.npy", dtype, block_size)
    matrix = np.load(tmp_path / "matrix.npy", mmap_mode="r")
    assert (matrix.shape, matrix.dtype) == ((40, 40), dtype)
    assert abs(matrix - cosine_similarity(FEATURES[kind].astype(np.float64))).max() < off


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("block_size", [1, 23, 40])
@pytest.mark.parametrize("kind", ["zero rows", "scaled copies", "normal"])
def test_matrix_is_symmetric_and_its_diagonal_one(kind, block_size, dtype, tmp_path):
    write_matrix(FEATURES[kind], tmp_path / "matrix.npy", dtype, block_size)
    matrix, zero = np.load(tmp_path / "matrix.npy"), ~FEATURES[kind].any(axis=1)
    assert matrix.tobytes() == matrix.T.tobytes()
    np.testing.assert_array_equal(matrix.diagonal(), ~zero)
    assert not matrix[zero].any()
    assert abs(matrix).max() <= 1


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_search_writes_the_bytes_of_write_matrix(dtype, tmp_path):
    write_matrix(BASE, tmp_path / "alone.npy", dtype, block_size=23)
    nearest(BASE, 5, block_size=23, matrix=tmp_path / "with.npy", dtype=dtype)
    assert (tmp_path / "with.npy").read_bytes() == (tmp_path / "alone.npy").read_bytes()


def test_a_complete_matrix_is_not_rewritten(tmp_path):
    write_matrix(BASE, tmp_path / "matrix.npy")
    np.save(tmp_path / "matrix.npy", np.full((40, 40), 7, "f4"))
    write_matrix(BASE, tmp_path / "matrix.npy", block_size=9)
    assert (np.load(tmp_path / "matrix.npy") == 7).all()


def test_a_matrix_of_other_features_is_refused(tmp_path):
    write_matrix(BASE, tmp_path / "matrix.npy")
    for work in (write_matrix, lambda rows, path: nearest(rows, 5, matrix=path)):
        with pytest.raises(UserError, match=r"is not of these features according to .*: delete it"):
            work(WIDE, tmp_path / "matrix.npy")
    (tmp_path / "matrix.json").unlink()
    with pytest.raises(UserError, match=r"matrix.npy is not of these features"):
        write_matrix(BASE, tmp_path / "matrix.npy")


def test_a_search_with_groups_resumes_the_matrix_of_one_without(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        stop = mock.Mock(side_effect=KeyboardInterrupt)
        nearest(BASE, 4, matrix=tmp_path / "matrix.npy", block_size=7, watch=stop)
    groups = np.arange(40) // 2
    neighbors = nearest(BASE, 4, matrix=tmp_path / "matrix.npy", block_size=9, groups=groups)
    assert_same(neighbors, brute_force(BASE, 4, groups))
    assert '"block": 7' in (tmp_path / "matrix.json").read_text()


@pytest.mark.parametrize("kind", ["positive", "zero rows", "ties", "normal", "alike"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("k", [1, 4, 20])
def test_neighbors_are_read_from_a_complete_matrix(kind, dtype, k, tmp_path, monkeypatch):
    write_matrix(FEATURES[kind], tmp_path / "matrix.npy", dtype, block_size=23)
    before = (tmp_path / "matrix.npy").read_bytes()
    computed = mock.Mock(wraps=Centered.tile)
    monkeypatch.setattr(plan, "MIN_WIDTH_TO_READ", 0)
    with monkeypatch.context() as patch:
        patch.setattr(Centered, "tile", lambda *a: computed(*a))
        neighbors = nearest(
            FEATURES[kind], k, block_size=7, matrix=tmp_path / "matrix.npy", dtype=dtype
        )
    assert_same(neighbors, brute_force(FEATURES[kind], k))
    again = round(neighbors.fallback_share * len(FEATURES[kind]))
    assert computed.call_count <= again  # only rows that the stored numbers leave open
    assert (tmp_path / "matrix.npy").read_bytes() == before


def test_a_matrix_of_narrow_rows_is_not_read(tmp_path, monkeypatch):
    write_matrix(BASE, tmp_path / "matrix.npy", block_size=23)
    write_matrix(WIDE, tmp_path / "wide.npy")
    read = mock.Mock(side_effect=AssertionError("the matrix was read"))
    monkeypatch.setattr(Matrix, "read", read)
    assert_same(nearest(BASE, 4, matrix=tmp_path / "matrix.npy"), brute_force(BASE, 4))
    with pytest.raises(AssertionError, match="was read"):
        nearest(WIDE, 4, matrix=tmp_path / "wide.npy")


def test_another_file_in_place_of_the_matrix_is_refused(tmp_path):
    (tmp_path / "matrix.npy").write_text("an earlier one")
    with pytest.raises(UserError, match=r"is not a \(40, 40\) matrix of float32: delete it"):
        write_matrix(BASE, tmp_path / "matrix.npy")
    np.save(tmp_path / "matrix.npy", np.ones((39, 39), "f4"))
    with pytest.raises(UserError, match="delete it"):
        write_matrix(BASE, tmp_path / "matrix.npy")


def unplug_at_the_sixth_sync(patch: pytest.MonkeyPatch) -> None:
    """Sync each tile before the next is computed; from the sixth on, the disk fails."""
    add, sync = Matrix.add, chain([None] * 5, repeat(OSError("unplugged")))

    def add_and_wait(self, *tile):
        """Add a tile while nothing else is synced, and wait until it is."""
        self._syncing.result()
        add(self, *tile)
        self._queue[-1].result()
        self._syncing.result()

    patch.setattr(Matrix, "add", add_and_wait)
    patch.setattr("src.similarity.matrix.SYNC_SECONDS", -1)
    patch.setattr("os.fdatasync", mock.Mock(side_effect=sync))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_matrix_resumes_after_a_disk_error(dtype, tmp_path, monkeypatch):
    write_matrix(BASE, tmp_path / "whole.npy", dtype, block_size=7)
    with monkeypatch.context() as patch:
        unplug_at_the_sixth_sync(patch)
        with pytest.raises(OSError, match="unplugged"):
            nearest(BASE, 5, block_size=7, matrix=tmp_path / "matrix.npy", dtype=dtype)
    assert not (tmp_path / "matrix.npy").exists()
    tile, computed = Centered.tile, []
    monkeypatch.setattr(Centered, "tile", lambda *a: computed.append(a) or tile(*a))
    neighbors = nearest(BASE, 5, block_size=9, matrix=tmp_path / "matrix.npy", dtype=dtype)
    assert_same(neighbors, brute_force(BASE, 5))
    assert 0 < len(computed) < 21  # of the 21 tiles of 7 rows
    assert (tmp_path / "matrix.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert not (tmp_path / "matrix.npy.part").exists()


def test_tiles_of_a_failed_sync_are_not_logged_as_finished(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("src.similarity.matrix.SYNC_SECONDS", -1)
        patch.setattr("os.fdatasync", mock.Mock(side_effect=[OSError("unplugged"), *[None] * 99]))
        with pytest.raises(OSError, match="unplugged"):
            write_matrix(BASE, tmp_path / "matrix.npy", block_size=7)
    assert not list((tmp_path / "matrix.npy.part").glob("done-*.txt"))


def test_a_matrix_whose_partial_file_was_deleted_is_written_again(tmp_path, monkeypatch):
    write_matrix(BASE, tmp_path / "whole.npy", block_size=7)
    with monkeypatch.context() as patch:
        unplug_at_the_sixth_sync(patch)
        with pytest.raises(OSError, match="unplugged"):
            write_matrix(BASE, tmp_path / "matrix.npy", block_size=7)
    assert list((tmp_path / "matrix.npy.part").glob("done-*.txt"))
    (tmp_path / "matrix.npy.part" / "matrix.npy").unlink()
    write_matrix(BASE, tmp_path / "matrix.npy", block_size=7)
    assert (tmp_path / "matrix.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.parametrize("write", [write_matrix, lambda rows, path: nearest(rows, 5, matrix=path)])
def test_an_error_leaves_no_matrix(write, tmp_path, monkeypatch):
    monkeypatch.setattr(Matrix, "add", mock.Mock(side_effect=OSError("unplugged")))
    with pytest.raises(OSError, match="unplugged"):
        write(BASE, tmp_path / "matrix.npy")
    assert not (tmp_path / "matrix.npy").exists()


def test_a_disk_that_is_too_small_is_reported_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: mock.Mock(free=40 * 40 * 4 - 1))
    with pytest.raises(UserError, match="free, but .* are needed: .*float16 needs 3.2 kB"):
        write_matrix(BASE, tmp_path / "matrix.npy")
    assert not (tmp_path / "matrix.npy").exists()
