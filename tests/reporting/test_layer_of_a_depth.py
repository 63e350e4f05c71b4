"""The settings of a run name the layer that a depth led to."""

from pathlib import Path

import numpy as np
import pytest

from src.reporting.run_folder import RunFolder
from tests.support.made_runs import N, random_neighbors, write_run


@pytest.mark.parametrize(
    ("asked", "folder", "shown"),
    [
        ("75%", "features.7", "features.7"),
        ("75%+100%", "features.7+features.12", "features.7+features.12"),
        ("avgpool", "layer4", "avgpool"),
        ("features.[79]", "features.7+features.9", "features.7+features.9"),
        ("layer*", "layer1+layer2-whitened", "layer1+layer2"),
        ("75%*.50+avgpool", "layer3*0.5+layer4-whitened", "layer3*0.5+layer4"),
    ],
)
def test_a_depth_is_shown_as_its_layer(asked: str, folder: str, shown: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    paths = {"embeddings": f"../../embeddings/g/squeezenet1_1-0123/{folder}"}
    write_run(
        tmp_path / "run", draw.random(N), random_neighbors(draw), paths, backbone={"layer": asked}
    )
    assert RunFolder(tmp_path / "run").settings()["backbone.layer"] == shown


def test_of_a_run_without_results_the_depth_is_shown(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("backbone: {layer: 75%}\n")
    assert RunFolder(tmp_path).settings() == {"backbone.layer": "75%"}
