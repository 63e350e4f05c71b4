"""Long work that was stopped goes on: records of what is done, and of what it was made with.

A folder of unfinished work holds record.json and, for each process, what it has finished.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Container
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from src.candidates import Candidates
from src.files import replacing
from src.spread import World

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")
OWN = ("block", "threads")  # unfinished comparisons go on with their own
RECORD, LOGS = "record.json", "done-*.txt"
SECONDS = 20.0  # between two saves
SLOWER = 20  # or as many times as long as a save takes


@dataclass(frozen=True)
class Record:
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


def read_record(folder: Path, wanted: R, free: Container[str]) -> R | None:
    """The record of work that was begun in folder, if only the free fields differ from wanted."""
    path, mine = folder / RECORD, asdict(wanted)
    facts = json.loads(path.read_text()) if path.is_file() else {}
    same = facts.keys() == mine.keys() and all(
        facts[name] == mine[name] for name in mine if name not in free
    )
    return type(wanted)(**facts) if same else None


def begin(folder: Path, wanted: R, free: Container[str] = ()) -> R:
    """The record in force: of the work that was begun in folder, or the wanted one of new work."""
    if (earlier := read_record(folder, wanted, free)) is not None:
        return earlier
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with replacing(folder / RECORD) as part:
        part.write_text(json.dumps(asdict(wanted), indent=2) + "\n")
    return wanted


class DoneLog:
    """Numbers of finished tiles, a line each that ends in a full stop, else it was cut off."""

    def __init__(self, folder: Path, world: World):
        self._path = folder / f"done-{world.rank}.txt"
        self.done = {
            int(line[:-1])
            for path in folder.glob(LOGS)
            for line in path.read_text().splitlines()
            if line.endswith(".")
        }

    def append(self, numbers: list[int]) -> None:
        """Onto the disk before it returns."""
        with self._path.open("a") as file:
            # a cut-off line of an earlier process must not run into the first number
            file.write("\n" + "".join(f"{number}.\n" for number in numbers))
            file.flush()
            os.fdatasync(file.fileno())


class Checkpoint:
    """The candidates of finished tiles, kept so that a killed comparison goes on from them."""

    def __init__(self, parent: Path, found: Candidates, wanted: Record, world: World):
        self.found, self.world = found, world
        self.folder = parent / f"neighbors-{wanted.features}-{wanted.groups}-{found.c}.part"
        self.record = world.from_first(lambda: begin(self.folder, wanted, OWN))
        self._made_by = json.dumps(asdict(self.record))
        self._saved, self._cost = time.monotonic(), 0.0
        if world.first and self._load():
            self.save()
            for path in self._files():
                if path != self._path(0):
                    path.unlink()
        found.elsewhere = set(world.from_first(lambda: found.seen)) - found.seen

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
        if time.monotonic() - self._saved > max(SECONDS, SLOWER * self._cost):
            self.save()

    def remove(self) -> None:
        """All is found: nothing to go on from."""
        self.world.barrier()
        if self.world.first:
            shutil.rmtree(self.folder, ignore_errors=True)

    def save(self) -> None:
        """Write what this process has."""
        began = time.monotonic()
        done = np.array(sorted(self.found.seen), dtype=np.int64)
        arrays = {"key": self.found.key.cpu().numpy(), "index": self.found.index.cpu().numpy()}
        with replacing(self._path(self.world.rank)) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, record=self._made_by, done=done, **arrays)
        self._saved = time.monotonic()
        self._cost = self._saved - began
