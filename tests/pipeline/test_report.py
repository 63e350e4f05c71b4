import json
import shlex
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from src.config import Config
from src.pipeline.report import summary
from src.run import run
from src.runtime.devices import peak_memory
from src.runtime.progress import Clock

METRICS = {
    "images": 12,
    "skipped": 1,
    "intra": 0.9,
    "inter": 0.5,
    "gap": 0.4,
    "seconds/embed": 2.0,
    "seconds/rank": 1.5,
    "weights": "random (seed 0)",
    "a/b/queries": 7,
    "a/b/precision_at_1": 0.75,
    "a/b/precision_at_1_chance": 0.125,
    "c/queries": 5,
    "c/precision_at_1": 0.5,
    "c/precision_at_10": 0.25,
    "c/map_at_10": 0.375,
    "c/map_at_10_low": 0.3125,
    "c/map_at_10_high": 0.4375,
}


def test_the_summary_shows_metrics_files_and_next_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metrics.json").touch()
    summary(METRICS, tmp_path)
    printed = capsys.readouterr().out
    rows = [" ".join(line.split()) for line in printed.splitlines()]
    assert "12 1 0.9000 0.5000 0.4000 3.5" in rows
    assert "a/b 7 0.750 0.125" in rows  # no precision at 10 with fewer neighbors
    assert "c 5 0.500 0.250 0.375 0.312-0.438" in rows
    assert "random" in printed
    assert "metrics.json" in printed
    assert f"python -m src.show --run {tmp_path}" in printed


def test_the_next_command_is_valid_for_the_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / 'Künstler\'s "works" $1'
    folder.mkdir()
    summary(METRICS, folder)
    (command,) = [line for line in capsys.readouterr().out.splitlines() if "src.show" in line]
    assert shlex.split(command) == ["python", "-m", "src.show", "--run", str(folder)]


@pytest.mark.parametrize("columns", [10, 40, 59, 80, 200])
def test_a_narrow_terminal_cuts_no_number(
    columns: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    summary(METRICS, tmp_path)
    words = capsys.readouterr().out.replace(",", " ").split()
    assert {"0.9000", "0.5000", "0.4000", "0.125", "0.375", "0.312-0.438"} <= set(words)


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}])
def test_the_summary_has_no_control_characters(
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    summary(METRICS, tmp_path)
    assert "\x1b" not in capsys.readouterr().out


def test_the_clock_records_each_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([10.0, 12.5, 20.0, 20.25, 30.0])
    monkeypatch.setattr("src.runtime.progress.time.perf_counter", lambda: next(readings))
    clock = Clock()
    for stage in ("embed", "rank"):
        with clock(stage):
            pass
    with pytest.raises(OSError), clock("evaluate"):
        raise OSError
    monkeypatch.undo()
    assert clock.seconds == {"seconds/embed": 2.5, "seconds/rank": 0.25}


def test_peak_memory_is_that_of_a_process_with_torch() -> None:
    assert 0.1 < peak_memory()["peak_memory_gb"] < 20


def test_a_run_has_the_expected_metrics(finished_run: Path) -> None:
    metrics = json.loads((finished_run / "metrics.json").read_text())
    named = {"intra", "intra_at_1", "inter", "inter_std", "gap", "separation", "inter_stored_only"}
    named |= {"images", "skipped", "images_per_second", "waiting_for_data", "peak_memory_gb"}
    named |= {"device", "weights", "unproven_rows", "seconds/embed", "artist/precision_at_10"}
    ends = ("", "_chance", "_low", "_high", "_macro")
    deep = ("precision_at_1", "precision_at_5", "map_at_10", "recall_at_10", "r_precision")
    named |= {f"artist/{name}{end}" for name in deep for end in ends}
    named |= {"auc", "auc_low", "intra_at_1_high", "artist/label_auc", "artist/fewer_than_10"}
    named |= {"orphans", "reciprocity", "near_duplicates"}
    assert named <= metrics.keys()
    assert metrics["artist/precision_at_1_chance"] == pytest.approx(3 / 11)


def test_metrics_of_each_query_average_to_the_metric(finished_run: Path) -> None:
    metrics = json.loads((finished_run / "metrics.json").read_text())
    with np.load(finished_run / "queries.npz") as queries:
        assert queries["intra"].shape == (12,)
        assert queries["intra"].mean() == pytest.approx(metrics["intra"])
        precision = queries["artist/precision_at_5"]
    assert precision.mean() == pytest.approx(metrics["artist/precision_at_5"])


def test_a_run_that_fails_at_its_very_end_is_incomplete(
    cfg: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "src.reporting.tracking.Tracker.points", mock.Mock(side_effect=OSError("unplugged"))
    )
    with pytest.raises(OSError, match="unplugged"):
        run(cfg, tmp_path)
    assert not (tmp_path / "metrics.json").exists()
