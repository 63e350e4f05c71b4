import shlex
from pathlib import Path

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from src.gallery.folder import folder_gallery
from src.leaderboard.runs import read_runs
from src.leaderboard.words import differing_settings
from tests.support.made_runs import N, random_neighbors, write_multirun, write_run


def finished(folder: Path) -> Path:
    """Write a finished run into folder and return folder."""
    draw = np.random.default_rng(0)
    write_run(folder, draw.random(N), random_neighbors(draw))
    return folder


def test_downloads_are_not_runs(tmp_path: Path) -> None:
    finished(tmp_path / "runs" / "0")
    (finished(tmp_path / "downloads" / "0") / "download.log").touch()
    (tmp_path / "downloads" / "0" / "metrics.json").unlink()
    assert [run.folder for run in read_runs([tmp_path])] == [tmp_path / "runs" / "0"]


def test_a_run_named_twice_is_read_once(tmp_path: Path) -> None:
    run = finished(tmp_path / "sweep" / "0")
    assert len(read_runs([tmp_path, run])) == 1


def test_the_error_is_that_of_the_last_attempt(tmp_path: Path) -> None:
    (finished(tmp_path) / "metrics.json").unlink()
    line = "[2026-11-25 10:00:31,562][src.cli.app][ERROR] - error: "
    (tmp_path / "run.log").write_text(f"{line}the disk is full\n{line}no such layer\n")
    assert read_runs([tmp_path])[0].error == "no such layer"


def test_empty_files_are_read_and_damaged_ones_named(tmp_path: Path) -> None:
    run = finished(tmp_path / "0")
    (tmp_path / "multirun.yaml").touch()
    (run / ".hydra" / "overrides.yaml").write_text("")
    assert read_runs([tmp_path])[0].overrides == []
    (run / ".hydra" / "config.yaml").write_text("backbone: {layer: ")
    assert read_runs([tmp_path])[0].error.startswith(".hydra/config.yaml is damaged, so delete it")


def test_jobs_in_folders_without_numbers_are_not_reported_as_not_started(tmp_path: Path) -> None:
    finished(tmp_path / "layer1")
    write_multirun(tmp_path, None, ["seed=1,2"])
    path = tmp_path / "multirun.yaml"
    path.write_text(path.read_text().replace("${hydra.job.num}", "${backbone.layer}"))
    assert len(read_runs([tmp_path])) == 1


@pytest.mark.parametrize("name", ["0", "my (1)", "x=1", "a,b", 'a"b', "it's", "é {x}"])
def test_hydra_reads_the_folder_in_the_command_literally(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    finished(tmp_path / "sweep" / name)
    *_, word = shlex.split(read_runs([tmp_path])[0].command)
    override = OverridesParser.create().parse_override(word)
    assert not override.is_sweep_override()
    assert override.value() == f"sweep/{name}"


def test_a_changed_image_changes_the_fingerprint(paintings: Path, tmp_path: Path) -> None:
    before = folder_gallery(paintings, None, None, 0, tmp_path)
    (paintings / "ada" / "0.png").replace(paintings / "ada" / "1.png")
    after = folder_gallery(paintings, None, None, 0, tmp_path)
    again = folder_gallery(paintings, None, None, 0, tmp_path)
    assert before.name == after.name
    assert before.fingerprint() != after.fingerprint() == again.fingerprint()


def test_a_run_of_an_earlier_version_has_the_defaults_of_later_options(tmp_path: Path) -> None:
    found = np.ones(N), random_neighbors(np.random.default_rng(0))
    write_run(tmp_path / "earlier", *found)
    write_run(tmp_path / "later", *found, similarity={"top_k": 4, "augment": 5})
    settings = [run.settings for run in read_runs([tmp_path])]
    assert [run["similarity.augment"] for run in settings] == [0, 5]
    assert differing_settings(settings) == ["similarity.augment"]
