"""Options read back from a finished run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from src.config import Config
from src.config.stored import stored_config
from src.errors import UserError
from tests.support.options import changed, store

FILE = Path("run", "config.yaml")


def test_options_are_those_that_were_stored(cfg: Config, tmp_path: Path) -> None:
    cfg = changed(changed(cfg, "backbone", gem_p=2.5), "data", max_pixels=7)
    store(cfg, tmp_path)
    found = stored_config(yaml.safe_load((tmp_path / ".hydra/config.yaml").read_text()), FILE)
    assert (found.backbone, found.trainer, found.seed) == (cfg.backbone, cfg.trainer, cfg.seed)
    assert found.data.max_pixels == 7
    assert not hasattr(found.data, "images")


def test_where_the_images_came_from_may_be_gone() -> None:
    data = {
        "images": "/gone",
        "labels": "/gone.csv",
        "tables": "https://museum.org",
        "resize": "pad",
    }
    assert stored_config({"data": data}, FILE).data.resize.name == "pad"


def test_options_that_an_older_run_lacks_have_their_defaults() -> None:
    found = stored_config({"backbone": {"layer": "layer2"}, "trainer": None}, FILE)
    assert (found.backbone.pooling.name, found.trainer.devices, found.seed) == ("avg", 1, 0)


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ({"backbone": {"layerz": 1}}, "this version has no option backbone.layerz, so it cannot"),
        ({"data": {"new": 1}}, "no option data.new"),
        ({"backbone": {"pooling": "median"}}, "backbone.pooling=median is invalid: .*avg, max"),
        ({"backbone": {"layer": ["a"]}}, "backbone.layer=.* is invalid"),
        ({"backbone": {"name": "${"}}, "is invalid"),
        ({"backbone": {"weights": "${oc.env:HOME}"}}, "refers to something else"),
        ({"backbone": {"name": "resnet51"}}, "did you mean .*resnet50"),
        ({"backbone": [1]}, "backbone is no group of options"),
        ({"data": {"max_pixels": 0}}, "data.max_pixels must be at least 1"),
        ({"trainer": {"precision": "8"}}, "trainer.precision=8 is invalid"),
        ({"seed": "a"}, "seed must be a number, got a"),
        ({"seed": -1}, "seed must be between 0"),
    ],
)
def test_wrong_options_are_refused_in_one_line(stored: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text) as caught:
        stored_config(stored, FILE)
    assert "\n" not in str(caught.value)
