"""The four stages of any network, and the depths that name them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.config import Backbone
from src.embedding import stages
from src.embedding.layers import name_layers
from src.embedding.models import empty_network, load_network, preset_of
from src.embedding.nodes import trunk
from src.embedding.stages import cached_stages
from src.errors import UserError
from src.pipeline.embed import embed
from tests.support.embedding import RESNET_LAYERS, forbid_embedding, layer

DEPTHS = ["25%", "50%", "75%", "100%"]
# As the papers and configs/backbone name the stages, each with its number of channels
STAGES = {
    "resnet50": [("layer1", 256), ("layer2", 512), ("layer3", 1024), ("layer4", 2048)],
    "regnet_y_400mf": [
        *[("trunk_output.block1", 48), ("trunk_output.block2", 104)],
        *[("trunk_output.block3", 208), ("trunk_output.block4", 440)],
    ],
    "squeezenet1_1": [
        *[("features.1", 64), ("features.4", 128), ("features.7", 256), ("features.12", 512)]
    ],
    "vgg16": [
        ("features.8", 128),
        ("features.15", 256),
        ("features.22", 512),
        ("features.29", 512),
    ],
    "alexnet": [("features.1", 64), ("features.7", 384), ("features.9", 256), ("features.11", 256)],
    "densenet121": [
        *[("features.denseblock1", 256), ("features.denseblock2", 512)],
        *[("features.denseblock3", 1024), ("relu", 1024)],
    ],
    "mobilenet_v3_large": [
        *[("features.3", 24), ("features.6", 40), ("features.12", 112), ("features.16", 960)]
    ],
    "efficientnet_b0": [
        *[("features.2", 24), ("features.3", 40), ("features.5", 112), ("features.8", 1280)]
    ],
    "shufflenet_v2_x1_0": [("conv1", 24), ("stage2", 116), ("stage3", 232), ("conv5", 1024)],
    "convnext_tiny": [
        *[("features.1", 96), ("features.3", 192), ("features.5", 384), ("features.7", 768)]
    ],
    "swin_t": [("features.1", 96), ("features.3", 192), ("features.5", 384), ("norm", 768)],
    "vit_b_16": [
        *[(f"encoder.layers.encoder_layer_{block}", 768) for block in (2, 5, 8)],
        ("encoder.ln", 768),
    ],
    "timm/vit_small_patch14_dinov2": [
        *[(f"blocks.{block}", 384) for block in (2, 5, 8)],
        ("norm", 384),
    ],
    "timm/levit_128": [("stem.act3", 64), ("stages.0", 128), ("stages.1", 256), ("stages.2", 384)],
}


def untrained(name: str, **options) -> Backbone:
    return Backbone(name=name, weights="random", **options)


@pytest.mark.parametrize("name", STAGES)
def test_depths_are_the_ends_of_the_stages(name: str, tmp_path: Path) -> None:
    asked = untrained(name, layer="75%+100%")
    named = name_layers(asked, preset_of(asked), tmp_path)
    names = [layer for layer, _ in STAGES[name]]
    assert (named.layers, named.layer) == (names, f"{names[2]}+{names[3]}")


@pytest.mark.parametrize("name", STAGES)
def test_shapes_without_numbers_are_those_of_the_network(name: str) -> None:
    size = preset_of(untrained(name)).size
    nodes = trunk(empty_network(untrained(name), size), size)
    widths = {name: node.width for node in nodes for name in node.names}
    assert [(layer, widths[layer]) for layer, _ in STAGES[name]] == STAGES[name]


@pytest.mark.usefixtures("small_squares")
@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5"])
def test_a_sweep_over_depths_is_one_pass(name: str, cfg, gallery, monkeypatch) -> None:
    network = {"name": name, "weights": "random"}
    first = embed(gallery, replace(cfg, backbone=Backbone(layer="25%", **network)))
    forbid_embedding(monkeypatch)
    others = [
        embed(gallery, replace(cfg, backbone=Backbone(layer=depth, **network)))
        for depth in [*DEPTHS[1:], "75%+100%"]
    ]
    folders = [embeddings.folder.name for embeddings in (first, *others)]
    assert len(set(folders)) == 5 and folders[4] == f"{folders[2]}+{folders[3]}"
    assert all(np.isfinite(embeddings.features).all() for embeddings in others)


@pytest.mark.usefixtures("small_squares")
def test_a_depth_and_its_layer_share_their_rows(cfg, gallery, monkeypatch) -> None:
    named = embed(gallery, layer(cfg, "layer3"))
    forbid_embedding(monkeypatch)
    assert embed(gallery, layer(cfg, "75%")).folder == named.folder
    folders = [path.name for path in named.folder.parent.iterdir() if path.is_dir()]
    assert sorted(folders) == RESNET_LAYERS


@pytest.mark.parametrize(
    ("name", "layer"),
    [("densenet121", "relu"), ("vit_b_16", "encoder.ln"), ("efficientnet_b0", "avgpool")],
)
def test_avgpool_is_the_last_layer_before_the_classifier(name, layer, tmp_path) -> None:
    asked = untrained(name, layer="avgpool")
    named = name_layers(asked, preset_of(asked), tmp_path)
    assert (named.layer, named.layers) == (layer, None)


def test_of_a_resnet_avgpool_stays_and_no_network_is_traced(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(stages, "_find", lambda *_: pytest.fail("traced"))
    asked = untrained("resnet50", layer="layer3+avgpool")
    preset = preset_of(asked)
    assert name_layers(asked, preset, tmp_path) == asked
    assert name_layers(replace(asked, layer="100%"), preset, tmp_path).layer == "layer4"


@pytest.mark.parametrize("damage", [None, "", "{", "[]", '{"ends": 3}'])
def test_stages_are_found_once(damage: str | None, tmp_path: Path, monkeypatch) -> None:
    found = cached_stages(untrained("squeezenet1_1"), 224, tmp_path)
    (path,) = tmp_path.glob("*.json")
    if damage is not None:
        path.write_text(damage)
    else:
        monkeypatch.setattr(stages, "_find", lambda *_: pytest.fail("traced"))
    assert cached_stages(untrained("squeezenet1_1"), 224, tmp_path) == found


@pytest.mark.parametrize("part", ["30%", "layer1+0%", "1000%"])
def test_another_depth_is_refused(part: str) -> None:
    with pytest.raises(UserError, match="is not one of the depths 25%, 50%, 75%, 100%"):
        Backbone(layer=part)


def test_a_network_that_cannot_be_traced_is_refused() -> None:
    with pytest.raises(UserError, match="EfficientNet cannot be cut at a layer .*another network"):
        trunk(empty_network(untrained("timm/tf_efficientnetv2_s"), 300), 300)


@pytest.mark.usefixtures("small_squares")
def test_an_unknown_layer_names_the_stages_and_the_command(cfg, gallery) -> None:
    options = Backbone(name="squeezenet1_1", weights="random", layer="layer4")
    with pytest.raises(UserError) as refused:
        embed(gallery, replace(cfg, backbone=options))
    assert "classifier" not in str(refused.value)
    assert "python -m src.layers backbone.name=squeezenet1_1" in str(refused.value)


def test_an_empty_network_has_the_shapes_of_the_full_one() -> None:
    backbone = untrained("regnet_y_400mf")  # whose constructor computes with tensors
    full, empty = load_network(backbone, 0), empty_network(backbone, 224)
    shapes = {name: weight.shape for name, weight in full.state_dict().items()}
    assert {name: weight.shape for name, weight in empty.state_dict().items()} == shapes
    assert all(weight.is_meta for weight in empty.parameters())
