"""Rows in host memory, copied block by block to a GPU that cannot hold them all."""

import torch
from torch import Tensor


class StreamedRows:
    """Rows on the host; while one block is multiplied, the next is copied to the device."""

    def __init__(self, rows: Tensor, device: torch.device):
        self.rows = rows.pin_memory() if device.type == "cuda" else rows  # (n, w)
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        # blocks on the device by (start, stop), each with the event of its copy
        self._blocks: dict[tuple[int, int], tuple[Tensor, torch.cuda.Event | None]] = {}

    def prefetch(self, *blocks: slice) -> None:
        """Start copying the blocks that are not on the device, in this order; drop all others."""
        keys = [(block.start, block.stop) for block in blocks]
        self._blocks = {key: self._blocks.get(key) or self._copy(slice(*key)) for key in keys}

    def _copy(self, block: slice) -> tuple[Tensor, "torch.cuda.Event | None"]:
        if self._stream is None:
            return self.rows[block].to(self.device, copy=True), None
        with torch.cuda.stream(self._stream):
            rows = self.rows[block].to(self.device, non_blocking=True)
            rows.record_stream(torch.cuda.default_stream(self.device))
            return rows, self._stream.record_event()

    def __getitem__(self, block: slice | Tensor) -> Tensor:
        """Return a block, or single rows by their numbers, on the device."""
        if isinstance(block, slice) and (block.start, block.stop) in self._blocks:
            rows, copy_event = self._blocks[block.start, block.stop]
            if copy_event is not None:
                torch.cuda.current_stream(self.device).wait_event(copy_event)
            return rows
        return self.rows[block.cpu() if isinstance(block, Tensor) else block].to(self.device)
