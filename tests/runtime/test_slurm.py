"""Runs of two tasks on a real Slurm cluster of two nodes, which tests/support/slurm.py starts."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.launchers import assert_neighbors, features_of, options, run_alone
from tests.support.options import changed, small
from tests.support.processes import wait_for_line
from tests.support.slurm import Cluster, running_cluster  # noqa: F401, a fixture

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
TILES = 21  # of 6 blocks


def words(paintings: Path, outputs: Path) -> list[str]:
    """Return the options of a small run by the tasks that srun starts, with a folder of its own."""
    small = [word for word in options(paintings, outputs, 1) if not word.startswith("trainer.")]
    folder = f"hydra.run.dir={outputs}/runs/slurm/job"
    return [*small, "trainer=slurm", "trainer.accelerator=cpu", folder]


def metrics_of(outputs: Path) -> dict[str, Any]:
    """Return the metrics of the only run."""
    (folder,) = (outputs / "runs").glob("*/*")
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return metrics


@pytest.fixture(scope="module")
def alone(shared_paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    """Return the rows of the same run by one process: (n, d)."""
    outputs = tmp_path_factory.mktemp("alone")
    run_alone(changed(small(shared_paintings, outputs), "data", batch_size=1, workers=0), outputs)
    return features_of(outputs)


def assert_bits(outputs: Path, alone: torch.Tensor) -> None:
    """Assert that the rows are those of one process, and the neighbors are those of the rows."""
    rows = features_of(outputs)
    assert torch.equal(rows, alone)
    assert_neighbors(outputs / "runs" / "slurm" / "job", rows)


def held(tmp_path: Path, **at: int) -> dict[str, Any]:
    """Return the environment in which a rank waits at a batch or a tile, once."""
    return {"PID_FILE": tmp_path / "pid", **at}


def calls(tmp_path: Path, work: str) -> int:
    """Return how many batches or tiles all attempts together have finished."""
    return len((tmp_path / f"pid.{work}").read_text())


def wait_until_held(cluster: Cluster, job: str, tmp_path: Path) -> int:
    """Wait until the job's rank waits; return its process id."""
    return int(wait_for_line(tmp_path / "pid", lambda: not cluster.has_ended(job)))


def test_a_run_over_two_nodes_has_the_bits_of_one_process(
    cluster: Cluster, shared_paintings: Path, alone: torch.Tensor, tmp_path: Path
) -> None:
    outputs = tmp_path / "two"
    printed = cluster.wait_for_success(cluster.submit("src.run", words(shared_paintings, outputs)))
    assert printed.count("pictures, tables and run.log: ") == 1 and "Warning" not in printed
    metrics = metrics_of(outputs)
    assert (metrics["processes"], metrics["images"]) == (2, 12)
    assert_bits(outputs, alone)


def test_if_a_task_is_killed_the_job_ends_and_the_next_job_goes_on(
    cluster: Cluster, shared_paintings: Path, alone: torch.Tensor, tmp_path: Path
) -> None:
    outputs, run = tmp_path / "o", words(shared_paintings, tmp_path / "o")
    at = held(tmp_path, HELD=1, BATCH=3)  # of 6
    job = cluster.submit("tests.support.held_run", run, **at)
    os.kill(wait_until_held(cluster, job, tmp_path), signal.SIGKILL)
    assert cluster.wait_for_end(job, seconds=60) == "FAILED"
    assert not (outputs / "runs" / "slurm" / "job" / "metrics.json").exists()
    cluster.wait_for_success(cluster.submit("src.run", run))
    metrics = metrics_of(outputs)
    assert 3 <= metrics["resumed_rows"] < 12
    assert metrics["resumed_rows"] + metrics["embedded_rows"] == 12
    assert_bits(outputs, alone)


@pytest.mark.parametrize("at", [{"BATCH": 3}, {"TILE": 5}], ids=["embedding", "comparing"])
def test_a_job_that_is_requeued_goes_on_from_what_was_done(
    cluster: Cluster,
    shared_paintings: Path,
    alone: torch.Tensor,
    tmp_path: Path,
    at: dict[str, int],
) -> None:
    outputs = tmp_path / "o"
    environment = held(tmp_path, HELD=0, **at)
    job = cluster.submit("tests.support.held_run", words(shared_paintings, outputs), **environment)
    wait_until_held(cluster, job, tmp_path)
    cluster.call("scontrol", "requeue", job)
    printed = cluster.wait_for_success(job)
    assert printed.count("pictures, tables and run.log: ") == 1
    if "BATCH" in at:
        metrics = metrics_of(outputs)
        assert 3 <= metrics["resumed_rows"] < 12
        assert metrics["resumed_rows"] + metrics["embedded_rows"] == 12
    else:
        assert calls(tmp_path, "BATCH") == 12
        assert TILES <= calls(tmp_path, "TILE") < 2 * TILES - 5
    assert_bits(outputs, alone)
