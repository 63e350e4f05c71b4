"""Patterns of layers' names: what they match, in which order, and the error if nothing matches."""

from pathlib import Path

import pytest

from src.config import Backbone
from src.embedding import stages
from src.embedding.layers import layer_join, name_layers
from src.embedding.models import preset_of
from src.errors import UserError
from src.layers import layer_table
from src.pipeline.embed import embed
from tests.support.embedding import RESNET_LAYERS, layer


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of names, in which each network is traced once."""
    return tmp_path_factory.mktemp("presets")


def named(folder: Path, pattern: str, name: str = "resnet18", **options: object) -> Backbone:
    backbone = Backbone(name=name, weights="random", layer=pattern, **options)
    return name_layers(backbone, preset_of(backbone), folder)


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("resnet18", "layer*", "layer1+layer2+layer3+layer4"),
        ("resnet18", "layer[24]", "layer2+layer4"),
        ("resnet18", "layer3.*", "layer3.0+layer3.1"),
        ("resnet18", "layer**2+maxpool", "layer1*2+layer2*2+layer3*2+layer4*2+maxpool"),
        ("resnet18", "layer4+layer?.0*.5", "layer4+layer1.0*0.5+layer2.0*0.5+layer3.0*0.5"
         "+layer4.0*0.5"),
        ("resnet18", "25%+layer[34]", "layer1+layer3+layer4"),
        ("squeezenet1_1", "features.1?", "features.10+features.11+features.12"),
        ("squeezenet1_1", "features.[79]+avgpool", "features.7+features.9+features.12"),
        ("swin_t", "features.[13]", "features.1+features.3"),
    ],
)  # fmt: skip
def test_patterns_become_layers_in_the_order_of_the_network(cached, name, pattern, expected):
    assert named(cached, pattern, name).layer == expected


def test_pools_and_moves_are_left_out_as_in_the_list(cached):
    listed = layer_table(Backbone(name="squeezenet1_1", weights="random", layer="features.*"))
    marked = [line.split()[0] for line in listed if line.endswith("features.*")]
    found = named(cached, "features.*", "squeezenet1_1").layer.split("+")
    assert found == marked
    assert not {"features.2", "features.5", "features.8"} & {*found}
    assert {"features.7", "features.12"} <= {*found}


def test_layers_to_store_may_be_patterns_too(cached):
    assert named(cached, "layer1", layers=["layer[23]", "100%"]).layers == RESNET_LAYERS[1:]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("layr*", "backbone.layer=layr* matches no layer of resnet18, which has conv1, bn1, relu"),
        ("layr*", "; did you mean layer1"),
        ("layer2*x", "; a weight is layer*0.5"),
    ],
)
def test_a_pattern_that_matches_nothing_lists_what_there_is(cached, pattern, message):
    with pytest.raises(UserError) as refused:
        named(cached, pattern)
    assert message in str(refused.value)


def test_a_long_list_is_cut(cached):
    with pytest.raises(UserError, match=r"which has conv1, .* and \d+ more; did you mean"):
        named(cached, "layr?", "resnet50")


def test_a_layer_that_is_named_too_is_there_twice(cached):
    backbone = named(cached, "layer*+layer4")
    with pytest.raises(UserError, match="names a layer twice"):
        layer_join(backbone, preset_of(backbone))


def test_the_network_is_traced_once(cached, monkeypatch):
    first = named(cached, "layer[12]")
    monkeypatch.setattr(stages, "_find", lambda *_: pytest.fail("traced"))
    assert named(cached, "layer[12]") == first


@pytest.mark.usefixtures("small_squares")
def test_a_pattern_shares_the_rows_of_what_it_stands_for(cfg, gallery):
    found = embed(gallery, layer(cfg, "layer[12]"))
    assert found.folder.name == "layer1+layer2"
    assert embed(gallery, layer(cfg, "layer1+layer2")).facts["reused_embeddings"]
