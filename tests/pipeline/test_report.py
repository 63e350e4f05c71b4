import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from src.config import Config
from src.run import run
from src.runtime.devices import peak_memory
from src.runtime.progress import Clock


def test_the_clock_records_each_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([9.0, 10.0, 12.5, 20.0, 20.25, 30.0, 39.5])
    monkeypatch.setattr("src.runtime.progress.time.perf_counter", lambda: next(readings))
    clock = Clock()
    for stage in ("embed", "rank"):
        with clock(stage):
            pass
    with pytest.raises(OSError), clock("evaluate"):
        raise OSError
    assert clock.elapsed() == 30.5
    monkeypatch.undo()
    assert clock.seconds == {"seconds/embed": 2.5, "seconds/rank": 0.25}


def test_peak_memory_is_that_of_a_process_with_torch() -> None:
    assert 0.1 < peak_memory()["peak_memory_gb"] < 20


def test_a_run_has_the_expected_metrics(finished_run: Path) -> None:
    metrics = json.loads((finished_run / "metrics.json").read_text())
    named = {"intra", "intra_at_1", "inter", "inter_std", "gap", "separation", "inter_stored_only"}
    named |= {"images", "skipped", "images_per_second", "waiting_for_data", "peak_memory_gb"}
    named |= {"device", "weights", "unproven_rows", "seconds/embed", "folder/precision_at_10"}
    ends = ("", "_chance", "_low", "_high", "_macro")
    deep = ("precision_at_1", "precision_at_5", "map_at_10", "recall_at_10", "r_precision")
    named |= {f"folder/{name}{end}" for name in deep for end in ends}
    named |= {"auc", "auc_low", "intra_at_1_high", "folder/label_auc", "folder/fewer_than_10"}
    named |= {"orphans", "reciprocity", "near_duplicates"}
    assert named <= metrics.keys()
    assert metrics["folder/precision_at_1_chance"] == pytest.approx(3 / 11)


def test_metrics_of_each_query_average_to_the_metric(finished_run: Path) -> None:
    metrics = json.loads((finished_run / "metrics.json").read_text())
    with np.load(finished_run / "queries.npz") as queries:
        assert queries["intra"].shape == (12,)
        assert queries["intra"].mean() == pytest.approx(metrics["intra"])
        precision = queries["folder/precision_at_5"]
    assert precision.mean() == pytest.approx(metrics["folder/precision_at_5"])


def test_a_run_that_fails_at_its_very_end_is_incomplete(
    cfg: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "src.reporting.tracking.Tracker.points", mock.Mock(side_effect=OSError("unplugged"))
    )
    with pytest.raises(OSError, match="unplugged"):
        run(cfg, tmp_path)
    assert not (tmp_path / "metrics.json").exists()
