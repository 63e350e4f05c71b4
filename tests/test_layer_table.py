"""The command that lists the layers of a network."""

import subprocess
import sys

import pytest
import torch

from src.config import Backbone
from src.embedding.models import preset_of
from src.embedding.nodes import choose_stages
from src.layers import compose_backbone, layer_table, main
from tests.support.commands import ROOT


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: pytest.fail())


def rows(*words: str) -> dict[str, list[str]]:
    """Return by layer the cells of the table for the words of a command line."""
    lines = layer_table(compose_backbone(list(words)))[3:]
    return {line.split()[0]: line.split(maxsplit=1)[1].split() for line in lines}


def test_the_table_has_outputs_depths_and_the_default() -> None:
    table = rows()
    assert table["layer1"] == ["11/54", "256", "x", "56", "x", "56", "25%"]
    assert table["layer4"] == ["53/54", "2048", "x", "7", "x", "7", "100%"]
    assert table["avgpool"][-1] == "avgpool"  # what the options name
    assert table["fc"] == ["54/54", "1000"]
    assert "flatten" not in table  # repeats avgpool


@pytest.mark.parametrize(
    ("words", "layer", "cells"),
    [
        (["backbone=squeezenet1_1"], "features.10", "384 x 13 x 13 features.10"),
        (["backbone=swin_t"], "norm", "768 x 7 x 7 100%, norm"),
        (["experiment=layers", "backbone=vit_b_16"], "encoder.ln", "768 x 197 tokens 100%,"),
        (["backbone.name=vit_l_32"], "encoder.ln", "1024 x 50 tokens 100%"),
        (["backbone.name=timm/resnet18", "backbone.layer=layer2"], "layer2", "128 x 28 x 28 50%"),
        (
            ["backbone.name=vit_b_16", "backbone.weights=IMAGENET1K_SWAG_E2E_V1"],
            "encoder.ln",
            "577",
        ),
    ],
)
def test_any_network_is_listed(words: list[str], layer: str, cells: str) -> None:
    assert cells in " ".join(rows(*words)[layer])


def test_every_listed_name_can_be_cut_at() -> None:
    from src.embedding.extractor import build_extractor
    from src.embedding.models import load_network
    from src.embedding.pooling import Output
    from src.embedding.transforms import Transform

    backbone = Backbone(name="squeezenet1_1", weights="random")
    preset = preset_of(backbone)
    prepare = Transform("crop", 64, 64, None, preset.mean, preset.std)
    names = [*rows("backbone.name=squeezenet1_1")]
    outputs = [Output(name, backbone.pooling) for name in names]
    extractor = build_extractor(load_network(backbone, 0), outputs, backbone, prepare)
    widths = [int(cells[1]) for cells in rows("backbone.name=squeezenet1_1").values()]
    assert [*extractor.dims.values()] == widths


def test_the_examples_repeat_the_words(capsys: pytest.CaptureFixture) -> None:
    assert main(["backbone=squeezenet1_1"]) == 0
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first == "python -m src.run backbone=squeezenet1_1 backbone.layer=75%"
    assert second == "python -m src.run backbone=squeezenet1_1 experiment=layers"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("backbone=nope", "backbone=nope: choose one of color, convnext_tiny, "),
        ("backbone.nme=x", "there is no option backbone.nme; did you mean backbone.name?"),
        ("backbone.name=resnet5", "did you mean resnet50"),
        ("resnet50", "cannot read resnet50: write name=value"),
        ("backbone.name=timm/resnet1", "is not a model of timm"),
    ],
)
def test_a_wrong_word_is_an_error_of_one_line(word, message, capsys) -> None:
    assert main([word]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line


def test_a_network_of_few_places_has_no_stages() -> None:
    assert choose_stages([], 224) == []


def test_help_imports_no_torch() -> None:
    code = "import sys; from src.layers import main; main(['--help'])"
    code += "; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage:  python -m src.layers" in done.stdout
