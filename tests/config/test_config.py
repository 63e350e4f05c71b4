"""Options: their bounds and the errors of impossible values."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from src.config import Backbone, Config, Evaluation, Similarity, Tracking, Trainer
from src.config.data import Data, Demo, Download, Folder, Iiif, Nga
from src.config.validation import check_bounds, model_names, option
from src.errors import UserError, did_you_mean


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Similarity(top_k=0), "similarity.top_k must be at least 1, got 0"),
        (lambda: Similarity(block_size="0"), "similarity.block_size must be at least 1, got 0"),
        (lambda: Similarity(block_size="big"), "auto or at least 1, got big"),
        (lambda: Similarity(whiten_dim=0), "similarity.whiten_dim must be at least 1, got 0"),
        (lambda: Similarity(whiten_power=-1), "whiten_power must be between 0 and 2, got -1"),
        (lambda: Similarity(whiten_power=float("inf")), "between 0 and 2, got inf"),
        (lambda: Backbone(gem_p=float("nan")), "between 1 and 100, got nan"),
        (lambda: Config(data=Data(), seed=2**70), "seed must be between 0 and"),
        (
            lambda: Config(data=Data(), outputs=""),
            "outputs must be the path of a folder, got an empty",
        ),
        (lambda: Folder(images=""), "needs data.images="),
        (lambda: Data(batch_size=0), "data.batch_size must be at least 1, got 0"),
        (lambda: Data(workers=-1), "data.workers must be at least 0, got -1"),
        (lambda: Data(limit=1), "data.limit must be at least 2, got 1"),
        (lambda: Data(max_pixels=0), "data.max_pixels must be at least 1, got 0"),
        (lambda: Data(image_size="8"), "data.image_size must be at least 16, got 8"),
        (lambda: Data(image_size="thumbs"), "pixels, thumb or null, got thumbs"),
        (lambda: Folder(images="nowhere"), "data.images=nowhere does not exist"),
        (lambda: Folder(images=__file__), "is not a folder"),
        (lambda: Folder(images="tests", labels="none.csv"), "data.labels=none.csv is not a file"),
        (lambda: Folder(), "needs data.images="),
        (lambda: Backbone(name="resnet5"), "did you mean resnet50"),
        (lambda: Backbone(weights="x.pth"), "backbone.weights=x.pth is neither"),
        (lambda: Evaluation(multilabel=" "), "a separator such as ';', or null for none, got ' '"),
        (lambda: Backbone(gem_p=0.5), "backbone.gem_p must be between 1 and 100, got 0.5"),
        (lambda: Trainer(devices=0), "trainer.devices must be at least 1, got 0"),
        (lambda: Download(requests_per_second=1e-6), "must be 0 (no limit) or at least 0.001"),
        (lambda: Download(requests_per_second=float("nan")), "between 0 and 10000, got nan"),
        (lambda: Nga(image_size="15"), "data.image_size must be at least 16, got 15"),
        (lambda: Iiif(), "data=iiif needs data.manifest=<address or file"),
        (lambda: Iiif(manifest="no.json"), "data.manifest=no.json is neither a file nor an http"),
        (lambda: Iiif(manifest="https://a.org/m?key=1"), "https://a.org/m?***: an address with a"),
        (lambda: Iiif(manifest="https://a.org/m", language="e n"), "such as en, got 'e n'"),
        (lambda: Trainer(num_nodes=0), "trainer.num_nodes must be at least 1, got 0"),
    ],
)
def test_an_error_names_the_option_its_bounds_and_the_value(make, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(("size", "pixels"), [(None, None), ("thumb", 200), ("256", 256)])
def test_image_size_in_pixels(size: str | None, pixels: int | None) -> None:
    assert Data(image_size=size).max_side == pixels


def test_block_size_auto_is_none() -> None:
    assert Similarity().block is None
    assert Similarity(block_size="7").block == 7


def test_weights_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.touch()
    assert Backbone(weights=str(path)).path == path
    assert Backbone(weights="random").path is None


def test_the_bounds_of_an_option_are_inclusive_and_checked_by_its_definition_alone() -> None:
    @dataclass
    class Group:
        share: float | None = option(None, "a share", low=0, high=0.5)

    for share in (None, 0, 0.5):
        check_bounds(Group(share), "group")
    with pytest.raises(UserError, match=r"^group.share must be between 0 and 0.5, got 0.6$"):
        check_bounds(Group(0.6), "group")


@pytest.mark.parametrize(
    "make",
    [Nga, partial(Folder, images="tests"), partial(Iiif, manifest="https://a.org"), Demo, Download]
    + [Backbone, Similarity, Evaluation, Tracking, Trainer, partial(Config, data=Data())],
)
def test_every_bound_in_help_is_checked(make: Callable[..., Any]) -> None:
    group = make()
    for field in fields(group):
        low = field.metadata.get("low")
        if low is None:
            continue
        below = str(low - 1) if isinstance(getattr(group, field.name), str) else low - 1
        with pytest.raises(
            UserError, match=rf"(^|\.){field.name} must be .*{low}.*, got {low - 1}"
        ):
            make(**{field.name: below})


def test_did_you_mean_lists_the_closest_words_or_nothing() -> None:
    assert (
        did_you_mean("layer5", ["layer1", "layer4", "conv"]) == "; did you mean layer1 or layer4?"
    )
    assert did_you_mean("zzz", ["layer1"]) == ""


def test_model_names_are_read_without_importing_torchvision() -> None:
    assert {"resnet50", "squeezenet1_1", "vit_b_16", "swin_t", "convnext_tiny"} <= set(
        model_names()
    )
    assert "fasterrcnn_resnet50_fpn" not in model_names()
