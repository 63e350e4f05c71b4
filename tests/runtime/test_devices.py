"""Defaults that depend on the hardware."""

import os
import platform
from pathlib import Path

import pytest
import torch

from src.config import Trainer
from src.config.enums import Accelerator, Compile, Precision
from src.embedding.compilation import chosen_compiler
from src.errors import UserError
from src.runtime import devices

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def set_cores(monkeypatch: pytest.MonkeyPatch, usable: int, total: int) -> None:
    """Pretend that the machine has `total` cores, of which this process may use `usable`."""
    monkeypatch.setattr(os, "cpu_count", lambda: total)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(usable)), raising=False)


@pytest.mark.parametrize(("usable", "workers"), [(1, 0), (2, 0), (3, 2), (64, 8)])
def test_the_default_of_workers_depends_on_the_cores(usable, workers, monkeypatch):
    set_cores(monkeypatch, usable, usable)
    assert devices.worker_count() == workers


@pytest.mark.parametrize(("usable", "processes", "workers"), [(16, 4, 3), (16, 8, 0), (4, 4, 3)])
def test_processes_share_the_cores(usable, processes, workers, monkeypatch):
    set_cores(monkeypatch, usable, 16)
    assert devices.worker_count(processes) == workers


def compiles(option: Compile, n: int, device: torch.device = CPU, precision: str = "32-true"):
    """Return the compiler for n images, or None."""
    trainer = Trainer(compile=option, precision=Precision[precision])
    return chosen_compiler(trainer, n, device)


@pytest.mark.parametrize(
    ("option", "n", "cores", "expected"),
    [
        (Compile.auto, 199, 2, False),
        (Compile.auto, 200, 2, True),
        (Compile.auto, 200, 4, False),  # with more cores an image gains less
        (Compile.always, 2, 2, True),
        (Compile.never, 10**9, 2, False),
    ],
)
def test_only_large_galleries_are_compiled_by_default(option, n, cores, expected, monkeypatch):
    set_cores(monkeypatch, cores, cores)
    assert (compiles(option, n) is not None) is expected


def test_each_device_has_its_compiler():
    assert compiles(Compile.always, 2).startswith("openvino 2")
    assert compiles(Compile.auto, 199_999, GPU) is None
    assert compiles(Compile.auto, 200_000, GPU) == "torch.compile"
    assert compiles(Compile.auto, 10**9, torch.device("mps")) is None


def test_a_network_that_cannot_be_compiled_runs_without_unless_always(monkeypatch, caplog):
    caplog.set_level("INFO")
    assert compiles(Compile.auto, 10**9, precision="bf16-mixed") is None
    assert "the network is not compiled: on a CPU it needs trainer.precision=32" in caplog.text
    with pytest.raises(UserError, match="trainer.compile=always: on a CPU it needs"):
        compiles(Compile.always, 2, precision="bf16-mixed")
    monkeypatch.setattr("src.embedding.compilation.find_spec", lambda _: None)
    assert compiles(Compile.auto, 10**9) is None
    assert "it needs the optional dependency openvino: pip install" in caplog.text
    with pytest.raises(
        UserError, match="compile=always: on a CPU it needs the optional dependency"
    ):
        compiles(Compile.always, 2)


def test_the_device_is_the_one_that_lightning_chooses(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.device_of(Accelerator.auto) == torch.device("cuda", 0)
    assert devices.device_of(Accelerator.auto, "cuda:3") == torch.device("cuda", 3)
    assert devices.device_of(Accelerator.cpu) == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.device_of(Accelerator.auto) == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.device_of(Accelerator.auto) == torch.device("mps", 0)


def test_work_in_float64_avoids_mps(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.device_of(Accelerator.auto, float64=True) == CPU
    assert devices.device_of(Accelerator.auto, "mps:0", float64=True) == CPU
    assert devices.device_of(Accelerator.auto, "cuda:1", float64=True) == torch.device("cuda", 1)


def test_a_processor_is_named_by_type_and_instructions():
    kind, instructions = devices.processor_name(CPU).split(" ", 1)
    assert kind == "cpu"
    expected = f"cpu {platform.machine()} {instructions}"
    assert devices.processor_name(CPU, architecture=True) == expected


def test_an_unused_gpu_is_noticed(monkeypatch, tmp_path: Path):
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
