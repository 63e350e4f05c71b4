"""Free memory, and the block sizes that fit into it."""

from pathlib import Path

import psutil
import torch

MAX_BLOCK_ROWS = {"cpu": 2048, "cuda": 16384}  # smaller blocks waste less on the diagonal
MIN_BLOCK_ROWS = 256  # smaller blocks are slow and save little memory


def free_memory(device: torch.device) -> int:
    """Return how many bytes this process may still allocate on the device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min(int(psutil.virtual_memory().available), _cgroup_free())


def _cgroup_free(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> int:
    """Return the bytes left in this process's control groups (a container, a Slurm job).

    Reads cgroup v2; without a limit, returns the machine's memory.
    """
    free = int(psutil.virtual_memory().total)
    if not membership.exists():
        return free
    for line in membership.read_text().splitlines():
        group = root / line.rpartition("::")[2].strip("/")
        for folder in [group, *group.parents] if line.startswith("0::") else []:
            limit, used = folder / "memory.max", folder / "memory.current"
            if limit.is_file() and used.is_file() and (bound := limit.read_text().strip()) != "max":
                free = min(free, max(0, int(bound) - int(used.read_text())))
    return free


def block_rows(width: int, device: torch.device, free: int | None = None) -> int:
    """Return the number of rows per block, for rows of `width` float32 numbers.

    The device's maximum is halved until a tile and its copies leave half of the `free` bytes.
    """
    free = free_memory(device) if free is None else free
    rows = MAX_BLOCK_ROWS[device.type]
    while rows > MIN_BLOCK_ROWS and 4 * (4 * rows * rows + 3 * rows * width) > free / 2:
        rows //= 2
    return rows


def fits_on_device(num_bytes: int, device: torch.device, free: int | None = None) -> bool:
    """Return whether num_bytes may stay on the device and leave room for the tiles."""
    return device.type == "cpu" or num_bytes < 0.6 * (free_memory(device) if free is None else free)
