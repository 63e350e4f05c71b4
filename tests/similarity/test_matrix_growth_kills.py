"""Growing a matrix is killed and gone on with, or meets what is damaged, full or gone."""

import errno
import os
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from src.errors import UserError
from src.similarity import matrix_assembly as assembly
from src.similarity import row_moves
from src.similarity.exact_tiles import ExactTiles
from src.similarity.matrix_files import PARTIAL
from tests.similarity.test_matrix_growth import ALL, EARLIER, earlier_matrix, fresh, grow
from tests.support.processes import Fork, Point

__all__ = ["earlier_matrix"]  # a fixture
SCORES = Point("pwrite", 0, "half")  # of new rows
TAKEN = [Point("rename", 0, when, PARTIAL) for when in ("before", "after")]  # type: ignore[arg-type]
MOVING = [
    *(Point("pwrite", call, "half") for call in (0, 9, 20)),  # in a row that is moved
    Point("write", 1, "before"),  # in the log
    Point("write", 2, "half"),
    Point("write", 1, "after"),
    Point("write", 2, "before"),
    Point("write", 2, "after"),
]
END = [
    Point("fsync", 0, "before"),  # of the whole matrix
    Point("replace", 0, "after", "m.rows.npy"),
    Point("replace", 0, "after", "m.json"),
    Point("replace", 0, "before", "m.npy"),
    Point("replace", 0, "after", "m.npy"),
]
POINTS = {
    "appended": [SCORES, *TAKEN, *MOVING, *END],
    "one appended": [*TAKEN, *MOVING, *END],  # places overlap, so that chunks are saved first
    "removed and interleaved": [SCORES, *TAKEN, *MOVING, *END],
    "shuffled": [*TAKEN, *MOVING, *END],
}


def child(folder: Path, kind: str, point: Point | None) -> None:
    """Grow the matrix in folder in small chunks; a child's body."""
    assembly.CHUNK_BYTES = 9_000
    if point is not None:
        point.arm()
    grow(ALL[kind], folder / "new" / "m.npy", folder / "earlier" / "m.npy")


@pytest.mark.parametrize("kind", POINTS)
def test_after_kills_growth_goes_on(kind: str, earlier: Path, tmp_path: Path, fork: Fork) -> None:
    expected, path = fresh(ALL[kind], tmp_path / "fresh"), tmp_path / "new" / "m.npy"
    for point in POINTS[kind]:
        fork(child, tmp_path, kind, point).kill_at_announcement()
        assert path.exists() == (point == END[-1])  # never before it is complete
    fork(child, tmp_path, kind, None).wait_for_success()
    assert path.read_bytes() == expected
    assert not (tmp_path / "new" / "m.npy.part").exists()
    assert earlier.exists() == (kind == "shuffled")


def killed_while_moving(fork: Fork, tmp_path: Path, kind: str) -> Path:
    """Grow, but be killed in the middle; return the file of the moves."""
    fork(child, tmp_path, kind, Point("write", 5, "before")).kill_at_announcement()
    return tmp_path / "new" / "m.npy.part" / assembly.MOVES


@pytest.mark.parametrize("kind", ["appended", "shuffled"])
def test_after_a_new_start_of_the_machine_all_is_computed(
    kind: str, earlier: Path, tmp_path: Path, fork: Fork, caplog: pytest.LogCaptureFixture
) -> None:
    expected = fresh(ALL[kind], tmp_path / "fresh")
    moves = killed_while_moving(fork, tmp_path, kind)
    boot, rest = moves.read_text().split(" ", 1)
    assert boot == row_moves.boot_id()
    moves.write_text(f"another {rest}")
    assert grow(ALL[kind], tmp_path / "new" / "m.npy", earlier) == expected
    assert "computing all, because the machine was started again" in caplog.text


def test_a_copied_matrix_that_is_gone_is_computed(
    earlier: Path, tmp_path: Path, fork: Fork, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    expected = fresh(ALL["shuffled"], tmp_path / "fresh")
    killed_while_moving(fork, tmp_path, "shuffled")
    earlier.unlink()
    assert grow(ALL["shuffled"], tmp_path / "new" / "m.npy", earlier) == expected
    assert f"computing all, because it is not there any more: {earlier}" in caplog.text


def test_a_matrix_of_other_rows_does_not_go_on(earlier: Path, tmp_path: Path, fork: Fork) -> None:
    killed_while_moving(fork, tmp_path, "appended")
    rows = ALL["interleaved"]
    grown = grow(rows, tmp_path / "new" / "m.npy", earlier)
    assert grown == fresh(rows, tmp_path / "fresh")


DAMAGE = {
    "no record": lambda path: path.with_suffix(".json").unlink(),
    "an earlier version": lambda path: path.with_suffix(".json").write_text('{"features": "x"}'),
    "a record that is no JSON": lambda path: path.with_suffix(".json").write_text("{"),
    "no digests": lambda path: path.with_suffix(".rows.npy").unlink(),
    "digests of fewer": lambda path: np.save(path.with_suffix(".rows.npy"), np.ones((9, 16), "u1")),
    "one number": lambda path: np.save(path, np.float32(1)),
    "damaged digests": lambda path: path.with_suffix(".rows.npy").write_bytes(b"no array"),
    "cut off": lambda path: os.truncate(path, path.stat().st_size - 1),
    "other bytes": lambda path: np.save(path, np.full((300, 300), 0.5, "f4")),
    "another type": lambda path: np.save(path, np.load(path).astype("f2")),
    "a text": lambda path: path.write_text("an earlier one"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_matrix_is_left_and_all_is_computed(
    kind: str, earlier: Path, tmp_path: Path
) -> None:
    DAMAGE[kind](earlier)
    before = earlier.read_bytes()
    grown = grow(ALL["appended"], tmp_path / "new" / "m.npy", earlier)
    assert grown == fresh(ALL["appended"], tmp_path / "fresh")
    assert earlier.read_bytes() == before


def test_a_matrix_of_few_of_the_rows_is_left(earlier: Path, tmp_path: Path) -> None:
    rows = np.concatenate([EARLIER[:200], 3 - EARLIER[:210]])
    assert grow(rows, tmp_path / "new" / "m.npy", earlier) == fresh(rows, tmp_path / "fresh")
    assert earlier.exists()


def test_a_full_disk_is_reported_before_the_matrix_is_taken(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = mock.Mock(free=40 * 340 * 4)  # enough for the scores of the new rows
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: free)
        with pytest.raises(UserError, match="54.4 kB free, but growing the matrix needs 33.7 MB"):
            grow(ALL["appended"], tmp_path / "new" / "m.npy", earlier)
    assert earlier.exists()
    expected = fresh(ALL["appended"], tmp_path / "fresh")
    monkeypatch.setattr(ExactTiles, "fill", mock.Mock(side_effect=AssertionError("computed again")))
    assert grow(ALL["appended"], tmp_path / "new" / "m.npy", earlier) == expected


def test_a_disk_that_fails_at_the_end_has_no_matrix(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "m.npy"
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", mock.Mock(side_effect=OSError(errno.EIO, "unplugged")))
        with pytest.raises(OSError, match="unplugged"):
            grow(ALL["appended"], path, earlier)
    assert not path.exists() and not earlier.exists()
    # what the disk has is not known, so nothing of it is used
    assert grow(ALL["appended"], path, earlier) == fresh(ALL["appended"], tmp_path / "fresh")
