"""Several layers in one pass, and joined layers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.config import Backbone
from src.config.enums import Compile, Pooling
from src.config.layer_terms import Term
from src.embedding.joining import LayerJoin, is_joined, join_layers, layer_of
from src.embedding.layers import layer_join, written_layers
from src.embedding.models import preset_of
from src.embedding.pooling import OF_TOKENS
from src.errors import UserError
from src.pipeline.embed import embed
from tests.support.embedding import RESNET_LAYERS, forbid_embedding, layer
from tests.support.options import changed

pytestmark = pytest.mark.usefixtures("small_squares")


def unit(rows: np.ndarray) -> np.ndarray:
    """Return rows of length 1, in float64."""
    return rows / np.linalg.norm(rows.astype("f8"), axis=1, keepdims=True)


def test_one_pass_writes_every_layer(cfg, gallery, monkeypatch):
    alone = {
        name: embed(
            gallery, replace(layer(cfg, name, layers=[]), outputs=f"{cfg.outputs}-{name}")
        ).features
        for name in RESNET_LAYERS
    }
    embeddings = embed(gallery, layer(cfg, "layer2"))
    folders = [path.name for path in embeddings.folder.parent.iterdir() if path.is_dir()]
    assert sorted(folders) == RESNET_LAYERS
    forbid_embedding(monkeypatch)
    for name in [*RESNET_LAYERS, "avgpool"]:
        embeddings = embed(gallery, layer(cfg, name))
        assert embeddings.facts["reused_embeddings"]
        expected = alone["layer4" if name == "avgpool" else name]
        np.testing.assert_array_equal(embeddings.features, expected)


def test_only_missing_layers_are_computed(cfg, gallery):
    embed(gallery, layer(cfg, "layer1", layers=[]))
    before = {path.stat().st_ino for path in Path(cfg.outputs).rglob("features.npy")}
    embed(gallery, layer(cfg, "layer3", layers=["layer1", "layer4"]))
    after = {path.stat().st_ino for path in Path(cfg.outputs).rglob("features.npy")}
    assert len(after) == 3 and before < after


@pytest.mark.parametrize(
    ("options", "joined", "written"),
    [
        ({"layer": "avgpool"}, ["layer4"], RESNET_LAYERS),
        ({"layer": "layer2"}, ["layer2"], RESNET_LAYERS),
        ({"layer": "layer2.1.conv1"}, ["layer2.1.conv1"], [*RESNET_LAYERS, "layer2.1.conv1"]),
        ({"layer": "layer3+avgpool"}, ["layer3", "layer4"], RESNET_LAYERS),
        ({"layer": "avgpool", "layers": []}, ["layer4"], ["layer4"]),
        ({"layer": "layer1", "layers": ["avgpool"]}, ["layer1"], ["layer4", "layer1"]),
        ({"layer": "avgpool", "name": "densenet121"}, ["avgpool"], ["avgpool"]),
        ({"layer": "layer1", "name": "resnext50_32x4d"}, ["layer1"], RESNET_LAYERS),
    ],
)
def test_which_layers_are_written(options, joined, written):
    backbone = Backbone(weights="random", **options)
    preset = preset_of(backbone)
    layers = layer_join(backbone, preset).layers, written_layers(backbone, preset)
    assert layers == (joined, written)


@pytest.mark.parametrize("parts", [["layer3", "avgpool"], ["layer2", "layer1", "layer4"]])
def test_joined_layers_are_their_normalized_concatenation(cfg, gallery, parts):
    joined = embed(gallery, layer(cfg, "+".join(parts)))
    rows = [unit(embed(gallery, layer(cfg, part)).features) for part in parts]
    expected = np.concatenate(rows, axis=1) / np.sqrt(len(parts))
    np.testing.assert_allclose(joined.features, expected, atol=1e-7)
    np.testing.assert_allclose(np.linalg.norm(joined.features, axis=1), 1, atol=1e-6)
    assert joined.folder.name == "+".join(parts).replace("avgpool", "layer4")
    assert joined.gallery.files == gallery.files


def test_a_row_of_zeros_stays_zero(tmp_path):
    for name, rows in (("a", [[0.0, 0], [3, 4]]), ("b", [[2.0], [0]])):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "features.npy", np.array(rows, "f4"))
        np.save(tmp_path / name / "sha256.npy", np.array(["1", "2"]))
        for other in ("image_names.npy", "skipped.csv"):
            (tmp_path / name / other).touch()
    join_layers(LayerJoin((Term("a"), Term("b"))), tmp_path, {})
    half = 0.5**0.5
    expected = [[0, 0, half], [0.6 * half, 0.8 * half, 0]]
    np.testing.assert_allclose(np.load(tmp_path / "a+b" / "features.npy"), expected, rtol=1e-6)


def test_layers_of_different_images_are_not_joined(cfg, gallery):
    folder = embed(gallery, layer(cfg, "layer1")).folder
    names = np.load(folder / "image_names.npy")
    np.save(folder / "image_names.npy", names[::-1])
    with pytest.raises(UserError, match="hold different images: delete both folders"):
        embed(gallery, layer(cfg, "layer1+layer2"))


@pytest.mark.parametrize("same", ["layer1+layer1", "layer4+avgpool"])
def test_a_layer_joined_with_itself_is_refused(cfg, gallery, same):
    with pytest.raises(UserError, match="names a layer twice"):
        embed(gallery, layer(cfg, same))


@pytest.mark.parametrize("odd", ["layer1+", "+layer1", ""])
def test_a_layer_without_a_name_is_refused(cfg, gallery, odd):
    with pytest.raises(UserError, match="has an empty name: join layers as layer3.layer4"):
        embed(gallery, layer(cfg, odd))


@pytest.mark.parametrize("layers", [["layer2.1.conv1"], ["layer3", "layer1.0.relu", "layer1"]])
def test_layers_in_any_order_compiled_too(cfg, gallery, layers):
    options = layer(cfg, "layer2", layers=layers)
    plain = replace(options, outputs=f"{cfg.outputs}-plain")
    compiled = changed(options, "trainer", compile=Compile.always)
    for name in ["layer2", *layers]:
        rows = embed(gallery, changed(plain, "backbone", layer=name)).features
        compiled_rows = embed(gallery, changed(compiled, "backbone", layer=name)).features
        np.testing.assert_allclose(compiled_rows, rows, rtol=1e-4, atol=1e-5)


def test_names_of_one_node_give_the_same_rows(cfg, gallery):
    """layer1 ends with layer1.1, which ends with the relu after the sum."""
    same = ["layer1", "layer1.1", "layer1.1.relu_1"]
    options = layer(cfg, "layer1", layers=same)
    rows = [embed(gallery, changed(options, "backbone", layer=name)).features for name in same]
    alone = embed(gallery, replace(layer(cfg, "layer1", layers=[]), outputs=f"{cfg.outputs}-1"))
    for features in rows:
        np.testing.assert_array_equal(features, alone.features)


def test_the_error_names_the_unknown_layer_of_several(cfg, gallery):
    with pytest.raises(UserError, match="layers: layr2 is not a node of ResNet; did you mean"):
        embed(gallery, layer(cfg, "layer1+layr2"))


def test_many_layers_have_a_folder_of_a_short_name(cfg, gallery):
    names = [
        f"layer{stage}.{block}.{part}"
        for stage in (1, 2, 3, 4)
        for block in (0, 1)
        for part in ("conv1", "bn1", "conv2", "bn2")
    ]
    join = "+".join(names)
    found = embed(gallery, layer(cfg, join, layers=[]))
    assert len(found.folder.name) < 40 and is_joined(found.folder.name)
    assert layer_of(found.folder) == join
    fewer = embed(gallery, layer(cfg, "+".join(names[1:]), layers=[]))
    assert fewer.folder != found.folder
    again = embed(gallery, layer(cfg, join, layers=[]))
    assert again.folder == found.folder and again.facts["reused_embeddings"]
    (found.folder / "options.yaml").unlink()
    with pytest.raises(UserError, match="is gone or damaged: run the command"):
        layer_of(found.folder)


@pytest.mark.parametrize("pooling", Pooling)
def test_pooling_applies_to_every_layer(cfg, gallery, pooling):
    options = layer(changed(cfg, "backbone", pooling=pooling), "layer1")
    if pooling in OF_TOKENS:
        with pytest.raises(UserError, match="needs a layer of tokens .*, but layer1 gives"):
            embed(gallery, options)
        return
    written = ["layer1", "layer3"]  # layer4 gives 1 x 1 for these images
    for name in written:
        features = embed(gallery, layer(options, name, layers=written)).features
        width = 64 * 2 ** (int(name[-1]) - 1) * (2 if pooling is Pooling.meanstd else 1)
        assert features.shape == (len(gallery), width) and np.isfinite(features).all()
