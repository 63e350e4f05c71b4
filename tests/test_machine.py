"""What is chosen for the machine."""

import os
from pathlib import Path

import pytest
import torch
import torch._inductor.cpp_builder as cpp_builder
from torch._inductor.exc import InvalidCxxCompiler

from src import machine
from src.checks import UserError
from src.config import Accelerator, Compile

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def cores(monkeypatch: pytest.MonkeyPatch, own: int, every: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: every)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(own)), raising=False)


@pytest.mark.parametrize(("own", "workers"), [(1, 0), (2, 0), (3, 2), (64, 8)])
def test_workers_are_chosen_for_the_machine(own, workers, monkeypatch):
    cores(monkeypatch, own, own)
    assert machine.worker_count() == workers


@pytest.mark.parametrize(("own", "sharing", "workers"), [(16, 4, 3), (16, 8, 0), (4, 4, 3)])
def test_processes_share_the_cores(own, sharing, workers, monkeypatch):
    cores(monkeypatch, own, 16)
    assert machine.worker_count(sharing) == workers


@pytest.mark.parametrize(
    ("option", "n", "own", "expected"),
    [
        (Compile.auto, 1999, 2, False),
        (Compile.auto, 2000, 2, True),
        (Compile.auto, 2000, 4, False),  # more cores gain less an image
        (Compile.always, 2, 2, True),
        (Compile.never, 10**9, 2, False),
    ],
)
def test_compiling_pays_for_large_galleries(option, n, own, expected, monkeypatch):
    cores(monkeypatch, own, own)
    assert machine.compiles(option, n, CPU) is expected


def test_a_gpu_compiles_for_the_largest_alone():
    assert not machine.compiles(Compile.auto, 199_999, GPU)
    assert machine.compiles(Compile.auto, 200_000, GPU)
    assert not machine.compiles(Compile.auto, 10**9, torch.device("mps"))


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    def none() -> str:
        raise InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    assert not machine.compiles(Compile.auto, 10**9, CPU)
    with pytest.raises(UserError, match="trainer.compile=always: torch finds no C.. compiler"):
        machine.compiles(Compile.always, 2, CPU)


def test_the_device_is_lightnings(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert machine.device_of(Accelerator.auto) == torch.device("cuda", 0)
    assert machine.device_of(Accelerator.auto, "cuda:3") == torch.device("cuda", 3)
    assert machine.device_of(Accelerator.cpu) == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine.device_of(Accelerator.auto) == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert machine.device_of(Accelerator.auto) == torch.device("mps", 0)


def test_a_gpu_that_lies_idle_is_noticed(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(machine, "NVIDIA", tmp_path / "none")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine.idle_gpu(CPU) is None
    (tmp_path / "none" / "0000:01:00.0").mkdir(parents=True)
    assert "install a build for its CUDA driver" in machine.idle_gpu(CPU)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert machine.idle_gpu(CPU) == "trainer.accelerator=auto takes it"
    assert machine.idle_gpu(GPU) is None
