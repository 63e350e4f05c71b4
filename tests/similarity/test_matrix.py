"""A matrix whose writing is killed: real processes, real kills."""

import math
import random
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from src.runtime.resume import LOGS
from src.similarity import matrix, tile_writer, write_matrix
from src.similarity.exact_tiles import ExactTiles
from src.similarity.tile_writer import TileWriter
from tests.support.processes import (
    Fork,
    Point,
)

ROWS = np.random.default_rng(0).random((300, 24), dtype="f4")
TILES = 190  # of 19 blocks
SYNC = 4  # tiles
# written and not synced, waiting for the sync before, waiting to be written, being computed
AT_MOST = 2 * SYNC + 1 + tile_writer.QUEUED_TILES + 1


def write(folder: Path, dtype: str, point: Point | None = None) -> None:
    """Write the matrix of the rows in folder, with a sync after every 4th tile; a child's body."""
    if point is not None:
        point.arm()
    scores, write_tile, number = matrix.scores, TileWriter._write, count(1)

    def compute(exact: ExactTiles, rows: slice, columns: slice) -> Any:
        """Note which tile is computed."""
        with (folder / "computed").open("a") as file:
            file.write(f"{rows.start} {columns.start}\n")
        return scores(exact, rows, columns)

    def write_and_sync(self: TileWriter, *piece: Any) -> None:
        """Write a tile; before each 4th, wait until the sync before is done."""
        tile_writer.SYNC_SECONDS = math.inf
        if next(number) % SYNC == 0:
            before: Future[None] = self._syncing
            before.result()
            tile_writer.SYNC_SECONDS = -1
        write_tile(self, *piece)

    matrix.scores = compute
    TileWriter._write = write_and_sync  # type: ignore[method-assign]
    write_matrix(np.load(folder / "rows.npy"), folder / "matrix.npy", dtype, block_size=16)


def points(seed: str) -> list[Point]:
    """Draw where a process is killed, at another tile each time, in an order of their own.

    A sync is of the matrix, the next of the record of what that has.
    """
    draw = random.Random(seed)
    syncs = [2 * draw.randrange(2, 8) for _ in range(4)]
    made = [
        Point("pwrite", draw.randrange(300, 900), "half"),  # in a row of a tile
        Point("fdatasync", syncs[0], "before"),  # between tiles and their sync
        Point("fdatasync", syncs[1], "after"),  # between that and the record
        Point("fdatasync", syncs[2] + 1, "half"),  # in the record
        Point("fdatasync", syncs[3] + 1, "after"),
    ]
    return draw.sample(made, len(made))


def recorded(folder: Path) -> list[str]:
    """Return the numbers of the tiles that count as finished."""
    logs = sorted((folder / "matrix.npy.part").glob(LOGS))
    lines = [line for log in logs for line in log.read_text().splitlines()]
    return [line for line in lines if line.endswith(".")]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_after_kills_a_matrix_has_the_bytes_of_an_undisturbed_one(
    dtype: str,
    tmp_path: Path,
    fork: Fork,
) -> None:
    write_matrix(ROWS, tmp_path / "whole.npy", dtype, block_size=16)
    np.save(tmp_path / "rows.npy", ROWS)
    before: list[str] = []
    for point in points(dtype):
        fork(write, tmp_path, dtype, point).kill_at_announcement()
        assert not (tmp_path / "matrix.npy").exists()
        after = recorded(tmp_path)
        assert after[: len(before)] == before and len(after) > len(before), point
        before = after
    fork(write, tmp_path, dtype).wait_for_success()
    assert (tmp_path / "matrix.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert not (tmp_path / "matrix.npy.part").exists()
    each = (tmp_path / "computed").read_text().splitlines()
    assert len(set(before)) == len(before)  # what is finished is not computed again
    assert TILES == len(set(each)) <= len(each) <= TILES + 5 * AT_MOST


@pytest.mark.parametrize(
    ("when", "name"), [("after", "matrix.json"), ("before", "matrix.npy"), ("after", "matrix.npy")]
)
def test_a_kill_at_the_end_computes_no_tile_again_and_leaves_no_folder(
    when: Literal["before", "after"], name: str, tmp_path: Path, fork: Fork
) -> None:
    np.save(tmp_path / "rows.npy", ROWS)
    fork(write, tmp_path, "float32", Point("replace", 0, when, name)).kill_at_announcement()
    fork(write, tmp_path, "float32").wait_for_success()
    assert len((tmp_path / "computed").read_text().splitlines()) == TILES
    assert not (tmp_path / "matrix.npy.part").exists()
    write_matrix(ROWS, tmp_path / "whole.npy", "float32", block_size=16)
    assert (tmp_path / "matrix.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
