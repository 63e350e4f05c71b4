"""A search by several real processes over gloo on this machine."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from src.runtime import processes, resume
from src.runtime.progress import Watch
from src.similarity import (
    NeighborSearch,
    SearchOptions,
    checkpoint,
    exact_tiles,
    matrix,
    tile_writer,
    top_k,
    write_matrix,
)
from src.similarity.centering import Centered
from src.similarity.csls import csls_penalty
from tests.support.brute_force import of_tiles
from tests.support.processes import (
    Child,
    Fork,
    Point,
    announce,
)

TILES = 91  # of 200 rows: 13 blocks of at most 16
HELD = 8  # tiles of the process that is killed


def search(folder: Path, rank: int, size: int, what: str, held: bool) -> None:
    """Find neighbors among the rows in folder; the body of the processes below.

    Finished work is saved at once. A held process is killed after its 8th tile or, if there is a
    matrix, at its second sync. The others go on until they notice.
    """
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=size)
    (
        processes.HEARTBEAT_SECONDS,
        checkpoint.SAVE_SECONDS,
        checkpoint.SAVE_COST_RATIO,
        tile_writer.SYNC_SECONDS,
    ) = 0.05, 0, 0, 0
    options = SearchOptions(block_size=16)
    group = processes.ProcessGroup(rank, size)
    rows = np.load(folder / "rows.npy")
    penalty = None
    if what == "csls":
        penalty = csls_penalty(NeighborSearch(rows, None, options, group).nearest(10).score)
    if held and what == "matrix":
        Point("fdatasync", 2).arm()  # after one of the matrix, and one of its record
    seen, computed = list[int](), list[int]()
    held_at = HELD if held and what != "matrix" else None
    watch = watched(seen, computed, held_at, "matrix" if what == "matrix" else "search")
    stored: dict[str, Any] = {"checkpoints": folder / "part"}
    if what == "matrix":
        stored = {"matrix": folder / "m.npy"}
    options = replace(options, watch=watch, **stored)
    nearest = NeighborSearch(rows, None, options, group).nearest(5, penalty)
    arrays = {"index": nearest.index, "score": nearest.score, "seen": seen, "computed": computed}
    np.savez(folder / f"neighbors-{rank}.npz", **arrays)
    dist.barrier()
    dist.destroy_process_group()


def watched(seen: list[int], computed: list[int], held: int | None, of: str) -> Watch:
    """Record the numbers of all tiles and of the computed ones; announce after `held` tiles.

    They are those of a matrix or of a search.
    """
    tile, scores = Centered.tile, matrix.scores

    def compute(self: Centered, rows: Any, *arguments: Any) -> torch.Tensor:
        """Record the number of a tile, but not of single rows."""
        computed.extend(seen[-1:] if isinstance(rows, slice) else [])
        return tile(self, rows, *arguments)

    def compute_scores(*arguments: Any) -> torch.Tensor:
        """Record the number of a tile of a matrix."""
        computed.append(seen[-1])
        return scores(*arguments)

    def watch(tiles: Sequence[int]) -> Iterator[int]:
        """Yield the numbers."""
        for number in tiles:
            seen.append(number)
            yield number
            if len(seen) == held:
                announce(seen)

    if of == "matrix":
        matrix.scores = compute_scores
        return lambda items, step, _: watch(items) if step == "filling the matrix" else items
    Centered.tile = compute  # type: ignore[method-assign]
    return of_tiles(watch)


def started(
    fork: Fork, folder: Path, size: int, what: str, killed: int | None = None
) -> list[Child]:
    """Start `size` processes."""
    (folder / "meet").unlink(missing_ok=True)
    return [fork(search, folder, rank, size, what, rank == killed) for rank in range(size)]


@pytest.fixture
def rows(tmp_path: Path) -> np.ndarray:
    """Return 200 rows, the first fifty of which are there twice."""
    values = np.random.default_rng(0).random((200, 30), dtype="f4")
    values[150:] = values[:50]
    np.save(tmp_path / "rows.npy", values)
    return values


def assert_same_neighbors(
    folder: Path, rows: np.ndarray, size: int, what: str
) -> tuple[list[int], list[int]]:
    """Assert that each process has found what one process alone finds.

    Return the sorted numbers of the tiles that they went through, and of those they computed.
    """
    penalty = csls_penalty(top_k(rows, 10).score) if what == "csls" else None
    alone, files = top_k(rows, 5, penalty=penalty), list[Any]()
    for rank in range(size):
        saved = np.load(folder / f"neighbors-{rank}.npz")
        np.testing.assert_array_equal(saved["index"], alone.index)
        np.testing.assert_array_equal(saved["score"].view("i4"), alone.score.view("i4"))
        files.append(saved)
    if what == "matrix":
        options = SearchOptions(block_size=16, matrix=folder / "alone.npy")
        NeighborSearch(rows, options=options).nearest(5)
        assert (folder / "m.npy").read_bytes() == (folder / "alone.npy").read_bytes()
    seen, computed = (
        sorted(tile for file in files for tile in file[name].tolist())
        for name in ("seen", "computed")
    )
    return seen, computed


def on_disk(folder: Path, what: str) -> set[int]:
    """Return the numbers of the finished tiles of an unfinished call."""
    if what == "matrix":
        logs = (folder / "m.npy.part").glob(resume.LOGS)
        lines = [line for log in logs for line in log.read_text().splitlines()]
        return {int(line[:-1]) for line in lines if line.endswith(".")}
    files = (folder / "part").glob("*/candidates-*.npz")
    return {int(tile) for file in files for tile in np.load(file)["done"]}


@pytest.mark.parametrize("what", ["topk", "matrix", "csls"])
@pytest.mark.parametrize("size", [2, 3])
def test_several_processes_find_what_one_finds(size, what, rows, fork, tmp_path):
    for process in started(fork, tmp_path, size, what):
        process.wait_for_success()
    seen, computed = assert_same_neighbors(tmp_path, rows, size, what)
    assert seen == computed == list(range(TILES))  # each tile once


@pytest.mark.parametrize("what", ["topk", "matrix"])
@pytest.mark.parametrize(("size", "killed", "after"), [(2, 1, 2), (3, 0, 3), (3, 2, 1)])
def test_if_one_process_dies_all_end_and_the_next_start_resumes(
    size,
    killed,
    after,
    what,
    rows,
    fork,
    tmp_path,
):
    children = started(fork, tmp_path, size, what, killed)
    done = children[killed].kill_at_announcement()
    for process in children:
        process.communicate(timeout=60)
        assert process.returncode != 0
    finished = on_disk(tmp_path, what)
    assert 0 < len(finished) < TILES
    assert what == "matrix" or set(done) <= finished
    for process in started(fork, tmp_path, after, what):
        process.wait_for_success()
    _, computed = assert_same_neighbors(tmp_path, rows, after, what)
    assert computed == sorted(set(range(TILES)) - finished)  # only the missing ones, each once


def grow(folder: Path, rank: int, size: int) -> None:
    """Grow the matrix in folder; the body of the processes below."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=size)
    options = SearchOptions(16, matrix=folder / "new" / "m.npy", earlier=(folder / "earlier",))
    exact_tiles.SIDE["cpu"] = 8  # new rows at once
    group = processes.ProcessGroup(rank, size)
    NeighborSearch(np.load(folder / "rows.npy"), None, options, group).nearest(5)
    dist.destroy_process_group()


def test_several_processes_grow_a_matrix(rows, fork, tmp_path):
    (tmp_path / "earlier").mkdir()
    write_matrix(np.delete(rows, range(60, 100), axis=0), tmp_path / "earlier" / "m.npy")
    for process in [fork(grow, tmp_path, rank, 3) for rank in range(3)]:
        process.wait_for_success()
    write_matrix(rows, tmp_path / "fresh.npy")
    grown = tmp_path / "new" / "m.npy"
    assert grown.read_bytes() == (tmp_path / "fresh.npy").read_bytes()
    assert not (tmp_path / "earlier" / "m.npy").exists()  # it was grown in place
