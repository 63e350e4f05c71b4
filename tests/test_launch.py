"""Runs of several real processes on this machine, as Lightning, torchrun and srun start them."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from src import cli
from src.checks import UserError
from src.choices import Accelerator, Postprocess, Storage
from src.config import Config, Trainer
from src.launch import check_started, is_first, launch
from src.postprocess import fit_whiten
from src.run import run
from src.similarity import top_k
from src.tiles import Centered

ROOT = Path(__file__).resolve().parent.parent
SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "0",
    "SLURM_NODELIST": "127.0.0.1",
    "SLURM_NODEID": "0",
    "SLURM_NNODES": "1",
}
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
        *("backbone.layers=[]", "data.batch_size=1"),
        *("similarity.top_k=3", "similarity.block_size=2", "similarity.postprocess=whiten"),
        *(f"trainer.devices={processes}", "trainer.strategy=ddp", "trainer.accelerator=cpu"),
    ]


def start(command: list[str], **environment: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def by_lightning(module: str, size: int, asked: list[str], **env: Any) -> list[Any]:
    return [start(["-m", module, *asked], **env)]


def by_torchrun(module: str, size: int, asked: list[str], **env: Any) -> list[Any]:
    how = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}", "-m"]
    return [start([*how, module, *asked], **env)]


def by_two_nodes(module: str, size: int, asked: list[str], **env: Any) -> list[Any]:
    """torchrun on each of two machines, which are both this one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = [option for option in asked if not option.startswith("trainer.devices=")]
    here += [f"trainer.devices={size // 2}", "trainer.num_nodes=2"]
    how = ["-m", "torch.distributed.run", "--nnodes=2", f"--nproc-per-node={size // 2}"]
    how += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}"]
    return [start([*how, "-m", module, *here], **env) for _ in range(2)]


def by_srun(module: str, size: int, asked: list[str], **env: Any) -> list[Any]:
    """What srun gives its tasks; the configuration takes the numbers from there."""
    plain = [option for option in asked if not option.startswith("trainer.")]
    counts = dict.fromkeys(("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_STEP_NUM_TASKS"), size)
    return [
        start(
            ["-m", module, *plain, "trainer=slurm", "trainer.accelerator=cpu"],
            **SLURM | counts | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank} | env,
        )
        for rank in range(size)
    ]


def finished(processes: list["subprocess.Popen[str]"]) -> str:
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
    ("launcher", "size"), [(by_lightning, 2), (by_torchrun, 3), (by_two_nodes, 2), (by_srun, 2)]
)
def test_several_processes_make_one_run(launcher, size, cfg, paintings, tmp_path):
    outputs = tmp_path / "many"
    asked = options(paintings, outputs, size)
    printed = finished(launcher("src.run", size, [*asked, "similarity=full"]))
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


def process_of(process: "subprocess.Popen[str]", rank: int) -> psutil.Process:
    """The one of that rank: one below what was started, or for Lightning's first that itself."""
    below = psutil.Process(process.pid).children(recursive=True)
    return next(one for one in below if one.environ().get("LOCAL_RANK") == str(rank))


def killed_run(started: list["subprocess.Popen[str]"], rank: int, told: Path, lines: int) -> str:
    """What it printed: its process of that rank is killed once so many pieces of work are done."""
    (process,) = started
    began = time.monotonic()
    while not told.exists() or len(told.read_text().splitlines()) < lines:
        assert process.poll() is None and time.monotonic() - began < 180
        time.sleep(0.05)
    process_of(process, rank).kill()
    began = time.monotonic()
    printed = process.communicate(timeout=60)[0]
    assert process.returncode != 0 and time.monotonic() - began < 60, printed
    return printed


@pytest.mark.parametrize(
    ("launcher", "size", "killed", "storage"),
    [(by_lightning, 2, 1, Storage.full), (by_torchrun, 3, 0, Storage.topk)],
)
def test_a_run_ends_with_a_killed_process_and_the_next_goes_on(
    launcher, size, killed, storage, cfg, paintings, tmp_path, monkeypatch
):
    outputs, tiles = tmp_path / "o", tmp_path / "tiles"
    asked = [*options(paintings, outputs, size), f"similarity={storage.name}"]
    started = launcher("tests.slow_run", size, asked, TILES=tiles, SLOW=1000)
    printed = killed_run(started, killed, tiles, 4 * size)
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
    assert is_first() == first


@pytest.mark.parametrize(
    ("launcher", "size", "killed"), [(by_lightning, 2, 1), (by_torchrun, 2, 0)]
)
def test_embedding_ends_with_a_killed_process_and_the_next_goes_on(
    launcher, size, killed, cfg, paintings, tmp_path
):
    outputs, batches = tmp_path / "o", tmp_path / "batches"
    asked = options(paintings, outputs, size)
    started = launcher("tests.slow_run", size, asked, BATCHES=batches, SLOW=1000)
    killed_run(started, killed, batches, 3 * size)
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
        check_started(trainer)
        return
    with pytest.raises(UserError, match=r"\d processes were started, but trainer.devices=\d"):
        check_started(trainer)


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
    with pytest.raises(UserError, match="trainer.accelerator=gpu: .* finds no such device here"):
        launch(Trainer(accelerator=Accelerator.gpu, devices=2))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["trainer=slurm"], "error: trainer=slurm is for processes that srun starts"),
        (["-m", "trainer.devices=2"], "error: a job of a sweep cannot start processes: leave"),
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
    assert cli.command(lambda: None) == 0
    assert sys.argv[1:] == cli.FOLLOWER
