"""Presets of weights, cached beside the embeddings."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from src.config import Backbone
from src.embedding import models
from src.embedding.models import preset_of
from src.embedding.presets import cached_preset
from src.embedding.transforms import Preset

ONES = (
    Backbone(name="resnet50"),
    Backbone(name="resnet50", weights="IMAGENET1K_V1"),
    Backbone(name="swin_t", weights="random"),
    Backbone(name="timm/vit_small_patch14_dinov2.lvd142m", weights="pretrained"),
)


@pytest.mark.parametrize("backbone", ONES, ids=lambda backbone: f"{backbone.name}")
def test_a_preset_is_read_back_as_it_was_computed(backbone: Backbone, tmp_path: Path) -> None:
    assert cached_preset(backbone, tmp_path) == preset_of(backbone)
    (path,) = tmp_path.glob("*.json")
    assert cached_preset(backbone, tmp_path) == preset_of(backbone)
    assert list(tmp_path.glob("*.json")) == [path]


def test_a_preset_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cached_preset(ONES[0], tmp_path)
    monkeypatch.delitem(sys.modules, models.__name__)  # it would be imported to compute
    assert cached_preset(ONES[0], tmp_path) == first
    assert models.__name__ not in sys.modules


def test_each_model_and_each_of_its_weights_has_its_own_preset(tmp_path: Path) -> None:
    crops = {cached_preset(backbone, tmp_path).crop_from for backbone in ONES[:2]}
    assert crops == {232, 256}  # of torchvision's second weights, and of its first
    assert cached_preset(ONES[2], tmp_path).interpolation == "bicubic"
    assert len(list(tmp_path.glob("*.json"))) == 3


def test_weights_of_a_file_have_the_preset_of_the_first_weights(tmp_path: Path) -> None:
    (tmp_path / "own.pth").touch()
    backbone = Backbone(name="resnet50", weights=str(tmp_path / "own.pth"))
    assert cached_preset(backbone, tmp_path / "presets") == preset_of(ONES[1])


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", "{}", '{"mean": 3}'])
def test_a_damaged_file_is_written_again(damage: str, tmp_path: Path) -> None:
    right = cached_preset(ONES[0], tmp_path)
    (path,) = tmp_path.glob("*.json")
    path.write_text(damage)
    assert cached_preset(ONES[0], tmp_path) == right
    assert Preset(**json.loads(path.read_text())).size == right.size


def test_another_version_of_the_library_has_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_preset(ONES[0], tmp_path)
    monkeypatch.setattr("src.embedding.presets.version", lambda _: "99")
    cached_preset(ONES[0], tmp_path)
    names = sorted(path.name.split("-")[1] for path in tmp_path.glob("*.json"))
    assert len(names) == 2 and names[-1] == "99"


def test_concurrent_threads_all_get_the_preset(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        presets = set(pool.map(lambda _: cached_preset(ONES[0], tmp_path), range(64)))
    assert presets == {preset_of(ONES[0])}
    assert len(list(tmp_path.glob("*.json"))) == 1
