"""The best run chosen on half of the classes, and what it is on the other half."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from src.leaderboard import paired
from src.leaderboard.__main__ import main
from src.leaderboard.board import Board
from src.leaderboard.comparison import compare
from src.leaderboard.halves import half_of
from src.leaderboard.notes import notes
from src.leaderboard.runs import read_runs
from tests.support.compared_runs import read_notes, write_compared
from tests.support.made_runs import update_metrics

NAMES = [f"painter {number}" for number in range(20)]
ARTISTS = [NAMES[row % 20] if row < 180 else "" for row in range(200)]


def digest_half(name: str) -> int:
    """Return the parity of the first byte of the SHA-256 of the seeded name."""
    text = f"half of the classes, seed 0: {name}"
    return hashlib.sha256(text.encode()).digest()[0] & 1


HALF = np.array([digest_half(name) if name else -1 for name in ARTISTS])


@pytest.fixture
def values() -> dict[str, np.ndarray]:
    """Return average precisions: lucky is the best on half A alone, solid on both together."""
    draw = np.random.default_rng(0)
    plain = np.where(HALF < 0, np.nan, 0.5 * draw.random(200))
    lucky = plain + np.where(HALF == 0, 0.2, -0.1) + draw.normal(0, 0.02, 200)
    solid = plain + 0.1 + draw.normal(0, 0.02, 200)
    return {"plain": plain, "lucky": lucky, "solid": solid}


@pytest.fixture
def folder(tmp_path: Path, values: dict[str, np.ndarray]) -> Path:
    """Return the folder of the three runs."""
    return write_compared(tmp_path, ARTISTS, values)


def board_of(folder: Path, baseline: str | None = "plain", sort: str | None = None) -> Board:
    """Return the only board of the runs in a folder, with halves."""
    (board,) = compare(read_runs([folder]), sort, baseline, halves=True).boards
    return board


def test_the_half_of_a_class_depends_on_nothing_but_its_name() -> None:
    assert [half_of(name) for name in NAMES] == [digest_half(name) for name in NAMES]
    halves = [half_of(f"{number}") for number in range(4000)]
    assert np.mean(halves) == pytest.approx(0.5, abs=0.03)
    assert half_of("caf\udce9") in (0, 1)  # bytes that are not UTF-8


def test_the_best_on_one_half_is_shown_on_the_other(
    folder: Path, values: dict[str, np.ndarray]
) -> None:
    board = board_of(folder)
    assert board.names == ["solid", "lucky", "plain"] and board.halves is not None
    first, second = board.halves.choices
    assert [board.names[first.at], board.names[second.at]] == ["lucky", "solid"]
    assert first.value == pytest.approx(values["lucky"][HALF == 0].mean(), abs=1e-6)
    assert first.other == pytest.approx(values["lucky"][HALF == 1].mean(), abs=1e-6)
    assert first.low < first.other < first.high
    gaps = (values["lucky"] - values["plain"])[HALF == 1]
    assert first.difference.value == pytest.approx(gaps.mean(), abs=1e-6)
    assert first.difference.low < gaps.mean() < first.difference.high < 0
    assert second.difference.low > 0.08
    assert board.roles == [["chosen on half B"], ["chosen on half A"], ["baseline"]]


def test_the_interval_on_a_half_is_that_of_its_classes_alone(
    folder: Path, values: dict[str, np.ndarray]
) -> None:
    board = board_of(folder)
    assert board.halves is not None
    found = board.halves.choices[0].difference
    gaps = (values["lucky"] - values["plain"]).astype(np.float32)
    artists = np.array(ARTISTS)
    by_class = [gaps[artists == name].mean() for name in NAMES if digest_half(name) == 1]
    draw = np.random.default_rng(1)
    means = draw.choice(by_class, (paired.RESAMPLES, len(by_class))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.15 * (high - low))


def test_every_form_shows_both_halves_and_the_choice(folder: Path, capsys) -> None:
    assert main([str(folder), "--halves", "--baseline", "plain"]) == 0
    board = board_of(folder)
    assert board.halves is not None
    table = pd.read_csv(folder / "leaderboard.csv").set_index("run")
    assert table[["half_a", "half_b"]].to_numpy() == pytest.approx(np.array(board.halves.values))
    assert table["mark"]["lucky"] == "chosen on half A"
    printed = read_notes(capsys.readouterr().out)
    text = read_notes((folder / "leaderboard.md").read_text())
    page = (folder / "leaderboard.html").read_text().replace("&#39;", "'")
    choice = board.halves.choices[0]
    sizes = [(half == HALF).sum() for half in (0, 1)]
    classes = [sum(digest_half(name) == half for name in NAMES) for half in (0, 1)]
    for written in (printed, text, read_notes(page)):
        assert "half A" in written and "half B" in written
        for half in (0, 1):
            name = "AB"[half]
            assert f"half {name} has {classes[half]} classes and {sizes[half]} queries" in written
        assert f"chosen on half A: lucky (lucky), with {choice.value:.3f}; on half B" in written
        assert f"{choice.difference.value:+.3f} [{choice.difference.low:+.3f}" in written
    assert '<span class="role">chosen on half A</span>' in page
    main([str(folder), "--halves", "--latex"])
    assert " & half A & half B" in capsys.readouterr().out


def test_runs_that_ask_for_halves_are_compared_so_unasked(
    tmp_path: Path, values: dict[str, np.ndarray], capsys
) -> None:
    asked = {"evaluation": {"halves": True, "resample": "class"}}
    folder = write_compared(tmp_path, ARTISTS, values, **asked)
    assert main([str(folder)]) == 0
    printed = read_notes(capsys.readouterr().out)
    assert "chosen on half A: lucky" in printed and "to the baseline" not in printed
    one_not = {"solid": {"evaluation": {"halves": False}}}
    (board,) = compare(
        read_runs([write_compared(tmp_path / "x", ARTISTS, values, one_not, **asked)]), None
    ).boards
    assert not board.is_halved and board.halves is None and "half_a" not in board.table


def test_the_baseline_itself_may_be_chosen(folder: Path) -> None:
    text = " ".join(notes(board_of(folder, baseline="lucky")))
    assert "chosen on half A: lucky" in text and "and is the baseline" in text


def test_a_run_with_other_queries_is_not_chosen(
    tmp_path: Path, values: dict[str, np.ndarray]
) -> None:
    easy = values["solid"] + 0.3
    easy[:5] = np.nan
    board = board_of(write_compared(tmp_path, ARTISTS, values | {"easy": easy}))
    assert board.names[0] == "easy" and board.halves is not None
    assert [board.names[choice.at] for choice in board.halves.choices] == ["lucky", "solid"]
    assert "180 in the baseline, 175 in easy" in " ".join(notes(board))


def test_halves_that_cannot_be_made_are_explained(
    tmp_path: Path, values: dict[str, np.ndarray], folder: Path
) -> None:
    for number, name in enumerate(values):
        update_metrics(folder / name, inter=0.1 * number)
    board = board_of(folder, sort="inter")
    assert board.halves is None
    assert "no halves: inter has no label whose classes could be halved" in " ".join(notes(board))
    x = np.linspace(0, 1, 50)
    alone = write_compared(tmp_path / "alone", ["Manet"] * 50, {"x": x})
    text = " ".join(notes(board_of(alone, baseline=None)))
    assert "no halves: there are no two comparable runs to choose from" in text
    same = write_compared(tmp_path / "same", ["Manet"] * 50, {"x": x, "y": x**2})
    text = " ".join(notes(board_of(same, baseline=None)))
    assert "no halves: all classes of artist are in the same half" in text
    (works,) = folder.parent.glob("outputs/galleries/*/works.csv")
    works.unlink()
    text = " ".join(notes(board_of(folder)))
    assert "no halves: the classes of artist/map_at_10 are not known: the gallery of the" in text


def test_runs_whose_metric_depends_on_other_settings_are_not_halved(
    tmp_path: Path, values: dict[str, np.ndarray]
) -> None:
    options = {name: {"resample": "class", "multilabel": name} for name in (";", None)}
    other = {"solid": {"evaluation": options[";"]}}
    folder = write_compared(tmp_path, ARTISTS, values, other, evaluation=options[None])
    board = board_of(folder)
    assert board.halves is None
    text = "no halves: artist/map_at_10 is not comparable between these runs"
    assert text in " ".join(notes(board))


def test_a_run_that_is_always_right_on_a_half_has_wilsons_interval_there(
    tmp_path: Path, values: dict[str, np.ndarray]
) -> None:
    right = np.where(HALF < 0, np.nan, 1.0)
    board = board_of(write_compared(tmp_path, ARTISTS, {"plain": values["plain"], "right": right}))
    assert board.halves is not None
    for choice in board.halves.choices:
        classes = sum(digest_half(name) == 1 - choice.chosen_on for name in NAMES)
        ends = stats.binomtest(classes, classes).proportion_ci(0.95, method="wilson")
        assert board.names[choice.at] == "right"
        assert (choice.low, choice.high) == pytest.approx(tuple(ends), abs=1e-6)
