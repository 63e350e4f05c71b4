"""The pictures of src.show: what they say about the run, their formats and resolutions."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from src import show
from src.reporting.baselines import MARK
from src.reporting.pages import Page, Text
from tests.support.commands import ROOT
from tests.test_show import ask


@pytest.fixture
def finished(finished_run: Path, tmp_path: Path) -> Path:
    """Copy a finished run and return its folder; outputs is parents[2]."""
    outputs = shutil.copytree(finished_run.parents[2], tmp_path / "outputs")
    return outputs / finished_run.relative_to(finished_run.parents[2])


def write_settings(run: Path, **settings: dict[str, str]) -> None:
    """Write the settings of a run as Hydra does."""
    (run / ".hydra").mkdir()
    (run / ".hydra" / "config.yaml").write_text(yaml.safe_dump(settings))


@pytest.mark.parametrize("weights", ["random", "IMAGENET1K_V2"])
def test_random_weights_are_marked_and_trained_ones_named(
    weights: str, finished: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = {"name": "resnet50", "weights": weights, "layer": "avgpool"}
    write_settings(finished, backbone=backbone, similarity={"ranking": "cosine"})
    pages: list[Page] = []
    monkeypatch.setattr(show, "save_page", lambda page, *_: pages.append(page))
    assert ask(finished, "5") == 0
    lines = capsys.readouterr().out.splitlines()
    drawn = [item.text for item in pages[0].items if isinstance(item, Text)]
    for texts in (lines, drawn):
        assert any(text.startswith(MARK) for text in texts) == (weights == "random")
        assert ("ResNet50, ImageNet weights (V2), avgpool; cosine" in texts) == (
            weights != "random"
        )


@pytest.mark.parametrize("ranking", ["csls", "cosine"])
def test_scores_that_rise_and_fall_are_explained(
    ranking: str, finished: Path, capsys: pytest.CaptureFixture
) -> None:
    write_settings(finished, similarity={"ranking": ranking})
    assert ask(finished, "5") == 0
    assert ("order: csls" in capsys.readouterr().out) == (ranking == "csls")


@pytest.mark.parametrize(
    ("words", "suffix", "dpi"),
    [
        ([], "jpg", 144),
        (["--format", "png"], "png", 300),
        (["--format", "png", "--dpi", "100"], "png", 100),
    ],
)
def test_a_picture_has_the_format_and_resolution_asked_for(
    words: list[str], suffix: str, dpi: int, finished: Path
) -> None:
    assert ask(finished, "5", *words) == 0
    with Image.open(finished / f"neighbors-5.{suffix}") as picture:
        assert picture.format == {"jpg": "JPEG", "png": "PNG"}[suffix]
        assert picture.info["dpi"] == pytest.approx((dpi, dpi), abs=0.1)
        assert picture.width == pytest.approx(1118 / 144 * dpi, abs=1)


@pytest.mark.parametrize("words", [["--format", "pdf"], ["--out", "a.pdf"]])
def test_a_figure_is_a_pdf_beside_the_results_or_where_asked(
    words: list[str], finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ask(finished, "5", *words) == 0
    path = tmp_path / "a.pdf" if "--out" in words else finished / "neighbors-5.pdf"
    assert path.read_bytes().startswith(b"%PDF")


def test_a_picture_of_another_suffix_is_an_error(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(finished, "1", "--out", str(finished / "picture.gif")) == 2
    assert "must end in .jpg, .png or .pdf" in capsys.readouterr().err


def test_a_picture_needs_no_library_that_is_slow_to_load(finished: Path) -> None:
    code = "import sys; from src import show; assert show.main(sys.argv[1:]) == 0;"
    code += "print({'torch', 'torchvision', 'lightning', 'hydra', 'wandb'} & set(sys.modules))"
    words = ["5", "--run", str(finished), "--no-open"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True)
    assert done.stdout.splitlines()[-1] == b"set()", done.stderr


@pytest.mark.parametrize("words", [["--format", "gif"], ["--dpi", "20"], ["--dpi", "x"]])
def test_a_format_or_resolution_that_cannot_be_is_an_error(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        show.main(words)
    assert words[0] in capsys.readouterr().err


def test_a_format_must_be_that_of_the_path(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(finished, "1", "--out", "a.png", "--format", "pdf") == 2
    assert "--out a.png is not of --format pdf: give one of the two" in capsys.readouterr().err
