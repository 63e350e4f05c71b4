from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from src.config import Config
from src.leaderboard.comparison import compare
from src.leaderboard.hparams import SUFFIX, write_columns
from src.leaderboard.runs import read_runs
from src.reporting.tracking import tracking
from tests.support.made_runs import N, random_neighbors, update_metrics, write_run
from tests.support.options import changed


def columns(folder: Path) -> tuple[dict[str, list], list[str]]:
    """Return the settings with their values, and the metrics, in the file of columns."""
    (path,) = folder.rglob(f"*{SUFFIX}")
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


def test_settings_of_the_network_and_of_similarity_come_first(cfg: Config, tmp_path: Path) -> None:
    """TensorBoard shows the first five."""
    for name, limit in (("layer2", 6), ("layer3", 12)):
        folder, options = tmp_path / name, changed(cfg, "data", limit=limit)
        write_logged_run(options, folder, name, top_k=limit)
        path = folder / ".hydra" / "config.yaml"
        saved = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({"data": {"limit": limit}} | saved))
    write_columns(compare(read_runs([tmp_path]), None), tmp_path)
    assert list(columns(tmp_path)[0]) == ["backbone.layer", "similarity.top_k", "data.limit"]


def test_only_one_run_has_columns_and_no_folder_becomes_a_run(cfg: Config, tmp_path: Path) -> None:
    write_logged_run(cfg, tmp_path / "sweep" / "0", "layer3")
    (tmp_path / f"events.out.tfevents.1.host{SUFFIX}").touch()  # of an earlier version
    for folder in (tmp_path / "sweep", tmp_path, tmp_path):
        write_columns(compare(read_runs([folder]), None), folder)
    assert [path.parent for path in tmp_path.rglob(f"*{SUFFIX}")] == [tmp_path / "sweep" / "0"]
    main_ones = {"backbone.name": ["resnet18"], "backbone.layer": ["layer3"]}
    assert columns(tmp_path)[0] == main_ones | {"similarity.postprocess": ["none"]}
