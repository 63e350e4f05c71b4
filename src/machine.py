"""What suits the machine: workers, batches, whether compiling pays; and a GPU that lies idle."""

import os
import platform
from pathlib import Path

import torch

from src.checks import UserError
from src.config import Accelerator, Compile

# Images per core (CPU) or in all (GPU) from which compiling is repaid. Measured on two cores: a
# ResNet50 takes 20 to 30 s to compile, and then 0.03 s less an image.
REPAID = {"cpu": 1000, "cuda": 200_000}
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


def compiles(option: Compile, n: int, device: torch.device, sharing: int = 1) -> bool:
    """Whether the network of a run over n images is compiled. Raises UserError where it cannot be.

    n is that of the whole gallery, so that a run that was stopped goes on as it began.
    """
    if option is Compile.never:
        return False
    least = REPAID.get(device.type, float("inf"))
    if device.type == "cpu":
        least *= max(1, cores(sharing))
    if option is Compile.auto and n < least:
        return False
    reason = _no_compiler(device)
    if reason and option is Compile.always:
        raise UserError(f"trainer.compile=always: {reason}; auto goes without")
    return reason is None


def _no_compiler(device: torch.device) -> str | None:
    """Why torch.compile cannot work here."""
    if device.type == "cpu":
        from torch._inductor.cpp_builder import get_cpp_compiler
        from torch._inductor.exc import InvalidCxxCompiler

        try:
            get_cpp_compiler()
        except InvalidCxxCompiler:
            return "torch finds no C++ compiler (g++ or clang++)"
    return None


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
        return f"torch {torch.__version__} cannot use it: install a build for its CUDA driver"
    return None
