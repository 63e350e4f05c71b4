"""Several clients at once, and pages of one site that are made by several threads."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from src.browser.data import DATA
from src.browser.opened import open_runs
from src.browser.views import VIEWS
from tests.support.browsed import browsed

THREADS = 8


@pytest.mark.slow
def test_clients_at_once_are_answered_as_one_alone(two_runs: list[Path], tmp_path: Path) -> None:
    (run, *_) = open_runs(two_runs)
    targets = [f"/{number}/{name}.html?row=3" for number in (0, 1) for name in VIEWS]
    targets += [
        f"/0/data/{n}/{i:03d}.js" for n, data in DATA.items() for i in range(data.count(run))
    ]
    targets += [
        f"/{kind}/0/000/{row}.jpg" for kind in ("thumbnails", "pictures") for row in range(3)
    ]
    words = [*two_runs, "--port", "0", "--outputs", tmp_path / "outputs"]  # which pages name
    with browsed(tmp_path / "alone.txt", *words) as server:
        alone = [(answer.status, answer.body) for answer in map(server.ask, targets)]
    (tmp_path / "outputs").rename(tmp_path / "made by one")
    with (
        browsed(tmp_path / "errors.txt", *words) as server,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        for target, expected in zip(
            targets, alone, strict=True
        ):  # each for the first time, at once
            answers = list(pool.map(server.ask, [target] * THREADS))
            assert [(answer.status, answer.body) for answer in answers] == [expected] * THREADS
    assert {status for status, _ in alone} == {200}
    assert (tmp_path / "errors.txt").read_text() == ""
