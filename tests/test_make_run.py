"""What make run leaves: a whole run of the demo gallery, its neighbors far above chance."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.support.commands import ROOT
from tests.support.results import checked_results

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the last command of make run leaves, told to put it elsewhere."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    told = subprocess.run(
        ["make", "-n", "--no-print-directory", "run"], cwd=ROOT, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    outputs = tmp_path_factory.mktemp("made") / "outputs"
    words = shlex.split(told.stdout.splitlines()[-1])
    assert words[-1] == "experiment=demo"
    ended = subprocess.run(
        [*words, f"outputs={outputs}"], cwd=ROOT, capture_output=True, text=True, timeout=800
    )
    assert ended.returncode == 0, ended.stderr
    return outputs


@pytest.fixture(scope="module")
def run(outputs: Path) -> Path:
    """The folder of the run."""
    (path,) = outputs.glob("runs/*/*/metrics.json")
    return path.parent


@pytest.fixture(scope="module")
def metrics(run: Path) -> dict[str, Any]:
    """Its metrics."""
    found: dict[str, Any] = json.loads((run / "metrics.json").read_text())
    return found


def test_neighbors_are_far_above_chance(metrics: dict[str, Any]) -> None:
    assert metrics["images"] >= 240 and metrics["skipped"] == 0
    assert metrics["style/precision_at_1"] > 5 * metrics["style/precision_at_1_chance"]


def test_every_image_was_fetched_at_once(outputs: Path, metrics: dict[str, Any]) -> None:
    images = outputs / "images" / "demo-seed-0" / "256"
    outcomes = (images / "journal.csv").read_text().splitlines()[1:]
    assert len(outcomes) == metrics["images"] == len(list(images.glob("*/*.jpg")))
    assert all(",ok,,200,1," in line for line in outcomes) and metrics["missing"] == 0


def test_neighbors_and_pictures_can_be_read(run: Path, metrics: dict[str, Any]) -> None:
    named = np.load(run / "top_10_similar.npy")
    assert named.shape == (metrics["images"], 10)
    assert (np.diff(named["score"], axis=1) <= 0).all()
    for picture in ("neighbors.jpg", "scores.png"):
        with Image.open(run / picture) as image:
            image.load()


def test_tables_and_results_are_those_of_the_run(run: Path) -> None:
    results = checked_results(run)
    assert results["inputs"]["source"] == "demo"
    assert results["settings"]["backbone.layer"] == "layer2"
    assert len(pd.read_csv(run / "paintings.csv")) == results["counts"]["images"]


def test_both_trackers_were_told(run: Path) -> None:
    assert list(run.glob("events.out.tfevents.*"))
    assert list(run.glob("wandb/offline-run-*/*.wandb"))
