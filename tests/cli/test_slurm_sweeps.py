"""Sweeps whose runs are jobs of a real Slurm cluster, which tests/support/slurm.py starts."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from submitit.core.utils import FailedJobError, UncompletedJobError
from submitit.slurm.slurm import SlurmJobEnvironment

from src.cli.messages import user_message
from src.cli.slurm_sweeps import QueueWatcher, guard_requeue
from src.leaderboard.runs import read_runs
from tests.support.commands import command
from tests.support.launchers import options
from tests.support.processes import ROOT, wait_for_line
from tests.support.slurm import Cluster, running_cluster  # noqa: F401, a fixture

SWEEP = ["-m", "hydra/launcher=slurm", "hydra.launcher.gpus_per_node=null"]
SWEEP += ["hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=null"]
HELD = "+hydra.callbacks.held._target_=tests.support.held_run.Held"


@pytest.mark.parametrize(
    ("listed", "done"),
    [
        ("", True),  # squeue has forgotten the jobs
        ("7_0|COMPLETED\n7_1|OUT_OF_MEMORY\n9|RUNNING\n", True),  # 9 is another sweep's
        ("7_0|TIMEOUT\n7_1|RUNNING\n", False),
        ("7_0|PENDING\n", False),
        ("7_0|COMPLETING\n", False),
    ],
)
def test_a_sweep_waits_until_squeue_lists_no_job_of_it_as_running(
    listed: str, done: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\ncat <<END\n{listed}END\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    watcher = QueueWatcher()
    for job in ("7_0", "7_1"):
        watcher.register_job(job)
    assert watcher.is_done("7_0") == done


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            FailedJobError("sbatch: error: Invalid generic resource (gres) specification"),
            r"Slurm refuses the jobs \(Invalid generic .*\): .* hydra.launcher.gpus_per_node=null",
        ),
        (
            UncompletedJobError(
                "Job 7_1 (task: 0) with path /o/7_1_0_result.pkl\nhas not produced any output"
                " (state: OUT_OF_MEMORY)\nError stream produced:\n---\nmuch"
            ),
            r"job 7_1 of Slurm ended before its run was complete \(OUT_OF_MEMORY\), see"
            " /o/7_1_0_log.err; finished work is kept",
        ),
        (
            UncompletedJobError("Job not requeued because: timed-out too many times."),
            "the job's time is up, .*: raise hydra.launcher.timeout_min or max_num_timeout",
        ),
        (
            RuntimeError('Could not detect "srun", are you indeed on a slurm cluster?'),
            "hydra/launcher=slurm: srun is not on this machine",
        ),
    ],
)
def test_an_error_of_submitit_is_one_line(error: Exception, message: str) -> None:
    text = user_message(error)
    assert text and re.match(message, text) and "\n" not in text


def test_a_traceback_from_a_job_stays_one() -> None:
    assert user_message(FailedJobError("Job (task=0) failed during processing with trace:")) is None


def ended_scontrol(folder: Path, command: str) -> str:
    """Write a scontrol that gets SIGTERM before it runs command; return a PATH with it."""
    scontrol = folder / "scontrol"
    scontrol.write_text(f"#!/bin/sh\nkill -TERM $$\n{command}\n")
    scontrol.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_a_job_is_requeued_though_slurm_ends_scontrol_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", ended_scontrol(tmp_path, f"echo $* > {tmp_path}/asked"))
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(SlurmJobEnvironment, "_requeue", SlurmJobEnvironment._requeue)
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(subprocess.CalledProcessError):
        SlurmJobEnvironment()._requeue(3)
    guard_requeue()
    SlurmJobEnvironment()._requeue(3)
    assert (tmp_path / "asked").read_text() == "requeue 7\n"
    assert signal.getsignal(signal.SIGTERM) == handler


def start_sweep(
    cluster: Cluster,
    paintings: Path,
    tmp_path: Path,
    *words: str,
    held: bool = True,
    tracking: str = "off",
    **variables: str,
) -> "subprocess.Popen[str]":
    """Start a sweep of two runs; the one that embeds waits at its fourth batch of 12, once."""
    small = options(paintings, tmp_path / "o", 1)
    run = [word for word in small if word not in ("data.workers=0", "tracking=off")]
    run += ["data.workers=1", "similarity.top_k=2,3", f"tracking={tracking}", *SWEEP, *words]
    environment: dict[str, Any] = {"PID_FILE": str(tmp_path / "pid"), "HELD": "0", "BATCH": "3"}
    return subprocess.Popen(
        [sys.executable, "-m", "src.run", *run, *([HELD] if held else [])],
        cwd=ROOT,
        env=cluster.environment | environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def held_process(sweep: "subprocess.Popen[str]", tmp_path: Path) -> psutil.Process:
    """Wait until the run that embeds waits; return its process."""
    return psutil.Process(int(wait_for_line(tmp_path / "pid", lambda: sweep.poll() is None)))


def finished(sweep: "subprocess.Popen[str]", code: int) -> str:
    """Wait until the sweep ends; return what it printed, without a traceback."""
    printed, _ = sweep.communicate(timeout=240)
    assert sweep.returncode == code and "Traceback" not in printed, printed
    return printed


def resumed_rows(outputs: Path) -> list[int]:
    """Return how many rows the runs of the sweep took over from an interrupted attempt."""
    files = outputs.glob("sweeps/*/*/*/metrics.json")
    return sorted(json.loads(file.read_text()).get("resumed_rows", 0) for file in files)


@pytest.mark.slurm
@pytest.mark.slow
def test_a_sweep_on_slurm_ends_with_its_leaderboard(
    cluster: Cluster, paintings: Path, tmp_path: Path
) -> None:
    printed = finished(start_sweep(cluster, paintings, tmp_path, held=False), 0)
    assert "2 runs by" in printed and "sacct" not in printed
    (sweep,) = tmp_path.glob("o/sweeps/*/*")
    names = {path.name for path in sweep.iterdir()}
    assert {"0", "1", "leaderboard.csv", "leaderboard.html", "leaderboard.md"} <= names
    first, second = (np.load(sweep / job / "neighbors.npz")["index"] for job in "01")
    assert (first.shape, second.shape) == ((12, 2), (12, 3))
    np.testing.assert_array_equal(first, second[:, :2])


@pytest.mark.slurm
@pytest.mark.slow
def test_a_job_whose_time_is_up_is_started_again_and_goes_on(
    cluster: Cluster, paintings: Path, tmp_path: Path
) -> None:
    # Slurm looks every 30 seconds which jobs have less than a second left
    limits = ["hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=1"]
    path = ended_scontrol(tmp_path, f'exec {shutil.which("scontrol")} "$@"')
    sweep = start_sweep(cluster, paintings, tmp_path, *limits, tracking="local", PATH=path)
    held_process(sweep, tmp_path)
    assert "2 runs by" in finished(sweep, 0)
    assert resumed_rows(tmp_path / "o") == [0, 3]
    finished_batches = (tmp_path / "pid.BATCH").read_text()
    assert len(finished_batches) == 12  # no row twice


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "message"),
    [
        (
            signal.SIGKILL,
            r"job \d+_\d of Slurm ended before its run was complete \(FAILED\), see /",
        ),
        (signal.SIGUSR2, "the job's time is up, .*raise hydra.launcher.timeout_min"),
    ],
    ids=["killed", "out of time"],
)
def test_a_sweep_ends_if_a_job_does_and_the_job_resumes(
    cluster: Cluster,
    paintings: Path,
    tmp_path: Path,
    number: signal.Signals,
    message: str,
) -> None:
    limits = ["hydra.launcher.timeout_min=5", "hydra.launcher.max_num_timeout=0"]
    sweep = start_sweep(cluster, paintings, tmp_path, *limits)
    process = held_process(sweep, tmp_path)
    for each in [*process.children(), process]:  # Slurm too signals all processes of a job
        each.send_signal(number)
    printed = finished(sweep, 2)
    assert re.search(f"^error: {message}", printed, re.MULTILINE)
    assert "1 run by" in printed
    (failed,) = [run for run in read_runs([tmp_path / "o"]) if run.error]
    assert failed.command in printed
    again = command("src.run", *shlex.split(failed.command)[3:])
    assert again.returncode == 0, again.stderr
    assert resumed_rows(tmp_path / "o") == [0, 3]  # the other job has finished the pass
