"""Checkpoints of an unfinished search: the candidates of the tiles compared so far."""

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from src.io.files import atomic_write
from src.runtime.processes import ProcessGroup
from src.runtime.resume import begin
from src.similarity.candidates import Candidates

if TYPE_CHECKING:
    pass

OWN = ("block", "threads")  # unfinished comparisons go on with their own
SAVE_SECONDS = 20.0  # between two saves
SAVE_COST_RATIO = 20  # or as many times as long as a save takes


@dataclass(frozen=True)
class SearchRecord:
    """What a tile's bits depend on."""

    features: str  # hash of the numbers compared
    groups: str  # hash of what is left out, and of the penalty
    precision: str
    device: str
    torch: str
    block: int  # rows of a tile
    threads: int


def hash_of(*tensors: Tensor) -> str:
    """Of their numbers, shapes and types."""
    made = hashlib.sha256()
    for tensor in tensors:
        array = tensor.contiguous().numpy()
        made.update(f"{array.dtype} {array.shape} ".encode())
        made.update(array.reshape(-1).view(np.uint8).data)
    return made.hexdigest()[:16]


class Checkpoint:
    """The candidates of finished tiles, kept so that a killed comparison goes on from them."""

    def __init__(
        self, parent: Path, found: Candidates, wanted: SearchRecord, processes: ProcessGroup
    ):
        self.found, self.processes = found, processes
        self.folder = parent / f"neighbors-{wanted.features}-{wanted.groups}-{found.c}.part"
        self.record = processes.broadcast_from_rank_zero(lambda: begin(self.folder, wanted, OWN))
        self._made_by = json.dumps(asdict(self.record))
        self._saved, self._cost = time.monotonic(), 0.0
        if processes.is_rank_zero and self._load():
            self.save()
            for path in self._files():
                if path != self._path(0):
                    path.unlink()
        found.elsewhere = set(processes.broadcast_from_rank_zero(lambda: found.seen)) - found.seen

    def _path(self, rank: int) -> Path:
        return self.folder / f"candidates-{rank}.npz"

    def _files(self) -> list[Path]:
        return list(self.folder.glob("candidates-*.npz"))

    def _load(self) -> bool:
        """Join what all processes of the call before had, each tile once."""
        files = [np.load(path, allow_pickle=False) for path in self._files()]
        # another run may have begun here anew, with other blocks, while one still saved its own
        files = [file for file in files if str(file["record"]) == self._made_by]
        for file in sorted(files, key=lambda file: -len(file["done"])):
            done = set(file["done"].tolist())
            if not done & self.found.seen:  # else the first process had joined it already
                self.found.join(torch.from_numpy(file["key"]), torch.from_numpy(file["index"]))
                self.found.seen |= done
        return bool(files)

    def tick(self) -> None:
        """Save where it is time."""
        if time.monotonic() - self._saved > max(SAVE_SECONDS, SAVE_COST_RATIO * self._cost):
            self.save()

    def remove(self) -> None:
        """All is found: nothing to go on from."""
        self.processes.barrier()
        if self.processes.is_rank_zero:
            shutil.rmtree(self.folder, ignore_errors=True)

    def save(self) -> None:
        """Write what this process has."""
        began = time.monotonic()
        done = np.array(sorted(self.found.seen), dtype=np.int64)
        arrays = {"key": self.found.key.cpu().numpy(), "index": self.found.index.cpu().numpy()}
        with atomic_write(self._path(self.processes.rank)) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, record=self._made_by, done=done, **arrays)
        self._saved = time.monotonic()
        self._cost = self._saved - began
