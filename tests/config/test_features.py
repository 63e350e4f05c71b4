"""Options of data=features: what is missing, and what has no effect without a network."""

import re
from typing import Any

import pytest

from src.config import Backbone, Config, Trainer
from src.config.data import Demo
from src.config.enums import Pooling, Precision, Resize
from src.config.features import Features
from src.errors import UserError
from tests.support.commands import command

VECTORS = {"name": "vectors", "weights": "none", "layer": "vectors"}


def config(**options: Any) -> Config:
    """Return the options of a run over this file, which would not be vectors."""
    return Config(data=Features(features=__file__), **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Features(), "data=features needs data.features=<a .npy, .npz or .parquet file>"),
        (lambda: Features(features=""), "data=features needs data.features="),
        (lambda: Features(features="none.npy"), "data.features=none.npy is not a file: give the"),
        (lambda: Features(features="tests"), "data.features=tests is not a file"),
        (lambda: Features(features=__file__, labels="x.csv"), "data.labels=x.csv is not a file"),
        (lambda: Features(features=__file__, images="x"), "data.images=x does not exist"),
        (lambda: Features(features=__file__, batch_size=3), "data.batch_size=3 has no effect"),
        (
            lambda: Features(features=__file__, image_size="256"),
            "data.image_size=256 has no",
        ),
        (lambda: Features(features=__file__, resize=Resize.pad), "data.resize=pad has no effect"),
        (lambda: Features(features=__file__, limit=1), "data.limit must be at least 2, got 1"),
        (lambda: Backbone(**VECTORS, pooling=Pooling.max), "backbone.pooling=max has no effect"),
        (lambda: Backbone(**VECTORS | {"layer": "layer4"}), "backbone.layer=layer4 has no effect"),
        (lambda: Backbone(**VECTORS | {"weights": "random"}), "a file of vectors has no weights"),
        (lambda: config(), "backbone.name=resnet50 has no effect with data=features"),
        (
            lambda: Config(data=Demo(), backbone=Backbone(**VECTORS)),
            "backbone.name=vectors needs data=features data.features=",
        ),
        (
            lambda: config(
                backbone=Backbone(**VECTORS), trainer=Trainer(precision=Precision["16-mixed"])
            ),
            "trainer.precision=16-mixed has no effect with data=features",
        ),
    ],
)
def test_an_option_that_is_missing_or_has_no_effect_is_named(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "data.features is required: add data.features=<value>"),
        (
            [f"data.features={__file__}", "backbone=resnet50"],
            "backbone.name=resnet50 has no effect",
        ),
        ([f"data.features={__file__}", "backbone.layer=50%"], "backbone.layer=50% has no effect"),
        ([f"data.features={__file__}"], "its content is none of .npy, .npz, .parquet"),
    ],
)
def test_the_command_line_says_it_in_one_line(
    words: list[str], message: str, tmp_path: Any
) -> None:
    result = command("src.run", "data=features", *words, f"outputs={tmp_path}")
    assert result.returncode == 2
    assert message in result.stderr and result.stderr.count("\n") <= 1


def test_there_is_nothing_to_download(tmp_path: Any) -> None:
    words = ["data=features", f"data.features={__file__}", f"outputs={tmp_path}"]
    result = command("src.download", *words)
    assert (result.returncode, "data=features has nothing to download" in result.stderr) == (
        2,
        True,
    )


def test_vectors_have_no_layers(capsys: pytest.CaptureFixture[str]) -> None:
    from src.layers import main

    assert main(["backbone=vectors"]) == 2
    assert "have no network, and so no layers" in capsys.readouterr().err
