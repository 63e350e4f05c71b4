"""Rows in host memory, copied block by block to a GPU that cannot hold them all."""

import torch
from torch import Tensor


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
