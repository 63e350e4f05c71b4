"""One request at a time uses torch, whose number of threads is the process's."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from src.browser.filters import Wanted, find
from src.browser.opened import OpenRun, open_runs
from src.browser.query_run import Asked, answerer
from src.browser.run_search import COMPUTING
from src.embedding.crop import parse_crop
from src.io.outputs import Outputs
from src.similarity.queries import QuerySearch

WANTED = Wanted(5, labels=(("folder", "bea"),))  # more than a stored list has
NEAREST = ("nearest", "nearest_to_rows")


def is_held() -> bool:
    """Return whether another thread would have to wait for COMPUTING."""
    with ThreadPoolExecutor(1) as other:
        if other.submit(COMPUTING.acquire, False).result():
            other.submit(COMPUTING.release).result()
            return False
    return True


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that grows by whether the lock is held whenever a search computes."""
    seen = list[bool]()

    def watched(search: Callable[..., Any]) -> Callable[..., Any]:
        """Return a search that notes it."""

        def search_and_note(*arguments: Any) -> Any:
            """Note and search."""
            seen.append(is_held())
            return search(*arguments)

        return search_and_note

    for name in NEAREST:
        monkeypatch.setattr(QuerySearch, name, watched(getattr(QuerySearch, name)))
    return seen


@pytest.fixture
def run(two_runs: list[Path]) -> OpenRun:
    """Return a finished run."""
    return open_runs(two_runs[:1])[0]


def test_who_searches_holds_the_lock_and_gives_it_back(
    run: OpenRun, held: list[bool], tmp_path: Path
) -> None:
    assert not is_held()
    find(run, 0, WANTED)
    answerer(run, Outputs(tmp_path)).nearest(Asked("", 3), parse_crop(""), 5)
    assert held == [True, True]
    assert not is_held()


def test_requests_at_once_leave_the_number_of_threads(run: OpenRun) -> None:
    before = torch.get_num_threads()
    alone = [find(run, row, WANTED) for row in range(12)]
    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda row: find(run, row, WANTED), range(12)))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == before
    assert torch.get_num_threads() == before
    assert [find(run, row, WANTED) for row in range(12)] == alone
