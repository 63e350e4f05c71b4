"""Files that a failed run leaves: none, unless work had begun."""

import json
from pathlib import Path

import pytest

from src.demo.server import served
from src.downloader import tables
from src.embedding.writer import RowWriter
from src.errors import UserError, keep_run_folder
from tests.support.commands import command
from tests.support.hosts import BadMuseum, Fault, draw_small

SMALL = ("backbone.name=resnet18", "backbone.weights=random", "backbone.layer=layer1")


def run(paintings: Path, outputs: Path, *words: str) -> int:
    """Run src.run over a folder, with a small network; return its exit code."""
    source = ("data=folder", f"data.images={paintings}", f"outputs={outputs}", "data.batch_size=4")
    small = (*source, *SMALL, "tracking=off", "similarity.top_k=3")
    result = command("src.run", *small, *words)
    assert (result.returncode == 0) == (not result.stderr.count("error: "))
    return result.returncode


@pytest.mark.parametrize(
    "word",
    [
        "similarity.top_k=0",  # an error of the schema, after Hydra has created the folder
        "similarity.top_k=12",  # as soon as the gallery is listed
        "evaluation.labels=[artits]",
        "backbone.layer=layr1",  # when the network is cut
        "backbone.weights=IMAGENET1K_V3",  # when its weights are looked up
        "+extra=1",
        "data.images=no/such",
    ],
)
def test_a_wrong_option_leaves_no_run_folder(word: str, paintings: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    assert run(paintings, outputs, word) == 2
    assert not (outputs / "runs").exists()


def test_trackers_that_had_started_leave_no_folder_either(paintings: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    words = ("tracking=local", "tracking.wandb=off", "backbone.layer=layr1")
    assert run(paintings, outputs, *words) == 2
    assert not (outputs / "runs").exists()


def test_the_folders_of_other_runs_stay(paintings: Path, tmp_path: Path) -> None:
    assert run(paintings, tmp_path) == 0
    before = sorted(tmp_path.glob("runs/*/*"))
    assert run(paintings, tmp_path, "similarity.top_k=12") == 2
    assert sorted(tmp_path.glob("runs/*/*")) == before
    assert json.loads((before[0] / "metrics.json").read_text())["images"] == 12


def test_a_folder_that_the_user_named_is_left_alone(paintings: Path, tmp_path: Path) -> None:
    named = tmp_path / "2026-01-01" / "00-00-00-000000"
    named.mkdir(parents=True)
    (named / "mine.txt").write_text("mine")
    assert run(paintings, tmp_path, "similarity.top_k=12", f"hydra.run.dir={named}") == 2
    assert (named / "mine.txt").read_text() == "mine"
    assert "got 12" in (named / "run.log").read_text()


def test_a_job_of_a_sweep_keeps_its_log(paintings: Path, tmp_path: Path) -> None:
    source = ("data=folder", f"data.images={paintings}", f"outputs={tmp_path}")
    assert command("src.run", "-m", *source, "similarity.top_k=12,13").returncode == 2
    (log,) = tmp_path.glob("sweeps/*/*/0/run.log")
    assert "got 12" in log.read_text()


def test_the_log_stays_if_embedding_had_begun(
    paintings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise UserError("the embedding holds NaN")

    monkeypatch.setattr(RowWriter, "write_on_batch_end", fail)
    assert run(paintings, tmp_path) == 2
    (log,) = tmp_path.glob("runs/*/*/run.log")
    assert "error: the embedding holds NaN" in log.read_text()


def test_the_log_stays_if_no_image_can_be_read(paintings: Path, tmp_path: Path) -> None:
    for number, path in enumerate(paintings.glob("*/*.png")):
        path.write_text(f"no image {number}")
    assert run(paintings, tmp_path) == 2
    (log,) = tmp_path.glob("runs/*/*/run.log")
    assert "none of the 12 images can be read" in log.read_text()


def test_a_museum_that_cannot_be_reached_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ATTEMPTS", 1)
    words = ("data.tables=http://museum.invalid/data", f"outputs={tmp_path}")
    for module, kind in (("src.run", "runs"), ("src.download", "downloads")):
        assert command(module, *words).returncode == 2
        assert not (tmp_path / kind).exists()


def test_the_log_stays_if_a_download_lacks_images(tmp_path: Path) -> None:
    museum = BadMuseum(draw_small(tmp_path / "host", 12), tmp_path / "host")
    museum.every = Fault("404")
    with served(museum) as address:
        result = command("src.download", f"data.tables={address}", f"outputs={tmp_path / 'o'}")
    assert result.returncode == 1
    (log,) = tmp_path.glob("o/downloads/*/*/download.log")
    assert "12 of 12 images are missing" in log.read_text()


def test_only_user_errors_are_marked_to_keep_the_run_folder() -> None:
    with pytest.raises(UserError) as caught, keep_run_folder():
        raise UserError("wrong")
    assert caught.value.keep_run_folder and not UserError("wrong").keep_run_folder
    with pytest.raises(ZeroDivisionError), keep_run_folder():
        raise ZeroDivisionError
