"""How a command is launched: order of its words, its working folder, folders of sweeps, streams."""

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from src.cli.app import flags_first
from src.leaderboard.__main__ import main as leaderboard
from src.runtime.streams import run_command
from tests.support.commands import ROOT, CommandResult, command

SMALL = ("backbone.name=resnet18", "backbone.weights=random", "backbone.layer=layer1")
SMALL += ("similarity.top_k=3", "tracking=off", "evaluation.resamples=20")
NAMES = [b"caf\xe9", "\U0001f600".encode(), "\u202eabc".encode(), b"new\nline", b"tab\there"]
NAMES += [b"\x1b[31mred\x1b]0;title\x07", "山水".encode(), b'"quoted", <b>|', "שלום".encode()]


def run(images: Path, outputs: Path, *words: str) -> CommandResult:
    """Run src.run over a folder with a small network."""
    source = ("data=folder", f'data.images="{images}"', f"outputs={outputs}")
    return command("src.run", *source, *SMALL, *words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a=1 -m b=1,2", "-m a=1 b=1,2"),
        ("a=1 --cfg job b=2", "--cfg job a=1 b=2"),
        ("~a -m +b=1", "-m ~a +b=1"),
        ("--package=x a=1 nonsense -m", "--package=x nonsense -m a=1"),
        ("", ""),
    ],
)
def test_flags_come_first(words: str, expected: str) -> None:
    assert flags_first(words.split()) == expected.split()


def test_a_flag_may_stand_between_options(tmp_path: Path) -> None:
    result = run(tmp_path, tmp_path, "--cfg", "job", "seed=7")
    assert result.returncode == 0 and "seed: 7" in result.stdout
    result = run(tmp_path, tmp_path, "seed=7", "-m", "similarity.top_k=0,-1")
    assert "similarity.top_k must be at least 1, got 0" in result.stderr
    (started,) = tmp_path.glob("sweeps/*/*/multirun.yaml")
    assert "top_k=0,-1" in started.read_text()


@pytest.mark.usefixtures("small_squares")
def test_relative_paths_are_those_of_the_command(shared_paintings: Path, tmp_path: Path) -> None:
    images, outputs = (Path(os.path.relpath(path, ROOT)) for path in (shared_paintings, tmp_path))
    assert run(images, outputs, "hydra.job.chdir=true").returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"galleries", "embeddings", "runs"}


@pytest.mark.slow
@pytest.mark.usefixtures("small_squares")
def test_a_sweep_has_folders_of_two_levels(shared_paintings: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    folders = (f"hydra.sweep.dir={sweep}", "hydra.sweep.subdir=k${similarity.top_k}/${seed}")
    words = ("-m", "similarity.top_k=2,3", *folders)
    assert run(shared_paintings, tmp_path, *words).returncode == 0
    table = pd.read_csv(sweep / "leaderboard.csv")
    assert sorted(table["run"]) == ["k2/0", "k3/0"]


@pytest.mark.slow
@pytest.mark.usefixtures("small_squares")
def test_a_job_that_fails_in_the_folder_of_a_complete_one_is_incomplete(
    shared_paintings: Path, tmp_path: Path
) -> None:
    again = ("-m", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert run(shared_paintings, tmp_path, *again, "similarity.top_k=2").returncode == 0
    ended = run(shared_paintings, tmp_path, *again, "similarity.top_k=3", "backbone.layer=layr9")
    assert ended.returncode == 2
    assert "incomplete: 1 of 1" in ended.stdout
    assert run(shared_paintings, tmp_path, *again, "similarity.top_k=3").returncode == 0
    assert pd.read_csv(tmp_path / "sweep" / "leaderboard.csv")["run"].tolist() == [0]
    assert [path.name for path in tmp_path.glob("sweep/0/top_*")] == ["top_3_similar.npy"]


def test_the_log_is_utf_8_and_a_message_is_one_line(tmp_path: Path) -> None:
    words = ("--cfg", "hydra", "--package", "hydra.job_logging.handlers.file")
    assert "encoding: utf-8\nerrors: backslashreplace\n" in command("src.run", *words).stdout
    run(tmp_path / "山水\x1b[2J", tmp_path, "-m", "similarity.top_k=2")
    (log,) = tmp_path.glob("sweeps/*/*/0/run.log")
    assert r"山水\x1b[2J does not exist" in log.read_text("utf-8")


@pytest.fixture
def odd_names(tmp_path: Path) -> Path:
    """Return a folder of images with odd names, and of artists with the same."""
    draw = np.random.default_rng(0)
    for artist in NAMES:
        folder = tmp_path / "odd" / os.fsdecode(artist)
        folder.mkdir(parents=True)
        for name in NAMES[:3]:
            pixels = draw.integers(0, 255, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / os.fsdecode(name + b".png"), "PNG")
    return tmp_path / "odd"


@pytest.mark.slow
def test_odd_names_reach_every_tracker_and_report(
    odd_names: Path, tmp_path: Path, small_squares: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = tmp_path / "outputs"
    ended = run(odd_names, outputs, "-m", "tracking=local", "similarity.top_k=2,3")
    assert ended.returncode == 0, ended.stderr
    (sweep,) = outputs.glob("sweeps/*/*")
    page = (sweep / "leaderboard.html").read_bytes().decode()  # strict
    assert '<meta charset="utf-8">' in page and "\x1b" not in page and "\u202e" not in page
    (sweep / "leaderboard.md").read_bytes().decode()
    assert len(pd.read_csv(sweep / "leaderboard.csv")) == 2
    json.loads((sweep / "0" / "metrics.json").read_bytes())
    assert len((sweep / "0/projector/works.tsv").read_bytes().decode().splitlines()) == 28
    (table,) = sweep.glob("0/wandb/offline-run-*/files/media/table/hubs*.json")
    json.loads(table.read_bytes().decode())
    assert EventAccumulator(str(sweep / "0")).Reload().Tensors("hubs/text_summary")
    terminal = io.TextIOWrapper(io.BytesIO(), "iso-8859-1")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run_command(lambda: leaderboard([str(sweep)])) == 0
    assert b"\x1b" not in terminal.buffer.getvalue()  # type: ignore[attr-defined]
