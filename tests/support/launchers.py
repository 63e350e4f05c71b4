"""Runs of several processes, as Lightning, torchrun and srun start them, and their results."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.config import Config
from src.config.enums import Postprocess
from src.run import run
from src.similarity import top_k
from src.similarity.postprocess import fit_whiten
from tests.support.processes import (
    ROOT,
    Child,
    Fork,
    run_module,
)

SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "0",
    "SLURM_NODELIST": "127.0.0.1",
    "SLURM_NODEID": "0",
    "SLURM_NNODES": "1",
}
Started = subprocess.Popen[str] | Child
COMMANDS: list["subprocess.Popen[str]"] = []  # started by the current test


def options(paintings: Path, outputs: Path, processes: int) -> list[str]:
    """Return the options of a small run by that many processes, as words of a command."""
    return [
        *("data=folder", f"data.images={paintings}", f"outputs={outputs}", "tracking=off"),
        *("backbone.name=resnet18", "backbone.weights=random", "backbone.layer=layer1"),
        *("backbone.layers=[]", "data.batch_size=1", "data.workers=0"),
        *("similarity.top_k=3", "similarity.block_size=2", "similarity.postprocess=whiten"),
        *(f"trainer.devices={processes}", "trainer.strategy=ddp", "trainer.accelerator=cpu"),
    ]


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


def by_lightning(fork: Fork, module: str, size: int, words: list[str], **env: Any) -> list[Started]:
    """Start rank 0, in which Lightning starts the other ranks."""
    return [start(["-m", module, *words], **env)]


def by_torchrun(fork: Fork, module: str, size: int, words: list[str], **env: Any) -> list[Started]:
    """Start torchrun, which starts all ranks."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}", "-m"]
    return [start([*torchrun, module, *words], **env)]


def by_two_nodes(fork: Fork, module: str, size: int, words: list[str], **env: Any) -> list[Started]:
    """Start torchrun twice, as on two machines, which are both this one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [option for option in words if not option.startswith("trainer.devices=")]
    words += [f"trainer.devices={size // 2}", "trainer.num_nodes=2"]
    torchrun = ["-m", "torch.distributed.run", "--nnodes=2", f"--nproc-per-node={size // 2}"]
    torchrun += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}"]
    return [start([*torchrun, "-m", module, *words], **env) for _ in range(2)]


def by_srun(fork: Fork, module: str, size: int, words: list[str], **env: Any) -> list[Started]:
    """Start the tasks that srun would, with its variables; trainer=slurm reads counts from them."""
    words = [option for option in words if not option.startswith("trainer.")]
    words += ["trainer=slurm", "trainer.accelerator=cpu"]
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
    """Run the same options in this process alone; return the run folder."""
    folder = outputs / "runs" / "alone" / "run"
    folder.mkdir(parents=True)
    backbone = replace(cfg.backbone, name="resnet18", layer="layer1")
    postprocess = replace(
        cfg.similarity, top_k=3, block_size="2", postprocess=Postprocess.whiten, **similarity
    )
    run(replace(cfg, backbone=backbone, similarity=postprocess, outputs=str(outputs)), folder)
    return folder


def features_of(outputs: Path) -> torch.Tensor:
    """Return the rows of the only features.npy below outputs: (n, d)."""
    (features,) = outputs.glob("embeddings/*/*/layer1/features.npy")
    return torch.from_numpy(np.load(features))


def assert_neighbors(folder: Path, rows: torch.Tensor) -> None:
    """Assert that the run's neighbors are those of the whitened rows, to the bit."""
    expected = top_k(fit_whiten(rows)(rows), 3)
    with np.load(folder / "neighbors.npz") as saved:
        np.testing.assert_array_equal(saved["index"], expected.index)
        np.testing.assert_array_equal(saved["score"].view("i4"), expected.score.view("i4"))
