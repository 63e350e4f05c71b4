"""Runs of several real processes on this machine, launched by Lightning, torchrun and srun."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from src.cli import app
from src.config import Config, Trainer
from src.config.enums import Accelerator, Postprocess, Storage
from src.errors import UserError
from src.run import run
from src.runtime.launch import check_world_size, is_rank_zero, launch
from src.similarity import top_k
from src.similarity.centering import Centered
from src.similarity.postprocess import fit_whiten
from tests.support.processes import (
    ROOT,
    Child,
    Fork,
    run_module,
    wait_for_line,
)

SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "0",
    "SLURM_NODELIST": "127.0.0.1",
    "SLURM_NODEID": "0",
    "SLURM_NNODES": "1",
}
COMMANDS: list["subprocess.Popen[str]"] = []  # those that a test has started
LAUNCHER_ENV = (
    "RANK",
    "LOCAL_RANK",
    "NODE_RANK",
    "GROUP_RANK",
    "WORLD_SIZE",
    "MASTER_",
    "SLURM_",
)


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the launcher variables of a cluster job that the tests themselves run in."""
    for name in os.environ:
        if name.startswith((*LAUNCHER_ENV, "TORCHELASTIC_")):
            monkeypatch.delenv(name)


def options(paintings: Path, outputs: Path, processes: int) -> list[str]:
    """Return the words of a small run by that many processes."""
    return [
        *("data=folder", f"data.images={paintings}", f"outputs={outputs}", "tracking=off"),
        *("backbone.name=resnet18", "backbone.weights=random", "backbone.layer=layer1"),
        *("backbone.layers=[]", "data.batch_size=1", "data.workers=0"),
        *("similarity.top_k=3", "similarity.block_size=2", "similarity.postprocess=whiten"),
        *(f"trainer.devices={processes}", "trainer.strategy=ddp", "trainer.accelerator=cpu"),
    ]


Started = subprocess.Popen[str] | Child


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    """Kill the commands that a test has started, and their children."""
    yield
    for process in COMMANDS:
        if process.poll() is None:
            for running in [*psutil.Process(process.pid).children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    running.kill()
            process.communicate()
    COMMANDS.clear()


def start(command: list[str], **environment: Any) -> "subprocess.Popen[str]":
    """Start python with these arguments."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    COMMANDS.append(process)
    return process


def by_lightning(fork: Fork, module: str, size: int, asked: list[str], **env: Any) -> list[Started]:
    """Start rank 0, in which Lightning starts the other ranks."""
    return [start(["-m", module, *asked], **env)]


def by_torchrun(fork: Fork, module: str, size: int, asked: list[str], **env: Any) -> list[Started]:
    """Start torchrun, which starts all ranks."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}", "-m"]
    return [start([*torchrun, module, *asked], **env)]


def by_two_nodes(fork: Fork, module: str, size: int, asked: list[str], **env: Any) -> list[Started]:
    """Start torchrun twice, as on two machines, which are both this one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [option for option in asked if not option.startswith("trainer.devices=")]
    words += [f"trainer.devices={size // 2}", "trainer.num_nodes=2"]
    torchrun = ["-m", "torch.distributed.run", "--nnodes=2", f"--nproc-per-node={size // 2}"]
    torchrun += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}"]
    return [start([*torchrun, "-m", module, *words], **env) for _ in range(2)]


def by_srun(fork: Fork, module: str, size: int, asked: list[str], **env: Any) -> list[Started]:
    """Start the tasks that srun would, with its variables; trainer=slurm reads counts from them."""
    plain = [option for option in asked if not option.startswith("trainer.")]
    words = [*plain, "trainer=slurm", "trainer.accelerator=cpu"]
    counts = dict.fromkeys(("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_STEP_NUM_TASKS"), size)
    environments = [
        SLURM | counts | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank} | env for rank in range(size)
    ]
    return [
        fork(run_module, module, words, os.environ | {k: str(v) for k, v in variables.items()})
        for variables in environments
    ]


def finished(processes: list[Started]) -> str:
    """Wait until all have ended with exit code 0; return what they printed."""
    printed = "".join(process.communicate(timeout=240)[0] for process in processes)
    assert [process.returncode for process in processes] == [0] * len(processes), printed
    return printed


def run_alone(cfg: Config, outputs: Path, **similarity: Any) -> Path:
    """Run the same in this process alone, and return the run folder."""
    folder = outputs / "runs" / "alone" / "run"
    folder.mkdir(parents=True)
    backbone = replace(cfg.backbone, name="resnet18", layer="layer1")
    postprocess = replace(
        cfg.similarity, top_k=3, block_size="2", postprocess=Postprocess.whiten, **similarity
    )
    run(replace(cfg, backbone=backbone, similarity=postprocess, outputs=str(outputs)), folder)
    return folder


def features_of(outputs: Path) -> torch.Tensor:
    """Return the only features.npy below outputs, (n, d)."""
    (features,) = outputs.glob("embeddings/*/*/layer1/features.npy")
    return torch.from_numpy(np.load(features))


def assert_neighbors(folder: Path, rows: torch.Tensor) -> None:
    """Assert that the run's neighbors are those of the whitened rows, to the bit."""
    expected = top_k(fit_whiten(rows)(rows), 3)
    with np.load(folder / "neighbors.npz") as saved:
        np.testing.assert_array_equal(saved["index"], expected.index)
        np.testing.assert_array_equal(saved["score"].view("i4"), expected.score.view("i4"))


@pytest.mark.parametrize(
    ("launcher", "size"),
    [
        pytest.param(by_lightning, 2, marks=pytest.mark.slow),
        pytest.param(by_torchrun, 3, marks=pytest.mark.slow),
        pytest.param(by_two_nodes, 2, marks=pytest.mark.slow),
        (by_srun, 2),
    ],
)
def test_several_processes_make_one_run_with_the_neighbors_of_one(
    launcher,
    size,
    cfg,
    paintings,
    fork,
    tmp_path,
):
    outputs = tmp_path / "many"
    asked = options(paintings, outputs, size)
    printed = finished(launcher(fork, "src.run", size, [*asked, "similarity=full"]))
    assert printed.count("files in ") == 1
    assert {path.name for path in outputs.iterdir()} == {"runs", "embeddings", "galleries"}
    assert not list(outputs.rglob("*.part"))
    (folder,) = (outputs / "runs").glob("*/*")
    assert {path.name for path in folder.iterdir()} == {
        *("metrics.json", "neighbors.npz", "top_3_similar.npy", "queries.npz", "paths.yaml"),
        *("neighbors.jpg", "scores.png", "postprocess.npz", ".hydra", "run.log"),
        *("hubs.csv", "near_duplicates.csv"),
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["processes"], metrics["images"]) == (size, 12)
    rows = features_of(outputs)
    assert_neighbors(folder, rows)
    (matrix,) = outputs.glob("embeddings/*/*/*/similarity_scores-whiten-0.5-all.npy")
    assert np.load(matrix).diagonal().tolist() == [1] * 12
    run_alone(cfg, tmp_path / "one")
    np.testing.assert_allclose(features_of(tmp_path / "one"), rows, rtol=1e-6, atol=1e-6)


def killed_run(processes: list[Started], pid_file: Path) -> str:
    """Kill the held process once it waits; return what the run printed until all ended."""
    (command,) = processes
    held = int(wait_for_line(pid_file, lambda: command.poll() is None))
    os.kill(held, signal.SIGKILL)
    printed, _ = command.communicate(timeout=60)
    assert command.returncode != 0, printed
    return printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "size", "killed", "storage"),
    [(by_lightning, 2, 1, Storage.full), (by_torchrun, 3, 0, Storage.topk)],
)
def test_if_a_process_is_killed_the_run_ends_and_the_next_run_resumes(
    launcher,
    size,
    killed,
    storage,
    cfg,
    paintings,
    tmp_path,
    fork,
    monkeypatch,
):
    outputs, pid_file = tmp_path / "o", tmp_path / "pid"
    asked = [*options(paintings, outputs, size), f"similarity={storage.name}"]
    held = {"HELD": killed, "TILE": 5, "PID_FILE": pid_file}  # of 7 or 10
    printed = killed_run(launcher(fork, "tests.support.held_run", size, asked, **held), pid_file)
    assert not list(outputs.glob("runs/*/*/neighbors.npz"))
    tile, computed = Centered.tile, []
    monkeypatch.setattr(Centered, "tile", lambda *a: computed.append(a) or tile(*a))
    folder = run_alone(cfg, outputs, storage=storage)
    assert 0 < len(computed) < 21, printed  # of the 21 tiles of 6 blocks
    monkeypatch.undo()
    assert_neighbors(folder, features_of(outputs))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
        ({"RANK": "2", "LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, False),
        ({"LOCAL_RANK": "1", "SLURM_PROCID": "0"}, False),  # set by Lightning in a batch script
        ({"NODE_RANK": "1"}, False),
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "4", "SLURM_LOCALID": "0"}, False),
    ],
)
def test_rank_zero_is_recognized_by_its_environment(environment, expected, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_rank_zero() == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "size", "killed"), [(by_lightning, 2, 1), (by_torchrun, 2, 0)]
)
def test_if_a_process_is_killed_embedding_ends_and_the_next_run_resumes(
    launcher,
    size,
    killed,
    cfg,
    paintings,
    fork,
    tmp_path,
):
    outputs, pid_file = tmp_path / "o", tmp_path / "pid"
    held = {"HELD": killed, "BATCH": 3, "PID_FILE": pid_file}  # of 6
    started = launcher(
        fork, "tests.support.held_run", size, options(paintings, outputs, size), **held
    )
    killed_run(started, pid_file)
    folder = run_alone(cfg, outputs)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert size <= metrics["resumed_rows"] < 12
    assert metrics["resumed_rows"] + metrics["embedded_rows"] == 12
    run_alone(cfg, tmp_path / "one")
    expected = features_of(tmp_path / "one")
    np.testing.assert_allclose(features_of(outputs), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("environment", "trainer", "refused"),
    [
        ({}, Trainer(devices=2), False),
        ({"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "4"}, Trainer(devices=2, num_nodes=2), False),
        ({"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "4"}, Trainer(), True),
        ({"SLURM_STEP_NUM_TASKS": "2"}, Trainer(devices=4), True),
        ({"SLURM_NTASKS": "4"}, Trainer(), False),  # a batch script, without srun
        ({"SLURM_STEP_NUM_TASKS": "1", "SLURM_JOB_NAME": "bash"}, Trainer(devices=4), False),
    ],
)
def test_a_wrong_number_of_launched_processes_is_an_error(
    environment, trainer, refused, monkeypatch
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if not refused:
        check_world_size(trainer)
        return
    with pytest.raises(UserError, match=r"\d processes were launched, but trainer.devices=\d"):
        check_world_size(trainer)


def test_a_batch_job_of_several_tasks_needs_srun(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    with pytest.raises(UserError, match="several tasks: start the command with srun"):
        launch(Trainer(accelerator=Accelerator.cpu, devices=4))


def test_an_error_of_lightning_becomes_a_user_error(monkeypatch):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="devices=4 trainer.num_nodes=1: .*--ntasks-per-node"):
        launch(Trainer(accelerator=Accelerator.cpu, devices=4))


def test_a_missing_device_is_an_error_before_processes_start():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="accelerator=gpu: .* finds no such device; use auto"):
        launch(Trainer(accelerator=Accelerator.gpu, devices=2))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["trainer=slurm"], "error: trainer=slurm needs processes launched by srun"),
        (["-m", "trainer.devices=2"], "error: a job of a sweep cannot launch processes: keep"),
    ],
)
def test_an_impossible_launch_is_an_error_of_one_line(asked, message, paintings, tmp_path):
    source = ["data=folder", f"data.images={paintings}", f"outputs={tmp_path / 'o'}"]
    process = start(["-m", "src.run", *asked, *source])
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 2 and message in printed and "Traceback" not in printed


def test_only_rank_zero_creates_a_run_folder(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(sys, "argv", ["src.run"])
    assert app.command(lambda: None) == 0
    assert sys.argv[1:] == app.NON_ZERO_RANK_OVERRIDES
