"""What suits the machine: workers, batches, whether compiling pays; and a GPU that lies idle."""

import logging
import os
import platform
import resource
import sys
from pathlib import Path

import torch

from src.config.enums import Accelerator

log = logging.getLogger(__name__)

NVIDIA = Path("/proc/driver/nvidia/gpus")


def device_of(accelerator: Accelerator, own: str | None = None) -> torch.device:
    """Where Lightning puts the network of this process: its own device, if it is one of several."""
    if own is not None:
        return torch.device(own)
    if accelerator in (Accelerator.gpu, Accelerator.auto) and torch.cuda.is_available():
        return torch.device("cuda", 0)
    if accelerator in (Accelerator.mps, Accelerator.auto) and torch.backends.mps.is_available():
        return torch.device("mps", 0)
    return torch.device("cpu")


def is_cuda(accelerator: Accelerator, own: str | None = None) -> bool:
    """Whether that is a GPU of NVIDIA's."""
    return device_of(accelerator, own).type == "cuda"


def cores(sharing: int = 1) -> int:
    """Cores for this process, where so many processes of a run share the machine."""
    everything = os.cpu_count() or 1
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else everything
    # fewer than there are: Slurm, say, has given each process its own
    return own // sharing if own == everything else own


def worker_count(sharing: int = 1) -> int:
    """Decoding processes for this machine: none on two cores, where they would take turns.

    Where so many processes of a run are sharing the machine, each takes its part of the cores.
    """
    own = cores(sharing)
    return 0 if own <= 2 else min(own - 1, 8)


def batch_size(device: torch.device) -> int:
    """Images that go through the network at once: enough to keep it busy, no more."""
    return 256 if device.type == "cuda" else 16


def name_of(device: torch.device) -> str:
    """What the numbers of a network may depend on: the GPU's name, or the CPU's instructions."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{device.type} {platform.machine()} {capability}"


def idle_gpu(device: torch.device) -> str | None:
    """What to do about a GPU of this machine that is not used."""
    if device.type == "cuda":
        return None
    if torch.cuda.is_available():
        return "trainer.accelerator=auto takes it"
    if NVIDIA.is_dir() and any(NVIDIA.iterdir()):
        if torch.version.cuda is None:
            return f"torch {torch.__version__} is built without CUDA: install a build with it"
        return (
            "this process was not given it (Slurm's --gpus, CUDA_VISIBLE_DEVICES, docker's --gpus),"
            f" or its driver is too old for CUDA {torch.version.cuda}"
        )
    return None


def peak_memory() -> dict[str, float]:
    """The most memory of this process so far, in GB, and of the GPU where one was used."""
    unit = 1e9 if sys.platform == "darwin" else 1e6  # ru_maxrss is in bytes there, else in kB
    found = {"peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}
    if torch.cuda.is_available():
        found["peak_gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return found
