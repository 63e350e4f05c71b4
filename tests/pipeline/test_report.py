import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from src.config import Config
from src.pipeline import report
from src.reporting import plots
from src.reporting.baselines import MARK
from src.reporting.page_files import save_page
from src.reporting.pages import Page, Text
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
    deep = ("precision_at_1", "precision_at_5", "map_at_10", "recall_at_10")
    named |= {f"folder/{name}{end}" for name in deep for end in ends}
    named |= {"auc", "auc_low", "intra_at_1_high", "folder/label_auc", "folder/fewer_than_10"}
    named |= {"orphans", "reciprocity", "near_duplicates", "copies"}
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


@pytest.mark.parametrize("name", ["neighbors", "scores"])
def test_every_picture_of_random_weights_is_marked(
    name: str, embedded: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: dict[str, list[str]] = {}

    def keep_page(page: Page, path: Path, title: str) -> None:
        texts["neighbors"] = [item.text for item in page.items if isinstance(item, Text)]
        save_page(page, path, title)

    def keep_plot(figure: Figure, *paths: Path) -> None:
        texts["scores"] = [text.get_text() for axes in figure.axes for text in axes.texts]
        plots.save(figure, *paths)
        assert [path.name for path in paths] == ["scores.png", "scores.pdf"]

    monkeypatch.setattr(report, "save_page", keep_page)
    monkeypatch.setattr(report, "plots", mock.Mock(score_plot=plots.score_plot, save=keep_plot))
    run(embedded, tmp_path)
    assert embedded.backbone.weights == "random"
    assert any(text.startswith(f"{MARK}: the network has learned") for text in texts[name])
    with Image.open(tmp_path / "scores.png") as plot:
        assert plot.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_a_plot_of_trained_weights_has_no_mark() -> None:
    scores = np.linspace(0, 1, 40, dtype="f4").reshape(10, 4)
    figure = plots.score_plot(scores, scores.ravel(), 0.5, 0.4, "ResNet50 $x$")
    assert [text.get_text() for text in figure.axes[0].texts] == [""]
    assert figure.axes[0].get_title() == "ResNet50 $x$"
