"""Differences to a baseline: resampled and tested by class, between runs that can be compared."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from src.evaluation.significance import holm
from src.leaderboard import paired
from src.leaderboard.__main__ import main
from src.leaderboard.board import Board
from src.leaderboard.comparison import compare
from src.leaderboard.notes import SIGN, notes
from src.leaderboard.runs import read_runs
from tests.support.compared_runs import read_notes, write_compared
from tests.support.made_runs import update_metrics

ARTISTS = [f"artist {row % 14}" for row in range(140)]
IDS = np.arange(140) % 14


def board_of(folder: Path, baseline: str | None = "plain", sort: str | None = None) -> Board:
    """Return the only board of the runs in a folder."""
    (board,) = compare(read_runs([folder]), sort, baseline).boards
    return board


@pytest.fixture
def values() -> dict[str, np.ndarray]:
    """Return average precisions: all artists gain, two artists gain much, chance alone, a loss."""
    draw = np.random.default_rng(0)
    plain = draw.random(140).astype(np.float32).astype(float)
    gains = {
        "all": 0.05 + draw.normal(0, 0.03, 140),
        "two": 0.6 * np.isin(IDS, (3, 8)) + draw.normal(0, 0.02, 140),
        "none": draw.normal(0, 0.05, 140),
        "loss": -0.2 + draw.normal(0, 0.05, 140),
    }
    return {"plain": plain} | {
        name: (plain + gain).astype(np.float32).astype(float) for name, gain in gains.items()
    }


@pytest.fixture
def folder(tmp_path: Path, values: dict[str, np.ndarray]) -> Path:
    """Return the folder of the five runs."""
    return write_compared(tmp_path, ARTISTS, values)


def differences(board: Board) -> dict[str, paired.Difference]:
    """Return the tested differences by name."""
    return dict(zip(board.names, board.paired.tested, strict=True))


def test_a_difference_is_the_run_minus_the_baseline_with_scipy_s_interval(
    folder: Path, values: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paired, "RESAMPLES", 5000)
    found = differences(board_of(folder))
    for name in ("all", "two", "none", "loss"):
        pairs = values[name] - values["plain"]
        assert found[name].value == pytest.approx(pairs.mean(), abs=1e-6)
        by_class = np.array([pairs[artist == IDS].mean() for artist in range(14)])  # equal sizes
        expected = stats.bootstrap(
            (by_class,),
            np.mean,
            n_resamples=5000,
            method="percentile",
            rng=np.random.default_rng(1),
        )
        ends = expected.confidence_interval
        spread = ends.high - ends.low
        assert found[name].low == pytest.approx(ends.low, abs=0.06 * spread)
        assert found[name].high == pytest.approx(ends.high, abs=0.06 * spread)
    assert found["plain"] == paired.Difference()


def test_a_gain_of_two_artists_is_no_gain_of_painters(folder: Path) -> None:
    """By single queries the gain of two artists out of 14 would pass for one of all."""
    by_class = differences(board_of(folder))
    assert {name for name, found in by_class.items() if found.survives} == {"all", "loss"}
    assert by_class["two"].value > by_class["all"].value


def test_queries_are_resampled_if_all_runs_ask_for_it(
    tmp_path: Path, values: dict[str, np.ndarray]
) -> None:
    query = {"evaluation": {"resample": "query"}}
    board = board_of(write_compared(tmp_path, ARTISTS, values, **query))
    survive = {name for name, found in differences(board).items() if found.survives}
    assert survive == {"all", "two", "loss"}
    text = read_notes(" ".join(notes(board)))
    assert "draws 140 single queries, as evaluation.resample=query asks" in text
    mixed = write_compared(tmp_path / "mixed", ARTISTS, values, {"two": query})
    assert not differences(board_of(mixed))["two"].survives


def test_p_values_are_corrected_for_the_number_of_runs(folder: Path) -> None:
    main([str(folder), "--baseline", "plain"])
    table = pd.read_csv(folder / "leaderboard.csv").set_index("run")
    assert table["p"].isna().tolist() == [name == "plain" for name in table.index]
    known = table["p"].dropna()
    assert table["p_holm"].dropna().to_numpy() == pytest.approx(holm(known.to_numpy()))
    assert known["all"] == pytest.approx(2 / 2**14, abs=1e-3)
    (alone,) = compare(read_runs([folder / "plain", folder / "none"]), None, "plain").boards
    found = differences(alone)["none"]
    assert found.p == found.p_holm == known["none"]


def test_every_form_shows_differences_and_marks_those_that_survive(folder: Path, capsys) -> None:
    assert main([str(folder), "--baseline", "plain"]) == 0
    printed = read_notes(capsys.readouterr().out)
    found = differences(board_of(folder))
    cells = {name: f"{found[name].value:+.3f} [{found[name].low:+.3f}" for name in ("all", "two")}
    page = (folder / "leaderboard.html").read_text()
    text = (folder / "leaderboard.md").read_text()
    for written in (printed, text):
        lines = {name: written.partition(cell)[2].partition("]")[2] for name, cell in cells.items()}
        assert lines["all"].startswith(f" {SIGN}") and not lines["two"].startswith(f" {SIGN}")
        assert "plain (baseline)" in written and "behind the best" not in written
    for written in (read_notes(text), printed, read_notes(page.replace("&#39;", "'"))):
        assert f"{SIGN} significant, 2 of 4: p at most 0.05 after Holm's correction" in written
        assert "for 4 comparisons; two-sided, by random signs of 14 classes of artist" in written
    row = page.partition(">all</a>")[2].partition("</tr>")[0]
    assert 'class="sign"' in row and '<span class="role">baseline</span>' in page
    main([str(folder), "--baseline", "plain", "--latex"])
    latex = capsys.readouterr().out
    assert r"\textdagger{} {\footnotesize {[}+0.0" in latex and "& baseline" in latex
    assert r"difference" in latex and "4 comparisons" in latex.partition(r"\caption")[2]


def test_without_a_baseline_nothing_is_tested_and_the_board_says_why(folder: Path) -> None:
    board = board_of(folder, baseline=None)
    assert "p" not in board.table and "difference" not in board.table
    text = " ".join(notes(board))
    assert SIGN not in text
    assert "the best of 5 runs may lead by chance, so the gaps to it are not tested" in text
    assert "a paired bootstrap that draws 14 classes of artist" in text


def test_few_classes_cannot_show_a_difference(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    values = {name: more + 0.1 * draw.random(140) for name, more in (("plain", 0), ("better", 0.5))}
    board = board_of(write_compared(tmp_path, [f"{row % 4}" for row in range(140)], values))
    assert not differences(board)["better"].survives
    text = " ".join(notes(board))
    assert "with 4 classes of artist, no p-value of 1 can be below 0.12: there are too few" in text


def test_one_class_has_a_difference_without_an_interval(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    values = {name: draw.random(20) for name in ("plain", "other")}
    found = differences(board_of(write_compared(tmp_path, ["x"] * 20, values)))["other"]
    assert found.value is not None and found.low is found.p is None and not found.survives


def test_a_metric_that_depends_on_top_k_is_not_compared_between_several(
    tmp_path: Path, values: dict[str, np.ndarray], capsys
) -> None:
    settings = {name: {"similarity": {"top_k": 3 + (name == "two")}} for name in values}
    folder = write_compared(tmp_path, ARTISTS, values, settings)
    for number, name in enumerate(values):
        update_metrics(folder / name, hubness=0.5 + number)
    board = board_of(folder, sort="hubness")
    assert [found.value for found in board.paired.differences] == [None] * 5
    text = "hubness depends on similarity.top_k, in which these runs differ: its values are not"
    assert text in " ".join(notes(board))
    for words in (["--latex"], []):
        assert main([str(folder), "--sort", "hubness", "--baseline", "plain", *words]) == 0
        assert text in read_notes(capsys.readouterr().out.replace(r"\_", "_"))
    assert pd.read_csv(folder / "leaderboard.csv")["difference"].isna().all()
    main([str(folder)])
    heading = "hubness (depends on top_k)"
    assert heading in (folder / "leaderboard.md").read_text()
    page = (folder / "leaderboard.html").read_text()
    assert heading in page and "in which these runs differ: do not compare." in page
    for name in values:  # the same top_k in all
        update = {"similarity": {"top_k": 3}}
        (folder / name / ".hydra" / "config.yaml").write_text(str(update))
    same = board_of(folder, sort="hubness")
    assert same.table["difference"].notna().sum() == 4 and same.heading("hubness") == "hubness"


def test_labels_that_were_changed_since_are_not_resampled(folder: Path) -> None:
    (works,) = folder.parent.glob("outputs/galleries/*/works.csv")
    works.write_text(works.read_text().replace("artist 3", "artist 4"))
    board = board_of(folder)
    text = " ".join(notes(board))
    assert "140 single queries, since their classes are not known: the labels in" in text
    assert "were changed after the run" in text


def test_without_their_gallery_runs_are_compared_by_query(folder: Path) -> None:
    (works,) = folder.parent.glob("outputs/galleries/*/works.csv")
    works.unlink()
    board = board_of(folder)
    assert board.paired.unit_count == 140
    assert "the gallery of the runs is gone or damaged" in " ".join(notes(board))


@pytest.mark.parametrize("separator", ["", " ", 5, ["a"], {"a": 1}])
def test_a_separator_that_is_none_splits_nothing(
    separator: object, tmp_path: Path, values: dict[str, np.ndarray]
) -> None:
    folder = write_compared(tmp_path, ARTISTS, values, evaluation={"multilabel": separator})
    assert main([str(folder), "--baseline", "plain"]) == 0
    assert board_of(folder).paired.unit_count == 14


def test_intervals_of_earlier_runs_are_called_too_narrow(
    tmp_path: Path, values: dict[str, np.ndarray]
) -> None:
    earlier = {"evaluation": {"depth": 100}}
    folder = write_compared(tmp_path, ARTISTS, values, {"two": earlier})
    assert "intervals of artist/map_at_10 of run two are those of an earlier version" in " ".join(
        notes(board_of(folder))
    )


def test_what_a_filter_leaves_makes_no_board_of_its_own_but_other_queries(
    tmp_path: Path, values: dict[str, np.ndarray]
) -> None:
    folder = write_compared(tmp_path, ARTISTS, values)
    metric = "artist-no_same_object/map_at_10"
    for name, array in values.items():
        array = np.where(np.arange(140) < 100 + 20 * (name == "two"), array, np.nan)
        update = {metric: float(np.nanmean(array)), f"{metric}_chance": 0.1 + (name == "loss")}
        queries = int(np.isfinite(array).sum())
        update_metrics(folder / name, **update, **{"artist-no_same_object/queries": queries})
        np.savez(folder / name / "queries.npz", **{metric: array, "artist/map_at_10": values[name]})
    board = board_of(folder, sort=metric)
    found = differences(board)
    assert {name for name in values if found[name].value is not None} == {"all", "none"}
    text = " ".join(notes(board))
    assert "no difference to the baseline for runs with other queries: 100 in the baseline" in text
    assert "120 in two" in text and "100 with other possible neighbors in loss" in text
    plain = differences(board_of(folder))
    assert all(plain[name].value is not None for name in ("all", "two", "none", "loss"))
