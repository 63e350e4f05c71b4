"""Captions of figures: what was compared, and where it is from."""

from pathlib import Path

import pandas as pd
import pytest

from src.gallery import Gallery
from src.reporting.hits import Hits, main_hits
from src.reporting.phrases import cite, describe_run, network_name
from src.reporting.settings import flat_options
from tests.support.options import small

FULL = {
    "backbone.name": "resnet50",
    "backbone.weights": "IMAGENET1K_V2",
    "backbone.layer": "avgpool",
    "backbone.pooling": "avg",
    "backbone.gem_p": 3.0,
    "similarity.postprocess": "whiten",
    "similarity.whiten_power": 0.5,
    "similarity.whiten_dim": None,
    "similarity.ranking": "cosine",
}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "ResNet50, ImageNet weights (V2), avgpool, whitened; cosine"),
        ({"similarity.postprocess": "none", "similarity.ranking": "csls"}, "avgpool; csls"),
        ({"similarity.whiten_power": 1.0}, "whitened, power 1; cosine"),
        ({"similarity.whiten_from": None}, "avgpool, whitened; cosine"),
        ({"similarity.whiten_from": "a/run"}, "avgpool, whitened, fitted by a/run; cosine"),
        ({"similarity.augment": 0}, "avgpool, whitened; cosine"),
        ({"similarity.augment": 5}, "avgpool, whitened, augmented by 5; cosine"),
        ({"similarity.whiten_dim": 64}, "whitened, 64 axes; cosine"),
        ({"similarity.whiten_dim": "None"}, "avgpool, whitened; cosine"),
        ({"backbone.pooling": "gem"}, "avgpool, gem pooling, exponent 3, whitened; cosine"),
        ({"backbone.join": "whitened"}, "avgpool, each layer whitened, whitened; cosine"),
        ({"backbone.join": "rows"}, "(V2), avgpool, whitened; cosine"),
        ({"backbone.weights": "/home/ada/style.pth"}, "ResNet50, weights style.pth, avgpool"),
        ({"backbone.weights": "random"}, "ResNet50, random weights, avgpool, whitened; cosine"),
    ],
)
def test_a_run_is_described_by_what_changes_its_neighbors(
    changed: dict[str, object], expected: str
) -> None:
    assert expected in describe_run(FULL | changed)


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    assert describe_run({}) == ""
    assert describe_run({"backbone.layer": "layer4"}) == "layer4"
    options = flat_options(small(tmp_path, tmp_path))
    assert describe_run(options) == "ResNet18, random weights, layer1; cosine"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("wide_resnet50_2", "Wide ResNet50-2"),
        ("resnext50_32x4d", "ResNeXt50-32x4d"),
        ("mobilenet_v3_large", "MobileNet-v3-large"),
        ("vgg16_bn", "VGG16-bn"),
        ("timm/vit_small", "timm/vit_small"),
    ],
)
def test_networks_are_written_as_in_print(name: str, written: str) -> None:
    assert network_name(name) == written


@pytest.mark.parametrize(
    ("name", "is_open", "expected"),
    [
        ("nga-0123456789ab", True, "National Gallery of Art, Washington, open data (CC0)"),
        ("nga-0123456789ab", False, "National Gallery of Art, Washington"),
        ("demo-seed-0-0123456789ab", False, "paintings drawn by the program"),
        ("folder-0123456789ab", False, "dutch"),
    ],
)
def test_a_figure_cites_its_images_and_its_run(name: str, is_open: bool, expected: str) -> None:
    gallery = Gallery(name, Path("/my/dutch"), pd.DataFrame({"file": ["a", "b"]}))
    run = Path("outputs/sweeps/2026-01-01/12-00-00-000000/3")
    images, program, made_by = cite(gallery, is_open, run).split("; ")
    assert images == f"2 images: {expected}"
    assert program.startswith("painting-similarity ")
    assert made_by == "run 2026-01-01/12-00-00-000000/3"


def test_hits_share_the_main_label_that_was_measured() -> None:
    works = pd.DataFrame(
        {"file": list("abcd"), "style": list("xxyy"), "artist": ["p", "p", "q", ""]}
    )
    gallery = Gallery("g", Path("."), works)
    hits = main_hits(gallery, {"style/precision_at_1": 0.5, "artist/precision_at_1": 0.5}, {})
    assert (hits.label, hits(0, 1), hits(0, 2), hits(2, 3)) == ("artist", True, False, False)
    assert hits.count(0, [1, 2, 3]) == "underlined: the same artist as the query (1 of 3)"
    assert hits.count(3, [2]) == "no image is underlined: the artist of the query is unknown"
    assert main_hits(gallery, {"style/precision_at_1": 0.5}, {}).label == "style"
    assert main_hits(gallery, {}, {}).label == "artist"
    lists = gallery.works.assign(style=["x; y", "x", "y", ""])
    several = main_hits(
        Gallery("g", Path("."), lists),
        {"style/precision_at_1": 0.5},
        {"evaluation.multilabel": ";"},
    )
    assert (several(0, 1), several(0, 2), several(1, 2), several(3, 3)) == (
        True,
        True,
        False,
        False,
    )
    bare = Hits(gallery, "")
    assert (bare(0, 1), bare.meaning, bare.count(0, [1])) == (False, "", "")
