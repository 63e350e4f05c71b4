import json
import time
from pathlib import Path

import numpy as np
import pytest

from src.config import Config
from src.machine import peak_memory
from src.progress import Clock
from src.report import summary
from src.run import run

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
    assert "random" in printed
    assert "metrics.json" in printed
    assert f"python -m src.show --run {tmp_path}" in printed


def test_the_clock_keeps_each_stage() -> None:
    clock = Clock()
    with clock("embed"):
        time.sleep(0.05)
    assert 0.04 < clock.seconds["seconds/embed"] < 1


def test_peak_memory_is_that_of_a_process_with_torch() -> None:
    assert 0.1 < peak_memory()["peak_memory_gb"] < 20


def test_metrics_have_the_names_of_the_design(cfg: Config, tmp_path: Path) -> None:
    run(cfg, tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    named = {"intra", "intra_at_1", "inter", "inter_std", "gap", "separation", "inter_stored_only"}
    named |= {"images", "skipped", "images_per_second", "waiting_for_data", "peak_memory_gb"}
    named |= {"device", "weights", "unproven_rows", "seconds/embed", "artist/precision_at_10"}
    assert named <= metrics.keys()
    assert metrics["artist/precision_at_1_chance"] == pytest.approx(3 / 11)


def test_metrics_of_each_query_average_to_the_metric(cfg: Config, tmp_path: Path) -> None:
    run(cfg, tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    with np.load(tmp_path / "queries.npz") as queries:
        assert queries["intra"].shape == (12,)
        assert queries["intra"].mean() == pytest.approx(metrics["intra"])
        each = queries["artist/precision_at_5"]
    assert each.mean() == pytest.approx(metrics["artist/precision_at_5"])
