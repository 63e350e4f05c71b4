import io
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from src.leaderboard.board import Board
from src.leaderboard.comparison import compare
from src.leaderboard.plots import overlap_heat_map, setting_plot
from src.leaderboard.runs import read_runs
from src.reporting.plots import score_plot
from tests.support.made_runs import N, random_neighbors, write_run


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """Return the board of three layers by two values of top_k, and a fourth with one of them."""
    grid = [*product(["layer2", "layer3", "layer4"], [4, 5]), ("layer1", 5)]
    draw = np.random.default_rng(0)
    for number, (layer, k) in enumerate(grid):
        settings = {"backbone": {"layer": layer}, "similarity": {"top_k": k}}
        write_run(
            tmp_path / str(number),
            0.1 * number + 0.1 * draw.random(N),
            random_neighbors(draw),
            **settings,
        )
    (board,) = compare(read_runs([tmp_path]), None).boards
    return board


def test_a_line_joins_runs_that_differ_in_one_setting_alone(board: Board) -> None:
    (layers,) = setting_plot(board, "backbone.layer").axes
    (numbers,) = setting_plot(board, "similarity.top_k").axes
    assert layers.get_ylim() == numbers.get_ylim()
    assert [text.get_text() for text in layers.get_xticklabels()] == [
        *("layer2", "layer3", "layer4", "layer1")
    ]
    value = {run.folder.name: run.metrics["artist/map_at_10"] for run in board.runs}
    drawn = [bars.lines[0].get_ydata().tolist() for bars in layers.containers]
    assert drawn == [[value[n] for n in line] for line in (["0", "2", "4"], ["1", "3", "5", "6"])]
    places = [np.round(bars.lines[0].get_xdata().astype(float)) for bars in layers.containers]
    assert [place.tolist() for place in places] == [[0, 1, 2], [0, 1, 2, 3]]
    drawn = [bars.lines[0].get_ydata().tolist() for bars in numbers.containers]
    assert drawn == [
        [value[n] for n in line] for line in (["0", "1"], ["2", "3"], ["4", "5"], ["6"])
    ]
    assert [text.get_text() for text in layers.get_legend().get_texts()] == ["4", "5"]


def test_a_dashed_line_is_at_the_baseline(board: Board) -> None:
    (plain,) = setting_plot(board, "backbone.layer").axes
    named = replace(board, baseline=board.runs[3])
    (axes,) = setting_plot(named, "backbone.layer").axes
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in dashed] == [board.runs[3].metrics["artist/map_at_10"]]
    assert not any(line.get_linestyle() == "--" for line in plain.lines)
    assert axes.get_ylim() == plain.get_ylim()


def test_the_overlap_heat_map_is_the_overlap_best_first(board: Board) -> None:
    (axes,) = overlap_heat_map(board).axes
    np.testing.assert_array_equal(axes.images[0].get_array(), board.overlap)
    assert [label.get_text() for label in axes.get_yticklabels()] == list("1234567")
    assert board.labels[0] == "layer1, 5 neighbors"
    assert len(axes.texts) == 49


def test_values_with_dollars_and_long_values_are_shown(tmp_path: Path) -> None:
    draw, long = np.random.default_rng(0), "x" * 200
    for number, value in enumerate(["a$_$b", long, f"/home/{long}/w.pth", "$x^$"]):
        settings = {"backbone": {"layer": value}, "similarity": {"name": value}}
        write_run(tmp_path / str(number), draw.random(N), random_neighbors(draw), **settings)
    (board,) = compare(read_runs([tmp_path]), None).boards
    for figure in (setting_plot(board, "backbone.layer"), overlap_heat_map(board)):
        figure.savefig(into := io.BytesIO(), format="svg")  # a warning would be an error
        assert b"</svg>" in into.getvalue()
    assert sorted(board.labels)[:2] == ["$x^$, $x^$", "a$_$b, a$_$b"]
    assert all(len(label) <= 50 for label in board.labels)


def test_plots_of_runs_without_intervals(board: Board) -> None:
    for run in board.runs:
        run.metrics.pop("artist/map_at_10_low")
    for figure in (setting_plot(board, "backbone.layer"), overlap_heat_map(board)):
        figure.savefig(into := io.BytesIO(), format="svg")
        assert b"</svg>" in into.getvalue()


def test_the_plot_shows_both_means() -> None:
    stored, random = np.full((5, 2), 0.9, np.float32), np.zeros(10, np.float32)
    (axes,) = score_plot(stored, random, 0.9, 0.1).axes
    assert [line.get_xdata()[0] for line in axes.lines] == [0.1, 0.9]
    assert len(axes.containers) == 2  # one histogram each, not one a column


def test_the_plot_survives_scores_that_are_all_equal() -> None:
    ones = np.ones((3, 2), np.float32)
    assert score_plot(ones, ones.ravel(), 1.0, 1.0).axes
