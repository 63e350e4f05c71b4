import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from src.config import Config
from src.dashboard import main
from src.leaderboard.comparison import compare
from src.leaderboard.hparams import SUFFIX, write_columns
from src.leaderboard.runs import read_runs
from src.reporting.tracking import tracking
from tests.support.commands import ROOT, command
from tests.support.made_runs import N, random_neighbors, update_metrics, write_run
from tests.support.options import changed


def columns(folder: Path) -> tuple[dict[str, list], list[str]]:
    """Return the settings with their values, and the metrics, in the file of columns."""
    (path,) = folder.glob(f"*{SUFFIX}")
    content = EventAccumulator(str(path)).Reload().PluginTagToContent("hparams")
    columns = metadata.parse_experiment_plugin_data(content[metadata.EXPERIMENT_TAG])
    settings = {info.name: list(info.domain_discrete) for info in columns.hparam_infos}
    return settings, [info.name.tag for info in columns.metric_infos]


def write_logged_run(cfg: Config, folder: Path, layer: str, **similarity: Any) -> None:
    """Write a finished run with an event file of TensorBoard."""
    cfg = changed(cfg, "backbone", layer=layer)
    cfg = changed(changed(cfg, "similarity", **similarity), "tracking", tensorboard=True)
    draw = np.random.default_rng(0)
    write_run(
        folder,
        draw.random(N),
        random_neighbors(draw),
        backbone={"layer": layer},
        similarity=similarity,
    )
    with tracking(cfg, folder) as tracker:
        tracker.metrics({"intra": 0.5})


def test_columns_are_the_settings_that_differ(cfg: Config, tmp_path: Path) -> None:
    write_logged_run(cfg, tmp_path / "sweep" / "0", "layer3", top_k=20, whiten_dim=64)
    write_logged_run(cfg, tmp_path / "sweep" / "1", "layer2", top_k=5, whiten_dim=None)
    draw = np.random.default_rng(0)
    write_run(
        tmp_path / "not_logged",
        draw.random(N),
        random_neighbors(draw),
        backbone={"layer": "layer1"},
    )
    more = ({"hubness": 2.5}, {"hubness": 1.5, "style/map_at_10": 0.5}, {"hubness": 0.5})
    for folder, metrics in zip(("sweep/0", "sweep/1", "not_logged"), more, strict=True):
        update_metrics(tmp_path / folder, **metrics)
    comparison = compare(read_runs([tmp_path]), "inter")
    assert write_columns(comparison, tmp_path) == 2
    settings, metrics = columns(tmp_path)
    assert settings == {
        "backbone.layer": ["layer2", "layer3"],
        "similarity.top_k": [5, 20],
        "similarity.whiten_dim": ["64", "None"],
    }
    # not all runs have the last
    assert metrics == ["inter", "artist/map_at_10", "hubness", "style/map_at_10"]


def test_only_the_folder_that_is_looked_at_has_columns(cfg: Config, tmp_path: Path) -> None:
    write_logged_run(cfg, tmp_path / "sweep" / "0", "layer3")
    for folder in (tmp_path / "sweep", tmp_path, tmp_path):
        write_columns(compare(read_runs([folder]), None), folder)
    assert [path.parent for path in tmp_path.rglob(f"*{SUFFIX}")] == [tmp_path]
    main_ones = {"backbone.name": ["resnet18"], "backbone.layer": ["layer3"]}
    assert columns(tmp_path)[0] == main_ones | {"similarity.postprocess": ["none"]}


def test_a_folder_without_runs_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: there are no runs in {tmp_path}\n"


@pytest.fixture(scope="module")
def sweep(shared_paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a sweep of four runs, started by the command."""
    outputs = tmp_path_factory.mktemp("swept") / "outputs"
    words = ["-m", "backbone.layer=layer1,layer2", "similarity.top_k=2,3", "data=folder"]
    words += [f"data.images={shared_paintings}", f"outputs={outputs}"]
    words += ["backbone.name=resnet18", "backbone.weights=random", "trainer.accelerator=cpu"]
    words += ["evaluation.resamples=20"]
    assert command("src.run", *words).returncode == 0
    (folder,) = (outputs / "sweeps").glob("*/*")
    return folder


@pytest.fixture(scope="module")
def address(sweep: Path) -> Iterator[str]:
    """Yield the address of the sweep's dashboard."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "src.dashboard", str(sweep), "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        for line in server.stderr:
            if f":{port}/" in line:
                break
        yield f"http://localhost:{port}/"
        server.terminate()


@pytest.mark.slow
@pytest.mark.browser
def test_every_run_is_in_tensorboard(sweep: Path, address: str, browser) -> None:
    browser.goto(f"{address}#hparams")
    cells = browser.locator("vaadin-grid-cell-content")
    cells.get_by_text("layer2").nth(1).wait_for()
    texts = [text.strip() for text in cells.all_inner_texts()]
    heads = ["Trial ID", "Show Metrics", "backbone.layer", "similarity.top_k"]
    heads += ["folder/map_at_10", "folder/precision_at_1", "inter"]
    assert texts[: len(heads)] == heads
    for job in range(4):
        metrics = json.loads((sweep / str(job) / "metrics.json").read_text())
        options = yaml.safe_load((sweep / str(job) / ".hydra" / "config.yaml").read_text())
        layer, k = options["backbone"]["layer"], options["similarity"]["top_k"]
        at = next(i for i in range(len(texts)) if texts[i : i + 3] == [str(job), "", layer])
        assert float(texts[at + 3]) == k
        shown = [float(texts[at + 4 + place]) for place in range(len(heads) - 4)]
        assert shown == pytest.approx([metrics[name] for name in heads[4:]], rel=1e-4)
    browser.get_by_text("Parallel coordinates view").click()
    lines = browser.locator("tf-hparams-parallel-coords-plot .foreground path")
    lines.nth(3).wait_for(state="attached")
    assert lines.count() == 4 and all(line.get_attribute("d") for line in lines.all())


@pytest.mark.slow
@pytest.mark.browser
def test_pictures_and_points_are_in_tensorboard(sweep: Path, address: str, browser) -> None:
    browser.goto(f"{address}#images")
    browser.get_by_text("tag: neighbors").nth(3).wait_for()
    browser.goto(f"{address}#histograms")
    browser.reload()
    browser.get_by_text("neighbor_scores").first.wait_for()
    with browser.expect_response(re.compile("/sprite_image")) as sprite:
        browser.goto(f"{address}#projector")
        browser.reload()
    assert sprite.value.ok and sprite.value.headers["content-type"] == "image/jpeg"
    page = browser.frame_locator("iframe").frame_locator("iframe")
    page.locator(".numDataPoints", has_text="12").wait_for()
    assert page.get_by_text("does not have WebGL").count() == 0
