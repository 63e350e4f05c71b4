"""Links to runs: names that tell a sweep's jobs apart, and what the links lead to."""

from pathlib import Path

import numpy as np
import pytest

from src.leaderboard.run_links import named_runs, run_names
from src.leaderboard.runs import read_runs
from tests.support.made_runs import N, random_neighbors, write_multirun, write_run

DRAW = np.random.default_rng(0)


def write_job(folder: Path, layer: str, weights: str = "random") -> None:
    """Write a finished run of a layer."""
    backbone = {"layer": layer, "weights": weights}
    write_run(folder, DRAW.random(N), random_neighbors(DRAW), backbone=backbone)


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Return a folder with a run of its own and a sweep, two of whose four jobs have started."""
    sweep = tmp_path / "sweeps" / "2026-01-01" / "12-00-00"
    write_job(sweep / "0", "layer1")
    write_job(sweep / "1", "layer2")
    write_multirun(sweep, None, ["backbone.layer=layer1,layer2,layer3,a/b/../etc"])
    write_job(tmp_path / "runs" / "2026-01-01" / "11-00-00-000000", "layer4")
    return tmp_path


def test_the_jobs_of_a_sweep_bear_their_settings(outputs: Path) -> None:
    runs = read_runs([outputs])
    names = [str(name) for name in run_names(runs, outputs)]
    assert names == [
        "runs/2026-01-01/11-00-00-000000",
        "sweeps/2026-01-01/12-00-00/0 · layer1",
        "sweeps/2026-01-01/12-00-00/1 · layer2",
        "sweeps/2026-01-01/12-00-00/2 · layer3",
        "sweeps/2026-01-01/12-00-00/3 · etc",
    ]


def test_links_lead_to_the_runs_also_to_those_that_start_later(outputs: Path) -> None:
    with named_runs(read_runs([outputs]), outputs) as folder:
        linked = {path.name: path for path in folder.rglob("*") if path.is_symlink()}
        assert (linked["1 · layer2"] / "metrics.json").is_file()
        later = linked["2 · layer3"]
        assert not later.exists()
        write_job(later.readlink(), "layer3")
        assert (later / "metrics.json").is_file()
    assert not folder.exists()
    assert (outputs / "sweeps" / "2026-01-01" / "12-00-00" / "1" / "metrics.json").is_file()


def test_a_run_alone_and_a_run_in_a_run(tmp_path: Path) -> None:
    write_job(tmp_path / "outer", "layer1")
    write_job(tmp_path / "outer" / "inner", "layer2")
    for folder, link in ((tmp_path, "outer/inner"), (tmp_path / "outer", "outer/inner")):
        with named_runs(read_runs([folder]), folder) as links:
            assert (links / link / "metrics.json").is_file()
            assert [path.name for path in links.iterdir()] == ["outer"]
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_no_name_leaves_the_folder(tmp_path: Path) -> None:
    for job, weights in enumerate(("../../../x/../..", f"{'ж' * 300}/{'э' * 300}")):
        write_job(tmp_path / str(job), "layer1", weights)
    write_multirun(tmp_path, None, [])
    with named_runs(read_runs([tmp_path]), tmp_path) as folder:
        links = sorted(folder.iterdir())
        assert [link.name[:2] for link in links] == ["0 ", "1 "]
        assert all(len(link.name.encode()) <= 128 for link in links)
