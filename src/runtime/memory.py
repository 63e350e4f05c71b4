"""How much memory is free, and what fits into it."""

from pathlib import Path

import psutil
import torch

BLOCK = {"cpu": 2048, "cuda": 16384}  # rows; smaller tiles waste less on the diagonal
SMALLEST = 256  # rows of a block; less is slow and saves nothing


def free_memory(device: torch.device) -> int:
    """Bytes that this process may still take on the device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min(int(psutil.virtual_memory().available), _allowed())


def _allowed(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """What the control group still admits (a container, a Slurm job), by cgroup v2."""
    most = int(psutil.virtual_memory().total)
    if not own.exists():
        return most
    for line in own.read_text().splitlines():
        group = root / line.rpartition("::")[2].strip("/")
        for folder in [group, *group.parents] if line.startswith("0::") else []:
            limit, used = folder / "memory.max", folder / "memory.current"
            if limit.is_file() and used.is_file() and (bound := limit.read_text().strip()) != "max":
                most = min(most, max(0, int(bound) - int(used.read_text())))
    return most


def block_rows(width: int, device: torch.device, free: int | None = None) -> int:
    """Rows of a block: the device's best, halved until a tile and its copies leave half free."""
    free = free_memory(device) if free is None else free
    rows = BLOCK[device.type]
    while rows > SMALLEST and 4 * (4 * rows * rows + 3 * rows * width) > free / 2:
        rows //= 2
    return rows


def resident(size: int, device: torch.device, free: int | None = None) -> bool:
    """Whether size bytes may stay on the device, with room for the tiles."""
    return device.type == "cpu" or size < 0.6 * (free_memory(device) if free is None else free)
