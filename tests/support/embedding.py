"""Galleries, options and reference rows for tests of embedding."""

from functools import cache
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models, transforms

from src.config import Config
from src.gallery import Gallery
from src.gallery.folder import folder_gallery
from tests.support.options import changed

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels
RESNET_LAYERS = ["layer1", "layer2", "layer3", "layer4"]


def list_gallery(cfg: Config, limit: int | None = None) -> Gallery:
    """Return the gallery of the folder that cfg names, as it is now."""
    return folder_gallery(Path(cfg.data.images), None, limit, 0, Path(cfg.outputs))


def layer(cfg: Config, name: str, **options: Any) -> Config:
    """Return cfg with this layer; all layers of the preset are written unless options say other."""
    return changed(cfg, "backbone", layer=name, **({"layers": None} | options))


def folders(cfg: Config) -> list[str]:
    """Return the names of folders of layers and of unfinished passes."""
    return [path.name for path in Path(cfg.outputs, "embeddings").glob("*/*/*") if path.is_dir()]


def forbid_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test when images go through a network."""
    monkeypatch.setattr(L.Trainer, "predict", lambda *_, **__: pytest.fail("embedded again"))


@cache
def trunk() -> nn.Module:
    """Return torchvision's ResNet-18 up to layer1, with the random weights of seed 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = models.resnet18().eval()
    return nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1)


def reference_row(picture: Image.Image, side: int) -> np.ndarray:
    """Return torchvision's mean of layer1 for a picture resized to side x side: (64,)."""
    steps = [
        transforms.Resize((side, side)),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    with torch.inference_mode():
        return trunk()(transforms.Compose(steps)(picture)[None]).mean((2, 3))[0].numpy()


def reference(gallery: Gallery) -> np.ndarray:
    """Return the reference rows of a gallery at 32 pixels, one image at a time: (n, 64)."""
    rows = []
    for file in gallery.files:
        with Image.open(gallery.root / file) as image:
            rows.append(reference_row(image.convert("RGB"), 32))
    return np.stack(rows)
