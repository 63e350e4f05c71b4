"""Runs of several real processes on this machine, as Lightning, torchrun and srun start them."""

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
from tests.support.processes import (  # noqa: F401
    ROOT,
    Child,
    Fork,
    as_command,
    forked_children,
    started_server,
    wait_for,
)

SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "0",
    "SLURM_NODELIST": "127.0.0.1",
    "SLURM_NODEID": "0",
    "SLURM_NNODES": "1",
}
COMMANDS: list["subprocess.Popen[str]"] = []
THEIRS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE", "MASTER_", "SLURM_")


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests themselves may run in a job of a cluster."""
    for name in os.environ:
        if name.startswith((*THEIRS, "TORCHELASTIC_")):
            monkeypatch.delenv(name)


def options(paintings: Path, outputs: Path, processes: int) -> list[str]:
    return [
        *("data=folder", f"data.images={paintings}", f"outputs={outputs}", "tracking=off"),
        *("backbone.name=resnet18", "backbone.weights=random", "backbone.layer=layer1"),
        *("backbone.layers=[]", "data.batch_size=1", "data.workers=0"),
        *("similarity.top_k=3", "similarity.block_size=2", "similarity.postprocess=whiten"),
        *(f"trainer.devices={processes}", "trainer.strategy=ddp", "trainer.accelerator=cpu"),
    ]


Started = subprocess.Popen[str] | Child


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    """End what start has started, and what that has, however a test ends."""
    yield
    for process in COMMANDS:
        if process.poll() is None:
            for each in [*psutil.Process(process.pid).children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            process.communicate()
    COMMANDS.clear()


def start(command: list[str], **environment: Any) -> "subprocess.Popen[str]":
    """Start python with these words."""
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
    """Start the first process, which starts the others."""
    return [start(["-m", module, *asked], **env)]


def by_torchrun(fork: Fork, module: str, size: int, asked: list[str], **env: Any) -> list[Started]:
    """Start torchrun, which starts all processes."""
    how = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}", "-m"]
    return [start([*how, module, *asked], **env)]


def by_two_nodes(fork: Fork, module: str, size: int, asked: list[str], **env: Any) -> list[Started]:
    """Start torchrun on each of two machines, which are both this one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = [option for option in asked if not option.startswith("trainer.devices=")]
    here += [f"trainer.devices={size // 2}", "trainer.num_nodes=2"]
    how = ["-m", "torch.distributed.run", "--nnodes=2", f"--nproc-per-node={size // 2}"]
    how += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}"]
    return [start([*how, "-m", module, *here], **env) for _ in range(2)]


def by_srun(fork: Fork, module: str, size: int, asked: list[str], **env: Any) -> list[Started]:
    """Start what srun would, with what it gives its tasks; the configuration has numbers of it."""
    plain = [option for option in asked if not option.startswith("trainer.")]
    words = [*plain, "trainer=slurm", "trainer.accelerator=cpu"]
    counts = dict.fromkeys(("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_STEP_NUM_TASKS"), size)
    environments = [
        SLURM | counts | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank} | env for rank in range(size)
    ]
    return [
        fork(as_command, module, words, os.environ | {k: str(v) for k, v in each.items()})
        for each in environments
    ]


def finished(processes: list[Started]) -> str:
    """Wait until all have ended well; return what they printed."""
    printed = "".join(process.communicate(timeout=240)[0] for process in processes)
    assert [process.returncode for process in processes] == [0] * len(processes), printed
    return printed


def alone(cfg: Config, outputs: Path, **similarity: Any) -> Path:
    """The folder of the same run by this process alone."""
    folder = outputs / "runs" / "alone" / "run"
    folder.mkdir(parents=True)
    backbone = replace(cfg.backbone, name="resnet18", layer="layer1")
    postprocess = replace(
        cfg.similarity, top_k=3, block_size="2", postprocess=Postprocess.whiten, **similarity
    )
    run(replace(cfg, backbone=backbone, similarity=postprocess, outputs=str(outputs)), folder)
    return folder


def features_of(outputs: Path) -> torch.Tensor:
    (features,) = outputs.glob("embeddings/*/*/layer1/features.npy")
    return torch.from_numpy(np.load(features))


def assert_neighbors(folder: Path, rows: torch.Tensor) -> None:
    expected = top_k(fit_whiten(rows)(rows), 3)
    with np.load(folder / "neighbors.npz") as found:
        np.testing.assert_array_equal(found["index"], expected.index)
        np.testing.assert_array_equal(found["score"].view("i4"), expected.score.view("i4"))


@pytest.mark.parametrize(
    ("launcher", "size"),
    [
        pytest.param(by_lightning, 2, marks=pytest.mark.slow),
        pytest.param(by_torchrun, 3, marks=pytest.mark.slow),
        pytest.param(by_two_nodes, 2, marks=pytest.mark.slow),
        (by_srun, 2),
    ],
)
def test_several_processes_make_one_run(
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
    alone(cfg, tmp_path / "one")
    np.testing.assert_allclose(features_of(tmp_path / "one"), rows, rtol=1e-6, atol=1e-6)


def killed_run(processes: list[Started], told: Path) -> str:
    """Kill the process that is held, once it is; return what the run printed until all ended."""
    (command,) = processes
    held = int(wait_for(told, lambda: command.poll() is None))
    os.kill(held, signal.SIGKILL)
    printed, _ = command.communicate(timeout=60)
    assert command.returncode != 0, printed
    return printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "size", "killed", "storage"),
    [(by_lightning, 2, 1, Storage.full), (by_torchrun, 3, 0, Storage.topk)],
)
def test_a_run_ends_with_a_killed_process_and_the_next_goes_on(
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
    outputs, told = tmp_path / "o", tmp_path / "told"
    asked = [*options(paintings, outputs, size), f"similarity={storage.name}"]
    held = {"HELD": killed, "TILE": 5, "TOLD": told}  # of 7 or 10
    printed = killed_run(launcher(fork, "tests.support.held_run", size, asked, **held), told)
    assert not list(outputs.glob("runs/*/*/neighbors.npz"))
    tile, computed = Centered.tile, []
    monkeypatch.setattr(Centered, "tile", lambda *a: computed.append(a) or tile(*a))
    folder = alone(cfg, outputs, storage=storage)
    assert 0 < len(computed) < 21, printed  # of the 21 tiles of 6 blocks
    monkeypatch.undo()
    assert_neighbors(folder, features_of(outputs))


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
        ({"RANK": "2", "LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, False),
        ({"LOCAL_RANK": "1", "SLURM_PROCID": "0"}, False),  # Lightning's, in a batch script
        ({"NODE_RANK": "1"}, False),
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "4", "SLURM_LOCALID": "0"}, False),
    ],
)
def test_the_first_process_is_known_by_its_environment(environment, first, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_rank_zero() == first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "size", "killed"), [(by_lightning, 2, 1), (by_torchrun, 2, 0)]
)
def test_embedding_ends_with_a_killed_process_and_the_next_goes_on(
    launcher,
    size,
    killed,
    cfg,
    paintings,
    fork,
    tmp_path,
):
    outputs, told = tmp_path / "o", tmp_path / "told"
    held = {"HELD": killed, "BATCH": 3, "TOLD": told}  # of 6
    started = launcher(
        fork, "tests.support.held_run", size, options(paintings, outputs, size), **held
    )
    killed_run(started, told)
    folder = alone(cfg, outputs)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert size <= metrics["resumed_rows"] < 12
    assert metrics["resumed_rows"] + metrics["embedded_rows"] == 12
    alone(cfg, tmp_path / "one")
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
def test_another_number_of_processes_than_asked_is_refused(
    environment, trainer, refused, monkeypatch
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if not refused:
        check_world_size(trainer)
        return
    with pytest.raises(UserError, match=r"\d processes were launched, but trainer.devices=\d"):
        check_world_size(trainer)


def test_several_tasks_without_srun_are_refused(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    with pytest.raises(UserError, match="several tasks: start the command with srun"):
        launch(Trainer(accelerator=Accelerator.cpu, devices=4))


def test_what_lightning_refuses_is_said(monkeypatch):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="devices=4 trainer.num_nodes=1: .*--ntasks-per-node"):
        launch(Trainer(accelerator=Accelerator.cpu, devices=4))


def test_a_device_that_is_not_there_is_refused_before_processes_start():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(
        UserError, match="accelerator=gpu: .* finds no such device; use auto"
    ):
        launch(Trainer(accelerator=Accelerator.gpu, devices=2))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["trainer=slurm"], "error: trainer=slurm needs processes launched by srun"),
        (["-m", "trainer.devices=2"], "error: a job of a sweep cannot launch processes: keep"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(asked, says, paintings, tmp_path):
    source = ["data=folder", f"data.images={paintings}", f"outputs={tmp_path / 'o'}"]
    process = start(["-m", "src.run", *asked, *source])
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 2 and says in printed and "Traceback" not in printed


def test_others_leave_no_folder(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(sys, "argv", ["src.run"])
    assert app.command(lambda: None) == 0
    assert sys.argv[1:] == app.NON_ZERO_RANK_OVERRIDES
