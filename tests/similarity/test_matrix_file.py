"""The matrix of cosines: its values, and how it is written, resumed, reused and refused."""

import json
import shutil
from itertools import chain, repeat
from unittest import mock

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from src.errors import UserError
from src.runtime.progress import Watch
from src.similarity import (
    NeighborSearch,
    SearchOptions,
    exact_tiles,
    matrix,
    plan,
    stored_matrix,
    write_matrix,
)
from src.similarity.centering import Centered
from src.similarity.exact_tiles import ExactTiles
from src.similarity.parallel import thread_count
from src.similarity.tile_writer import TileWriter
from tests.similarity.test_exact_tiles import at_boundaries
from tests.support.brute_force import (
    BASE,
    DRAW,
    FEATURES,
    WIDE,
    assert_same,
    brute_force,
    contract,
    nearest,
)


@pytest.mark.parametrize("block_size", [1, 7, 23, 64])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("kind", FEATURES)
def test_entries_are_the_scores_of_the_contract(kind, dtype, block_size, tmp_path):
    write_matrix(FEATURES[kind], tmp_path / "matrix.npy", dtype, block_size)
    stored, expected = np.load(tmp_path / "matrix.npy", mmap_mode="r"), contract(FEATURES[kind])
    assert stored.dtype == dtype
    assert stored.tobytes() == expected.astype(dtype).tobytes()


@pytest.mark.parametrize("dtype, off", [("float32", 1e-7), ("float16", 5e-4)])
@pytest.mark.parametrize("kind", ["positive", "normal", "opposite rows", "zero rows", "alike"])
def test_entries_are_cosines(kind, dtype, off, tmp_path):
    write_matrix(FEATURES[kind], tmp_path / "matrix.npy", dtype)
    expected = cosine_similarity(FEATURES[kind].astype(np.float64))
    assert abs(np.load(tmp_path / "matrix.npy") - expected).max() < off


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_no_bit_of_the_file_depends_on_threads_blocks_or_hard_rows(threads, tmp_path):
    rows = at_boundaries(60, True)
    with thread_count(threads):
        for block_size in (64, len(rows)):
            write_matrix(rows, tmp_path / "matrix.npy", block_size=block_size)
            assert np.load(tmp_path / "matrix.npy").tobytes() == contract(rows).tobytes()
            (tmp_path / "matrix.npy").unlink()


def test_products_alone_give_other_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(exact_tiles, "error_bound", lambda *_: 0.0)
    write_matrix(at_boundaries(60, True), tmp_path / "matrix.npy")
    assert (np.load(tmp_path / "matrix.npy") != contract(at_boundaries(60, True))).any()


def test_the_matrix_of_an_earlier_version_is_written_anew(tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "matrix.npy"
    write_matrix(BASE, path)
    expected = path.read_bytes()
    np.save(path, np.ones((40, 40), "f4"))
    record = json.loads((tmp_path / "matrix.json").read_text())
    earlier = {"precision": "float32", "device": "cpu", "torch": "2.0", "block": 40, "threads": 2}
    (tmp_path / "matrix.json").write_text(json.dumps({"features": record["features"]} | earlier))
    assert_same(nearest(BASE, 4, matrix=path), brute_force(BASE, 4))
    assert f"not exact, of an earlier version, so written anew: {path}" in caplog.text
    assert path.read_bytes() == expected
    assert json.loads((tmp_path / "matrix.json").read_text()) == record


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("block_size", [1, 23, 40])
@pytest.mark.parametrize("kind", ["zero rows", "scaled copies", "normal"])
def test_matrix_is_symmetric_and_its_diagonal_one(kind, block_size, dtype, tmp_path):
    write_matrix(FEATURES[kind], tmp_path / "matrix.npy", dtype, block_size)
    stored, zero = np.load(tmp_path / "matrix.npy"), ~FEATURES[kind].any(axis=1)
    assert stored.tobytes() == stored.T.tobytes()
    np.testing.assert_array_equal(stored.diagonal(), ~zero)
    assert not stored[zero].any()
    assert abs(stored).max() <= 1


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
    options = SearchOptions(7, matrix=tmp_path / "matrix.npy", watch=interrupted_at_tile(3))
    with pytest.raises(KeyboardInterrupt):
        NeighborSearch(BASE, options=options).nearest(4)
    groups = np.arange(40) // 2
    neighbors = nearest(BASE, 4, matrix=tmp_path / "matrix.npy", block_size=9, groups=groups)
    assert_same(neighbors, brute_force(BASE, 4, groups))
    assert '"block": 7' in (tmp_path / "matrix.json").read_text()


@pytest.mark.parametrize("kind", [kind for kind in FEATURES if len(FEATURES[kind]) == 40])
@pytest.mark.parametrize("k", [1, 4, 20])
def test_neighbors_are_read_from_a_complete_matrix(kind, k, tmp_path, monkeypatch):
    rows, groups, penalty = FEATURES[kind], np.arange(40) // 3, DRAW.random(40)
    write_matrix(rows, tmp_path / "matrix.npy", block_size=23)
    before = (tmp_path / "matrix.npy").read_bytes()
    monkeypatch.setattr(plan, "MIN_WIDTH_TO_READ", 0)
    monkeypatch.setattr(Centered, "tile", mock.Mock(side_effect=AssertionError("computed")))
    monkeypatch.setattr(ExactTiles, "fill", mock.Mock(side_effect=AssertionError("computed")))
    monkeypatch.setattr(stored_matrix, "RUN_LENGTH", 2)
    monkeypatch.setattr(stored_matrix, "NUMBERS_AT_ONCE", 7 * 40)
    path = tmp_path / "matrix.npy"
    assert_same(nearest(rows, k, matrix=path), brute_force(rows, k))
    found = nearest(rows, k, groups, penalty, matrix=path)
    assert_same(found, brute_force(rows, k, groups, penalty))
    assert path.read_bytes() == before


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_matrix_of_narrow_rows_or_float16_is_not_read(dtype, tmp_path, monkeypatch):
    write_matrix(BASE, tmp_path / "matrix.npy", dtype)
    write_matrix(WIDE, tmp_path / "wide.npy", dtype)
    read = mock.Mock(side_effect=AssertionError("the matrix was read"))
    monkeypatch.setattr("src.similarity.search.nearest_stored", read)
    found = nearest(BASE, 4, matrix=tmp_path / "matrix.npy", dtype=dtype)
    assert_same(found, brute_force(BASE, 4))
    if dtype == "float16":
        found = nearest(WIDE, 4, matrix=tmp_path / "wide.npy", dtype=dtype)
        assert_same(found, brute_force(WIDE, 4))
    else:
        with pytest.raises(AssertionError, match="was read"):
            nearest(WIDE, 4, matrix=tmp_path / "wide.npy")


def test_another_file_in_place_of_the_matrix_is_refused(tmp_path):
    (tmp_path / "matrix.npy").write_text("an earlier one")
    with pytest.raises(UserError, match=r"is not a \(40, 40\) matrix of float32: delete it"):
        write_matrix(BASE, tmp_path / "matrix.npy")
    np.save(tmp_path / "matrix.npy", np.ones((39, 39), "f4"))
    with pytest.raises(UserError, match="delete it"):
        write_matrix(BASE, tmp_path / "matrix.npy")


def interrupted_at_tile(number: int) -> Watch:
    """Return a Watch that is interrupted before the tile of that number is computed."""

    def watch(items, step, count):
        """Go through the tiles; stop at one of them."""
        for place, item in enumerate(items):
            if step == "filling the matrix" and place == number:
                raise KeyboardInterrupt
            yield item

    return watch


def unplug_at_the_sixth_sync(patch: pytest.MonkeyPatch) -> None:
    """Sync each tile before the next is computed; from the sixth on, the disk fails."""
    add, sync = TileWriter.add, chain([None] * 5, repeat(OSError("unplugged")))

    def add_and_wait(self, *tile):
        """Add a tile while nothing else is synced, and wait until it is."""
        self._syncing.result()
        add(self, *tile)
        self._queue[-1].result()
        self._syncing.result()

    patch.setattr(TileWriter, "add", add_and_wait)
    patch.setattr("src.similarity.tile_writer.SYNC_SECONDS", -1)
    patch.setattr("os.fdatasync", mock.Mock(side_effect=sync))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_matrix_resumes_after_a_disk_error(dtype, tmp_path, monkeypatch):
    write_matrix(BASE, tmp_path / "whole.npy", dtype, block_size=7)
    with monkeypatch.context() as patch:
        unplug_at_the_sixth_sync(patch)
        with pytest.raises(OSError, match="unplugged"):
            nearest(BASE, 5, block_size=7, matrix=tmp_path / "matrix.npy", dtype=dtype)
    assert not (tmp_path / "matrix.npy").exists()
    scores, computed = matrix.scores, []
    monkeypatch.setattr(matrix, "scores", lambda *a: computed.append(a) or scores(*a))
    neighbors = nearest(BASE, 5, block_size=9, matrix=tmp_path / "matrix.npy", dtype=dtype)
    assert_same(neighbors, brute_force(BASE, 5))
    assert 0 < len(computed) < 21  # of the 21 tiles of 7 rows
    assert (tmp_path / "matrix.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert not (tmp_path / "matrix.npy.part").exists()


def test_tiles_of_a_failed_sync_are_not_logged_as_finished(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("src.similarity.tile_writer.SYNC_SECONDS", -1)
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
    monkeypatch.setattr(TileWriter, "add", mock.Mock(side_effect=OSError("unplugged")))
    with pytest.raises(OSError, match="unplugged"):
        write(BASE, tmp_path / "matrix.npy")
    assert not (tmp_path / "matrix.npy").exists()


def test_a_disk_that_is_too_small_is_reported_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: mock.Mock(free=40 * 40 * 4 - 1))
    with pytest.raises(UserError, match="free, but .* are needed: .*float16 needs 3.2 kB"):
        write_matrix(BASE, tmp_path / "matrix.npy")
    assert not (tmp_path / "matrix.npy").exists()
