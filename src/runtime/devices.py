"""Hardware-dependent defaults (device, workers, batch size) and detection of an unused GPU."""

import multiprocessing
import os
import platform
import resource
import sys
from pathlib import Path

import torch

from src.config.enums import Accelerator

NVIDIA = Path("/proc/driver/nvidia/gpus")  # one folder per GPU, also where CUDA cannot use it


def device_of(
    accelerator: Accelerator, assigned: str | None = None, float64: bool = False
) -> torch.device:
    """Return the device of this process, as Lightning chooses it.

    `assigned` is a device by name, which takes precedence: that of this rank ("cuda:1"), or one
    that a caller asks for. With float64=True Apple's MPS, which lacks float64, becomes the CPU.
    """
    device = torch.device("cpu")
    if assigned is not None:
        device = torch.device(assigned)
    elif accelerator in (Accelerator.gpu, Accelerator.auto) and torch.cuda.is_available():
        device = torch.device("cuda", 0)
    elif accelerator in (Accelerator.mps, Accelerator.auto) and torch.backends.mps.is_available():
        device = torch.device("mps", 0)
    return torch.device("cpu") if float64 and device.type == "mps" else device


def cores(num_processes: int = 1) -> int:
    """Return the CPU cores of this process if num_processes of its run share the machine."""
    total = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    # with fewer than all, a scheduler such as Slurm has assigned cores to each process
    return usable // num_processes if usable == total else usable


def worker_count(num_processes: int = 1) -> int:
    """Return the number of decoding processes, 0 to 8, if num_processes share the machine.

    One core is left for the network. On two cores the main process decodes: a worker would only
    take turns with it.
    """
    usable = cores(num_processes)
    return 0 if usable <= 2 else min(usable - 1, 8)


def worker_obstacle(workers: int) -> str | None:
    """Return why this machine cannot start that many decoding processes, None if it can.

    DataLoader needs semaphores, which the C library keeps in /dev/shm.
    """
    try:
        _ = [multiprocessing.get_context("fork").Lock() for _ in range(3 * workers + 10)]
    except OSError as error:
        return f"/dev/shm has no room for semaphores ({error.strerror})"
    return None


def batch_size(device: torch.device) -> int:
    """Return the default number of images per forward pass: enough to keep the device busy."""
    return 256 if device.type == "cuda" else 16


def processor_name(device: torch.device, architecture: bool = False) -> str:
    """Return what the last bits of results depend on: GPU model, or CPU vector instructions.

    With architecture=True the CPU's architecture is part of it: "cpu x86_64 AVX2". Both spellings
    are in records on disk, which say whether unfinished work may be resumed.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capability = torch.backends.cpu.get_cpu_capability()
    return " ".join([device.type, *([platform.machine()] if architecture else []), capability])


def idle_gpu(device: torch.device) -> str | None:
    """Return how to use this machine's GPU, or None if device is one or there is none."""
    if device.type == "cuda":
        return None
    if torch.cuda.is_available():
        return "trainer.accelerator=auto uses it"
    if NVIDIA.is_dir() and any(NVIDIA.iterdir()):
        if torch.version.cuda is None:
            return f"torch {torch.__version__} is built without CUDA: install a build with CUDA"
        return (
            "it is not visible to this process (Slurm's --gpus, CUDA_VISIBLE_DEVICES, docker's"
            f" --gpus), or its driver is too old for CUDA {torch.version.cuda}"
        )
    return None


def peak_memory() -> dict[str, float]:
    """Return this process's peak memory in GB, and that on the GPU if there is one."""
    unit = 1e9 if sys.platform == "darwin" else 1e6  # ru_maxrss is in bytes on macOS, else in kB
    peak = {"peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}
    if torch.cuda.is_available():
        peak["peak_gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return peak
