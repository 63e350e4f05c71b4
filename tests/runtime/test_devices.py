"""What is chosen for the machine."""

import os
from pathlib import Path

import pytest
import torch

from src.config import Trainer
from src.config.enums import Accelerator, Compile, Precision
from src.embedding.compilation import chosen_compiler
from src.errors import UserError
from src.runtime import devices

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def cores(monkeypatch: pytest.MonkeyPatch, own: int, every: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: every)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(own)), raising=False)


@pytest.mark.parametrize(("own", "workers"), [(1, 0), (2, 0), (3, 2), (64, 8)])
def test_workers_are_chosen_for_the_machine(own, workers, monkeypatch):
    cores(monkeypatch, own, own)
    assert devices.worker_count() == workers


@pytest.mark.parametrize(("own", "sharing", "workers"), [(16, 4, 3), (16, 8, 0), (4, 4, 3)])
def test_processes_share_the_cores(own, sharing, workers, monkeypatch):
    cores(monkeypatch, own, 16)
    assert devices.worker_count(sharing) == workers


def compiles(option: Compile, n: int, device: torch.device = CPU, precision: str = "32-true"):
    trainer = Trainer(compile=option, precision=Precision[precision])
    return chosen_compiler(trainer, n, device)


@pytest.mark.parametrize(
    ("option", "n", "own", "expected"),
    [
        (Compile.auto, 199, 2, False),
        (Compile.auto, 200, 2, True),
        (Compile.auto, 200, 4, False),  # more cores gain less an image
        (Compile.always, 2, 2, True),
        (Compile.never, 10**9, 2, False),
    ],
)
def test_compiling_pays_for_large_galleries(option, n, own, expected, monkeypatch):
    cores(monkeypatch, own, own)
    assert (compiles(option, n) is not None) is expected


def test_each_device_has_its_compiler():
    assert compiles(Compile.always, 2).startswith("openvino 2")
    assert compiles(Compile.auto, 199_999, GPU) is None
    assert compiles(Compile.auto, 200_000, GPU) == "torch.compile"
    assert compiles(Compile.auto, 10**9, torch.device("mps")) is None


def test_what_cannot_be_compiled_goes_without(monkeypatch, caplog):
    caplog.set_level("INFO")
    assert compiles(Compile.auto, 10**9, precision="bf16-mixed") is None
    assert "the network is not compiled: on a CPU it needs trainer.precision=32" in caplog.text
    with pytest.raises(UserError, match="trainer.compile=always: on a CPU it needs"):
        compiles(Compile.always, 2, precision="bf16-mixed")
    monkeypatch.setattr("src.embedding.compilation.find_spec", lambda _: None)
    assert compiles(Compile.auto, 10**9) is None
    assert "it needs the extra openvino: pip install" in caplog.text
    with pytest.raises(UserError, match="trainer.compile=always: on a CPU it needs the extra"):
        compiles(Compile.always, 2)


def test_the_device_is_lightnings(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.device_of(Accelerator.auto) == torch.device("cuda", 0)
    assert devices.device_of(Accelerator.auto, "cuda:3") == torch.device("cuda", 3)
    assert devices.device_of(Accelerator.cpu) == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.device_of(Accelerator.auto) == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.device_of(Accelerator.auto) == torch.device("mps", 0)


def test_a_gpu_that_lies_idle_is_noticed(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(devices, "NVIDIA", tmp_path / "none")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.idle_gpu(CPU) is None
    (tmp_path / "none" / "0000:01:00.0").mkdir(parents=True)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "is built without CUDA: install a build with CUDA" in devices.idle_gpu(CPU)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "is not visible to this process (Slurm's --gpus" in devices.idle_gpu(CPU)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.idle_gpu(CPU) == "trainer.accelerator=auto uses it"
    assert devices.idle_gpu(GPU) is None
