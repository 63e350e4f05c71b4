"""Runs compared by what curators say: paired by query, and only with the same judgements."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from src.gallery.judgements import Verdict
from src.leaderboard import paired
from src.leaderboard.__main__ import main
from src.leaderboard.comparison import Leaderboard, compare
from src.leaderboard.export import print_leaderboard
from src.leaderboard.notes import notes
from src.leaderboard.runs import read_runs
from tests.support.ranked_run import clustered, works_of, write_ranked_run

N = 60
AGREEMENT = "judged/agreement"


def verdicts(seed: int = 0) -> list[Verdict]:
    """Return verdicts about pairs, most of them good within a cluster."""
    draw = np.random.default_rng(seed)
    pairs = draw.integers(0, (40, N), (300, 2)).tolist()
    said = [(i, j, (i % 6 == j % 6) != (draw.random() < 0.1)) for i, j in pairs if i != j]
    return [Verdict(f"{i:03d}.png", f"{j:03d}.png", "", good) for i, j, good in said]


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Return the folder of three runs over the same images: the last has other judgements."""
    draw = np.random.default_rng(1)
    rows = clustered() - 0.8
    noisy = (rows + 1.0 * draw.standard_normal(rows.shape)).astype(np.float32)
    write_ranked_run(tmp_path, None, rows, "clean", verdicts())
    write_ranked_run(tmp_path, None, noisy, "noisy", verdicts())
    write_ranked_run(tmp_path, None, rows, "later", verdicts(7))
    return tmp_path


def board_of(outputs: Path, *names: str, sort: str | None = AGREEMENT) -> Leaderboard:
    folders = [outputs / "runs" / "2026-01-01" / name for name in names]
    return compare(read_runs(folders), sort, "clean")


def test_the_paired_interval_is_scipy_s_over_the_judged_queries(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paired, "RESAMPLES", 5000)
    (board,) = board_of(outputs, "clean", "noisy").boards
    assert [*map(str, board.names)] == ["clean", "noisy"]
    found = board.paired.tested[1]
    values = [run.query_values(AGREEMENT) for run in board.runs]
    assert values[0] is not None and values[1] is not None
    pairs = (values[1] - values[0])[~np.isnan(values[0])]
    assert 20 < len(pairs) == board.queries < 40
    assert found.value == pytest.approx(pairs.mean(), abs=1e-6)
    expected = stats.bootstrap(
        (pairs,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.006)
    assert found.value < 0 and found.high < 0 and found.survives
    assert "draws" in " ".join(notes(board)) and "single queries" in " ".join(notes(board))


def test_a_runs_own_interval_is_scipy_s_over_the_judged_queries(outputs: Path) -> None:
    (run,) = read_runs([outputs / "runs" / "2026-01-01" / "noisy"])
    for name in (AGREEMENT, "judged/map", "judged/judged_at_10", "judged/precision_at_10"):
        values = run.query_values(name)
        assert values is not None
        expected = stats.bootstrap(
            (values[~np.isnan(values)],),
            np.mean,
            n_resamples=5000,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        found = run.metrics[f"{name}_low"], run.metrics[f"{name}_high"]
        assert found == pytest.approx(tuple(expected), abs=0.012), name


def test_runs_with_other_judgements_are_on_another_board(outputs: Path) -> None:
    result = board_of(outputs, "clean", "noisy", "later")
    assert sorted(sorted(board.names) for board in result.boards) == [["clean", "noisy"], ["later"]]
    assert result.headings[1].endswith("(images of board 1, other judgements)")


def test_by_a_label_they_share_a_board_whose_heading_warns(outputs: Path) -> None:
    (board,) = board_of(outputs, "clean", "noisy", "later", sort="artist/map_at_10").boards
    assert len(board.runs) == 3
    assert board.heading(AGREEMENT) == f"{AGREEMENT} (depends on judgements)"
    assert AGREEMENT in board.metrics()
    pairs = {
        name: int(run.metrics["judged/pairs"])
        for name, run in zip(board.names, board.runs, strict=True)
    }
    groups = {f"{pairs['clean']} pairs in clean, noisy", f"{pairs['later']} pairs in later"}
    (told,) = (line for line in notes(board) if "the same judgements: " in line)
    assert set(told.partition(": ")[2].split("; ")) == groups
    (same,) = board_of(outputs, "clean", "noisy", sort="artist/map_at_10").boards
    assert same.heading(AGREEMENT) == AGREEMENT
    assert "judgements" not in " ".join(notes(same))


def test_metrics_by_others_may_lack_the_number_of_pairs(outputs: Path) -> None:
    path = outputs / "runs" / "2026-01-01" / "later" / "metrics.json"
    metrics = json.loads(path.read_text())
    del metrics["judged/pairs"], metrics["judgements"]
    path.write_text(json.dumps(metrics))
    (board,) = board_of(outputs, "clean", "later", sort="artist/map_at_10").boards
    assert "unknown pairs in later" in " ".join(notes(board))


def test_a_run_without_judgements_is_on_the_board_of_its_labels(outputs: Path) -> None:
    write_ranked_run(outputs, None, clustered(), "plain")
    (board,) = board_of(outputs, "clean", "plain").boards
    assert ([*board.names], [run.folder.name for run in board.missing_metric]) == (
        ["clean"],
        ["plain"],
    )
    assert board_of(outputs, "clean", "plain", sort=None).boards[0].metric == "artist/map_at_10"


def test_a_board_by_judgements_names_their_table_and_has_no_precision_of_a_few(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = outputs / "runs" / "2026-01-01" / "clean" / ".hydra" / "config.yaml"
    config.write_text(f"{config.read_text()}data: {{judgements: a/said.csv}}\n")
    result = board_of(outputs, "clean", "noisy")
    (board,) = result.boards
    assert result.headings == [board.collection]
    assert board.collection.endswith(", judgements of said.csv")
    assert not any("precision" in name for name in board.metrics())
    print_leaderboard(result)
    assert "P@1" not in capsys.readouterr().out
    (by_label,) = board_of(outputs, "clean", "noisy", sort="artist/map_at_10").boards
    assert "said.csv" not in by_label.collection and by_label.precision


def test_without_labels_judgements_decide(tmp_path: Path) -> None:
    works = works_of(N)[["image_id", "file", "title", "width", "height", "sha256"]]
    write_ranked_run(tmp_path, works, clustered() - 0.8, "clean", verdicts())
    write_ranked_run(tmp_path, works, -clustered() + 0.8, "other", verdicts())
    (board,) = board_of(tmp_path, "clean", "other", sort=None).boards
    assert board.metric == AGREEMENT
    assert not any("no labels" in line for line in notes(board))


def test_the_command_writes_them(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = outputs / "runs" / "2026-01-01"
    assert main([str(day / "clean"), str(day / "noisy"), "--sort", AGREEMENT]) == 0
    printed = capsys.readouterr().out
    assert AGREEMENT in printed
    metrics = json.loads((day / "clean" / "metrics.json").read_text())
    assert f"{metrics[AGREEMENT]:.3f}" in printed
