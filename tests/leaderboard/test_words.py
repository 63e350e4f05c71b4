from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.cli.help import options, source_options
from src.config import Config
from src.leaderboard.comparison import compare
from src.leaderboard.runs import read_runs
from src.leaderboard.words import (
    SELECTING,
    WITHOUT_EFFECT,
    column_texts,
    describe_setting,
    differing_settings,
    run_labels,
    short_names,
)
from tests.support.made_runs import N, random_neighbors, write_run

OPTIONS = sorted({option.name for option in [*options(Config), *source_options()]})
RESNET = {"backbone.name": "resnet50", "backbone.weights": "random", "backbone.layer": "avgpool"}
SQUEEZENET = {
    "backbone.name": "squeezenet1_1",
    "backbone.weights": "/weights/squeezenet1_1.pth",
    "backbone.layer": "features.12",
}


def test_settings_without_effect_on_results_are_no_factors(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for number, word in enumerate("ab"):
        more: dict[str, Any] = {"outputs": word, "tracking": {"wandb": word}, "seed": number}
        more |= {"download": {"requests_per_second": float(number), "contact": word}}
        more |= {"trainer": {"devices": number, "compile": word, "precision": f"{16 * number}"}}
        more |= {"data": {"workers": number, "timeout": number, "images": word, "resize": word}}
        more |= {"similarity": {"block_size": word, "precision": word}}
        write_run(tmp_path / word, draw.random(N), random_neighbors(draw), **more)
    (board,) = compare(read_runs([tmp_path]), None).boards
    assert board.settings == ["data.resize", "trainer.precision", "seed"]


def test_the_names_of_settings_without_effect_are_those_of_options() -> None:
    assert set(OPTIONS) >= WITHOUT_EFFECT | SELECTING


@pytest.mark.parametrize("name", OPTIONS)
def test_every_setting_is_described(name: str) -> None:
    assert len(describe_setting(name)) > 8


def test_unknown_settings_have_no_description() -> None:
    assert describe_setting("backbone.colour") == describe_setting("nothing") == ""


def test_a_setting_counts_only_where_it_is_used() -> None:
    whiten, power = "similarity.postprocess", "similarity.whiten_power"
    plain = [{whiten: "none", power: value} for value in (0.0, 1.0)]
    assert differing_settings(plain) == []
    whitened = [{whiten: "whiten", power: value} for value in (0.0, 1.0)]
    assert differing_settings(plain + whitened) == [whiten, power]
    assert column_texts(power, plain + whitened) == ["", "", "0", "1"]


def test_a_power_means_nothing_where_another_run_has_fitted() -> None:
    source, power = "similarity.whiten_from", "similarity.whiten_power"
    runs = [
        {"similarity.postprocess": "whiten", source: path, power: 0.5} for path in (None, "a/run")
    ]
    assert column_texts(power, runs) == ["0.5", ""]
    assert column_texts(source, runs) == ["fitted on itself", "a/run"]
    assert differing_settings(runs) == [source]


def test_a_sweep_over_judgements_tells_its_runs_apart() -> None:
    name = "data.judgements"
    runs = [{name: path} for path in (None, "a/b/said.csv", "a/c/said.csv", "/x/ann.csv")]
    assert differing_settings(runs) == [name]
    assert run_labels([name], runs, list("0123"))[0] == "not judged"
    assert run_labels([name], runs[1::2], list("13")) == [
        *("judgements of said.csv", "judgements of ann.csv"),
    ]
    assert len(set(column_texts(name, runs))) == 4


def test_a_setting_that_an_earlier_version_lacked_is_no_difference() -> None:
    assert differing_settings([{"seed": 0}, {"seed": 0, "similarity.ranking": "cosine"}]) == []
    assert differing_settings([{}, {"seed": 0}, {"seed": 1}]) == ["seed"]


def test_values_are_written_as_people_write_them() -> None:
    sizes = [{"data.image_size": size} for size in (None, "256")]
    assert column_texts("data.image_size", sizes) == ["original size", "256"]
    dims = [{"similarity.whiten_dim": dim} for dim in (None, 64)]
    assert column_texts("similarity.whiten_dim", dims) == ["all axes", "64"]
    others = [{"x": value} for value in (True, False, 0.0, 2.5, ["a", "b"], None)]
    assert column_texts("x", others) == ["yes", "no", "0", "2.5", "a, b", "not set"]


def test_different_values_have_different_texts() -> None:
    long = "y" * 40

    def texts(*values: str) -> list[str]:
        """Return the texts of the values of one setting."""
        return column_texts("backbone.weights", [{"backbone.weights": value} for value in values])

    assert texts("/a/w.pth", "/b/v.pth") == ["w.pth", "v.pth"]
    assert texts("/a/w.pth", "/b/w.pth") == ["/a/w.pth", "/b/w.pth"]
    assert texts(f"{long}1", f"{long}2") == [f"…{long[:22]}1", f"…{long[:22]}2"]
    assert texts(f"a{long}1", f"b{long}1") == [f"a{long[:22]}…", f"b{long[:22]}…"]
    assert texts(f"a{long}1", f"b{long}1", f"b{long}2") == [f"a{long}1", f"b{long}1", f"b{long}2"]
    assert column_texts("backbone.name", [{"backbone.name": "timm/vit"}]) == ["timm/vit"]


def test_runs_are_named_by_the_settings_that_differ_in_words() -> None:
    runs = [RESNET, SQUEEZENET]
    settings = differing_settings(runs)
    assert run_labels(settings, runs, ["0", "1"]) == [
        "resnet50, random weights, avgpool",
        "squeezenet1_1, features.12",
    ]
    trained = RESNET | {"backbone.weights": "IMAGENET1K_V2"}
    runs = [RESNET, trained]
    labels = run_labels(differing_settings(runs), runs, ["0", "1"])
    assert labels == ["random weights", "IMAGENET1K_V2 weights"]
    runs = [
        {"similarity.postprocess": way, "similarity.top_k": k, "data.image_size": size}
        for way, k, size in (("none", 5, None), ("center", 10, "256"))
    ]
    assert run_labels(differing_settings(runs), runs, ["0", "1"]) == [
        "no post-processing, 5 neighbors, original size",
        "centered, 10 neighbors, 256 px",
    ]


def test_runs_with_equal_settings_are_told_apart_by_their_names() -> None:
    runs = [{"seed": 0}, {"seed": 0}, {"seed": 1}]
    assert run_labels(["seed"], runs, ["0", "1", "2"]) == [
        "seed 0 (run 0)",
        "seed 0 (run 1)",
        "seed 1",
    ]
    assert run_labels([], runs[:1], ["0"]) == ["run 0"]


def test_short_names_have_the_number_and_the_settings_that_differ() -> None:
    runs = [
        {"backbone.layer": layer, "similarity.postprocess": way, "similarity.top_k": 5, "seed": 0}
        for layer in ("layer1", "layer2")
        for way in ("none", "whiten")
    ]
    assert short_names(runs, ["0", "1", "2", ""], list("abcd")) == [
        "0 · layer1 · no post-processing",
        "1 · layer1 · whiten",
        "2 · layer2 · no post-processing",
        "layer2 · whiten",
    ]
    assert short_names([RESNET, SQUEEZENET], ["", ""], ["a", "b"]) == [
        "resnet50 · random weights · avgpool",
        "squeezenet1_1 · features.12",
    ]


def test_short_names_that_are_equal_are_told_apart_by_folders() -> None:
    runs = [{"seed": 0}, {"seed": 0}, {"seed": 1}]
    names = short_names(runs, ["0", "0", "1"], ["x/0", "y/0", "y/1"])
    assert names == ["0 · seed=0 · x-0", "0 · seed=0 · y-0", "1 · seed=1"]
    assert short_names(runs[:1], [""], ["2026-01-01/12-00-00"]) == ["2026-01-01-12-00-00"]
