"""The backbones of configs/, each as it is but with random weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from src.cli import app
from src.config import Backbone, Config
from src.config.enums import Pooling
from src.config.names import CONFIGS
from src.embedding.extractor import build_extractor
from src.embedding.models import load_network, preset_of, pretrained
from src.embedding.pooling import Output
from src.embedding.transforms import transform
from src.errors import UserError
from src.gallery.folder import folder_gallery
from src.pipeline.embed import embed

# by their authors: side of the square, pixels before a crop, interpolation, width of a row
EXPECTED = {
    "resnet50": (224, 232, "bilinear", 2048),
    "resnet50_v1": (224, 256, "bilinear", 2048),
    "resnet101": (224, 232, "bilinear", 2048),
    "convnext_tiny": (224, 236, "bilinear", 768),
    "vit_b_16": (224, 256, "bilinear", 768),
    "swin_t": (224, 232, "bicubic", 768),
    "squeezenet1_1": (224, 256, "bilinear", 384),
    "dinov2": (518, 518, "bicubic", 384),
    "dinov3": (256, 256, "bicubic", 384),
    "color": (128, 128, "bilinear", 512),
}
QUICK = ["resnet50", "squeezenet1_1", "color"]


def composed(*overrides: str) -> Config:
    app.register()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = OmegaConf.to_object(compose("run", list(overrides)))
    assert isinstance(cfg, Config)
    return cfg


def test_every_backbone_of_configs_is_expected_here():
    # vectors stands for no network: the rows are the user's own
    names = {path.stem for path in CONFIGS.glob("backbone/*.yaml")} - {"vectors"}
    assert names == EXPECTED.keys()


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in EXPECTED],
)
def test_a_backbone_runs_as_its_weights_expect(name, paintings, tmp_path):
    weights = composed(f"backbone={name}").backbone
    if weights.is_color:
        assert weights.weights == "none"
    elif weights.in_timm:
        assert timm.get_pretrained_cfg(weights.name.removeprefix("timm/")).has_weights
    else:
        assert pretrained(weights).name == weights.weights
    asked = ["data=folder", f"data.images={paintings}", f"outputs={tmp_path / 'o'}", "data.limit=3"]
    asked += [f"backbone={name}", "trainer.accelerator=cpu"]
    cfg = composed(*asked, *([] if weights.is_color else ["backbone.weights=random"]))
    gallery = folder_gallery(paintings, None, 3, 0, Path(cfg.outputs))
    embeddings = embed(gallery, cfg)
    size, crop_from, interpolation, width = EXPECTED[name]
    prepare = preset_of(weights)
    assert (prepare.size, prepare.crop_from) == (size, crop_from)
    assert prepare.interpolation == interpolation
    assert embeddings.features.shape == (3, width)
    assert np.linalg.norm(embeddings.features, axis=1).min() > 0
    assert len({row.tobytes() for row in embeddings.features}) == 3
    written = {path.name for path in embeddings.folder.parent.iterdir() if path.is_dir()}
    layers = set(cfg.backbone.layers or [embeddings.folder.name])
    assert written == layers or name.startswith("resnet")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "registers"), [("dinov2", 0), ("dinov3", 4)])
def test_class_token_and_patch_tokens_of_dino(name, registers, tmp_path):
    torch.manual_seed(0)
    network = timm.create_model(composed(f"backbone={name}").backbone.name[5:]).eval()
    torch.save(network.state_dict(), tmp_path / "own.pth")
    cfg = composed(f"backbone={name}", f"backbone.weights={tmp_path / 'own.pth'}")
    prepare = transform(preset_of(cfg.backbone), cfg.data)
    pixels = torch.rand(2, prepare.size, prepare.size, 3).mul(255).to(torch.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in (prepare.mean, prepare.std))
    with torch.inference_mode():
        tokens = network.forward_features((pixels.permute(0, 3, 1, 2) / 255 - mean) / std)
        for pooling, expected in (
            (Pooling.token, tokens[:, 0]),
            (Pooling.patches, tokens[:, 1 + registers :].mean(1)),
        ):
            options = replace(cfg.backbone, pooling=pooling)
            extractor = build_extractor(
                load_network(options, 0), [Output("norm", pooling)], options, prepare
            )
            torch.testing.assert_close(extractor(pixels)[0], expected, rtol=1e-4, atol=1e-4)


def test_timm_weights_from_a_file(tmp_path):
    torch.manual_seed(0)
    saved = timm.create_model("resnet10t").state_dict()
    torch.save(saved, tmp_path / "own.pth")
    options = Backbone(name="timm/resnet10t", weights=str(tmp_path / "own.pth"))
    loaded = load_network(options, 0).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in saved.items())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm/resnet10x", "timm/resnet10x is not a model of timm .*; did you mean .*resnet10t"),
        ("timm/resnet10t.nothing", "Invalid pretrained tag"),
    ],
)
def test_a_model_that_timm_lacks_is_refused(name, message):
    with pytest.raises(UserError, match=message):
        preset_of(Backbone(name=name, weights="pretrained"))


def test_the_error_for_a_failed_download_from_timm_names_the_fix(monkeypatch):
    def offline(*_: object, **__: object) -> None:
        raise OSError("no way")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        UserError, match="could not be downloaded .no way.: set backbone.weights=<pa"
    ):
        load_network(Backbone(name="timm/resnet10t", weights="pretrained"), 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "timm/resnet10t"}, "weights=IMAGENET1K_V2 is neither pretrained, random nor an"),
        ({"weights": "pretrained"}, "weights=pretrained is neither IMAGENET1K_V1, IMAGENET1K_V2"),
    ],
)
def test_weights_of_the_other_library_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Backbone(**options)


def test_without_timm_its_extra_is_named(monkeypatch):
    monkeypatch.setattr("src.config.backbone.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"needs the optional dependency timm: pip install -e"):
        Backbone(name="timm/resnet10t", weights="random")
