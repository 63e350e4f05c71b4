"""A run says what it does: a line or a bar for each step that takes long in a large collection."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.config import Config, Tracking
from src.config.enums import Postprocess, RankedBy, Storage, WandbMode
from src.config.layer_terms import Term
from src.embedding.joining import LayerJoin, join_layers
from src.embedding.row_files import CHECKSUMS, FEATURES, NAMES, SKIPPED
from src.embedding.unfinished import _finish_layer
from src.gallery import Gallery
from src.leaderboard.comparison import compare
from src.leaderboard.runs import read_runs
from src.reporting import projector
from src.run import run
from src.runtime import progress
from tests.support.made_runs import N, random_neighbors, write_run
from tests.support.options import changed

BARS = ["averaging", "covariance", "applying", "centering", "comparing", "scoring", "all pairs"]
BARS += ["labels", "resampling", "drawing thumbnails"]
LINES = [
    "similarity: post-processing the features: whiten",
    "similarity: computing the principal axes",
    "similarity: comparing 12 images",
    "similarity: reserving",
    "similarity: waiting until the disk has the last tiles",
    "metrics: evaluating",
    "report: drawing the pictures",
    "tracking: writing the results",
]


@pytest.fixture(autouse=True)
def every_item_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a bar write a line for each item."""
    monkeypatch.setattr(progress, "LOG_SECONDS", 0)
    monkeypatch.setattr(progress, "DELAY", 0)


def test_each_long_step_of_a_run_announces_itself(
    embedded: Config,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.INFO)
    options = changed(embedded, "similarity", postprocess=Postprocess.whiten, storage=Storage.full)
    options = changed(options, "similarity", ranking=RankedBy.csls)
    (tmp_path / "run").mkdir()
    run(replace(options, tracking=Tracking(wandb=WandbMode.off)), tmp_path / "run")
    shown = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert list(dict.fromkeys(name for name in shown if name in BARS)) == BARS
    assert shown.count("comparing") == 2  # csls compares twice
    positions = [caplog.text.index(line) for line in LINES]
    assert positions == sorted(positions)


def test_joining_layers_and_comparing_runs_show_bars(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / FEATURES, np.ones((9, 2), np.float32))
        for file in (NAMES, CHECKSUMS):
            np.save(tmp_path / name / file, np.array(["x"] * 9))
        (tmp_path / name / SKIPPED).touch()
    join_layers(LayerJoin((Term("a"), Term("b"))), tmp_path, {})
    assert "joining layers: 100%" in capsys.readouterr().err
    draw = np.random.default_rng(0)
    for number in range(3):
        write_run(tmp_path / "runs" / str(number), draw.random(N), random_neighbors(draw))
    comparison = compare(read_runs([tmp_path / "runs"]), None)
    assert [len(comparison.table), *map(len, [b.overlap for b in comparison.boards])] == [3, 3]
    printed = capsys.readouterr().err
    assert "resampling: 100%, 20 of 20 steps" in printed
    assert "shared neighbors: 100%, 3 of 3 pairs" in printed


class CountedTable(pd.DataFrame):
    """A table that counts how often its column of files is taken."""

    taken = 0

    def __getitem__(self, key: object) -> object:
        if key == "file":
            CountedTable.taken += 1
        return super().__getitem__(key)


def test_the_files_of_a_gallery_are_listed_once_not_for_each_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 300
    works = CountedTable({"file": [f"{row}.png" for row in range(n)], "sha256": [""] * n})
    np.save(tmp_path / FEATURES, np.zeros((n, 2), np.float32))
    monkeypatch.setattr(CountedTable, "taken", 0)
    _finish_layer(tmp_path, Gallery("made", tmp_path, works), list(range(n)), [], True)
    assert np.load(tmp_path / NAMES).tolist() == works["file"].tolist()
    projector.sprite(Gallery("made", tmp_path, works), list(range(n)))
    gallery = Gallery("made", tmp_path, works)
    assert [gallery.caption(row) for row in range(n)] == [f"{row}.png" for row in range(n)]
    assert CountedTable.taken <= 4
