"""What computed: this machine, and the versions of the programs. Names no user and no host."""

import os
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch

import src
from src.runtime.devices import cores

# Packages on which numbers may depend; those that are not installed are left out
PACKAGES = (
    *("torch", "torchvision", "lightning", "numpy", "pandas", "pillow", "imagecodecs"),
    *("tifffile", "timm", "openvino", "hydra-core"),
)
CHECKOUT = Path(src.__file__).resolve().parents[1]
CPU_INFO = Path("/proc/cpuinfo")
GIT_SECONDS = 10  # a checkout on a slow disk goes without its commit


def hardware() -> dict[str, Any]:
    """Return processor, usable cores, memory in GB, and the GPU if this process has used one."""
    is_used = torch.cuda.is_initialized()  # asking would load CUDA for its name alone
    return {
        "cpu": cpu_name(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpu": torch.cuda.get_device_name() if is_used else None,
        "cuda": torch.version.cuda if is_used else None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def cpu_name() -> str:
    """Return the model of the processor, its architecture where the system does not tell."""
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, Any]:
    """Return the versions of this program, Python and PACKAGES, and of a checkout its commit."""
    found: dict[str, Any] = {"painting-similarity": src.__version__, **commit()}
    found["python"] = platform.python_version()
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def commit(folder: Path = CHECKOUT) -> dict[str, Any]:
    """Return commit and modified, whether files differ from it; {} if folder is no checkout."""
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return {}
    head = _git(git, folder, "rev-parse", "HEAD")
    changes = _git(git, folder, "status", "--porcelain", "--untracked-files=no")
    if head is None or changes is None:
        return {}
    return {"commit": head.strip(), "modified": bool(changes.strip())}


def _git(git: str, folder: Path, *words: str) -> str | None:
    """Return what git prints about the checkout in folder, None if it fails."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("GIT_")}
    options = ["--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder)]
    try:
        done = subprocess.run(
            [git, *options, *words],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
