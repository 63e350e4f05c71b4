"""A search that goes on from kept lists is interrupted, killed, and shared by processes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from src.runtime.processes import ProcessGroup
from src.similarity import Neighbors, NeighborSearch, SearchOptions, checkpoint
from tests.support.brute_force import assert_same, brute_force
from tests.support.grown_lists import NEW, ROWS, Compared, K, keep
from tests.support.processes import Fork, Point


@pytest.fixture
def interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], dict[str, Any]]:
    """Return what interrupts a search after so many tiles, and returns its options."""

    def interrupt(stop: int) -> dict[str, Any]:
        def stopping(items: Any, step: str, _: int) -> Iterator[Any]:
            for count, item in enumerate(items):
                if step == "comparing" and count == stop:
                    raise KeyboardInterrupt
                yield item

        how = {"block_size": 16, "checkpoints": folder / "parts"}
        with pytest.raises(KeyboardInterrupt):
            keep(folder, ROWS, K, watch=stopping, **how)
        return how

    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", -1)
    monkeypatch.setattr(checkpoint, "SAVE_COST_RATIO", 0)
    return interrupt


def test_a_search_that_goes_on_from_other_lists_begins_anew(folder, interrupted):
    how = interrupted(30)
    for path in (folder / "earlier").iterdir():
        path.unlink()
    keep(folder / "earlier", ROWS[NEW:], K)  # as many images are new, but others
    with Compared() as compared:
        found = keep(folder, ROWS, K, **how)
    assert compared.growths[0].parts == (NEW, NEW)
    assert_same(found, brute_force(ROWS, K))


@pytest.mark.parametrize("stop", [1, 30])
def test_an_interrupted_search_goes_on_where_it_was(folder, stop, interrupted):
    how = interrupted(stop)
    remaining = list[int]()

    def seen(items: Any, step: str, _: int) -> Any:
        if step == "comparing":
            items = list(items)
            remaining.extend(items)
        return items

    found = keep(folder, ROWS, K, watch=seen, **(how | {"block_size": 9}))
    assert_same(found, brute_force(ROWS, K))
    assert remaining == list(range(stop, 51))  # of 2 bands of 26 blocks, each pair once
    assert not list((folder / "parts").iterdir())


def grow_to_be_killed(folder: Path, point: Point) -> None:
    """As the body of a child: grow, up to the point."""
    checkpoint.SAVE_SECONDS, checkpoint.SAVE_COST_RATIO = -1, 0
    point.arm()
    keep(folder, ROWS, K, block_size=16, checkpoints=folder / "parts")


@pytest.mark.parametrize(
    "point",
    [
        Point("replace", 3, "half", "candidates-0.npz"),
        Point("replace", 20, "after", "candidates-0.npz"),
        Point("replace", 0, "before", ".npz"),
        Point("replace", 51, "half", ".npz"),  # the lists
        Point("replace", 51, "after", ".npz"),
    ],
    ids=str,
)
def test_a_killed_search_goes_on(fork: Fork, folder, point):
    fork(grow_to_be_killed, folder, point).kill_at_announcement()
    with Compared() as compared:
        found = keep(folder, ROWS, K, block_size=16, checkpoints=folder / "parts")
    assert_same(found, brute_force(ROWS, K))
    done = point.call + (point.when == "after")
    assert compared.pairs <= max(0, 51 - done) * 16 * 16


def grow_together(folder: Path, rank: int) -> None:
    """Grow as one of two processes."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    options = SearchOptions(block_size=16, lists=folder, earlier=(folder / "earlier",))
    for number, rows in enumerate([ROWS, ROWS, ROWS[30:]]):
        found = NeighborSearch(rows, None, options, ProcessGroup(rank, 2)).nearest(K)
        np.savez(folder / f"found-{number}-{rank}", index=found.index, score=found.score)
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_find_what_one_does(fork: Fork, folder):
    for process in [fork(grow_together, folder, rank) for rank in (0, 1)]:
        process.wait_for_success()
    for number, rows in enumerate([ROWS, ROWS, ROWS[30:]]):
        for rank in (0, 1):
            with np.load(folder / f"found-{number}-{rank}.npz") as found:
                assert_same(Neighbors(found["index"], found["score"], 0), brute_force(rows, K))
