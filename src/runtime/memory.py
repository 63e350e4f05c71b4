"""How much memory is free, and what fits into it."""

from pathlib import Path

import psutil
import torch
from torch import Tensor

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


class Streamed:
    """Rows on the host, of which a block is copied to the device while another is worked on."""

    def __init__(self, rows: Tensor, device: torch.device):
        self.rows = rows.pin_memory() if device.type == "cuda" else rows
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._there: dict[tuple[int, int], tuple[Tensor, torch.cuda.Event | None]] = {}

    def expect(self, *blocks: slice) -> None:
        """Start copying the blocks that are not there, in this order, and forget all others."""
        places = [(block.start, block.stop) for block in blocks]
        self._there = {
            place: self._there.get(place) or self._copied(slice(*place)) for place in places
        }

    def _copied(self, block: slice) -> tuple[Tensor, "torch.cuda.Event | None"]:
        if self._stream is None:
            return self.rows[block].to(self.device, copy=True), None
        with torch.cuda.stream(self._stream):
            rows = self.rows[block].to(self.device, non_blocking=True)
            rows.record_stream(torch.cuda.default_stream(self.device))
            return rows, self._stream.record_event()

    def __getitem__(self, block: slice | Tensor) -> Tensor:
        """A block, or single rows, on the device."""
        if isinstance(block, slice) and (block.start, block.stop) in self._there:
            rows, arrived = self._there[block.start, block.stop]
            if arrived is not None:
                torch.cuda.current_stream(self.device).wait_event(arrived)
            return rows
        some = block.cpu() if isinstance(block, Tensor) else block
        return self.rows[some].to(self.device)
