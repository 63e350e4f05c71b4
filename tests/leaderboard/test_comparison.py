import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.evaluation.metrics import is_filtered
from src.leaderboard.board import Board
from src.leaderboard.comparison import compare, sort_metric
from src.leaderboard.runs import Run, read_runs
from tests.support.made_runs import N, random_neighbors, update_metrics, write_run


def board_of(folder: Path, sort: str | None, metric: str, values: list[float | None]) -> Board:
    """Return the board of runs whose metric has these values, None for a run that lacks it."""
    draw = np.random.default_rng(0)
    for number, value in enumerate(values):
        write_run(folder / str(number), draw.random(N), random_neighbors(draw))
        update_metrics(folder / str(number), **({} if value is None else {metric: value}))
    (board,) = compare(read_runs([folder]), sort).boards
    return board


@pytest.mark.parametrize(
    ("metric", "order"),
    [
        ("seconds/rank", ["1", "2", "0"]),
        ("style/fewer_than_10", ["1", "2", "0"]),
        ("matrix_mb", ["1", "2", "0"]),
        ("interior/map_at_10", ["0", "2", "1"]),  # no "inter"
        ("secondsight/precision_at_1", ["0", "2", "1"]),
    ],
)
def test_the_direction_of_a_metric_decides_the_order(
    metric: str, order: list[str], tmp_path: Path
) -> None:
    board = board_of(tmp_path, metric, metric, [0.75, 0.25, 0.5])
    assert board.names == order
    assert board.table["behind"].tolist()[1:] == [0.25, 0.5]


def test_runs_without_the_metric_are_named(tmp_path: Path) -> None:
    board = board_of(tmp_path, "hubness", "hubness", [0.75, None, 0.5])
    assert board.names == ["2", "0"]
    assert [run.folder.name for run in board.missing_metric] == ["1"]


@pytest.mark.parametrize("column", ["artist", "object", "decade"])
def test_a_metric_with_a_filter_is_not_what_runs_are_sorted_by_unasked(column: str) -> None:
    names = (f"style-no_same_{column}/map_at_10", "style/map_at_10")
    run = Run(Path("run"), {}, [], dict.fromkeys(names, 0.5), "")
    assert sort_metric([run], None) == "style/map_at_10"
    assert list(map(is_filtered, names)) == [True, False]


def test_runs_of_two_sweeps_are_named_by_sweep_and_job(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name in ("monday/0", "monday/1", "tuesday/0"):
        write_run(tmp_path / name, draw.random(N), random_neighbors(draw))
    (board,) = compare(read_runs([tmp_path / "monday", tmp_path / "tuesday"]), None).boards
    assert sorted(board.names) == ["monday/0", "monday/1", "tuesday/0"]
    assert isinstance(board.table, pd.DataFrame) and list(board.table["run"]) == board.names


def test_the_main_metrics_are_those_of_labels_and_those_that_differ(tmp_path: Path) -> None:
    board = board_of(tmp_path, None, "hubness", [0.75, None])
    assert board.metrics() == ["artist/map_at_10", "hubness"]  # inter is the same in both
    (alone,) = compare(read_runs([tmp_path / "1"]), None).boards
    assert alone.metrics() == ["artist/map_at_10", "inter"]


@pytest.mark.parametrize(
    "module", ["src.leaderboard.__main__", "src.reporting.run_folder", "src.evaluation.metrics"]
)
def test_it_starts_without_torch(module: str) -> None:
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
