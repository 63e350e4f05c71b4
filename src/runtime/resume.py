"""Resumable work: records of settings, and logs of finished items.

A folder of unfinished work holds record.json and, for each process, a log of what it has finished.
"""

import json
import os
import shutil
from collections.abc import Container
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from src.io.files import atomic_write
from src.runtime.processes import ProcessGroup

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")
RECORD, LOGS = "record.json", "done-*.txt"


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
    with atomic_write(folder / RECORD) as part:
        part.write_text(json.dumps(asdict(wanted), indent=2) + "\n")
    return wanted


class DoneTiles:
    """Numbers of finished tiles, a line each that ends in a full stop, else it was cut off."""

    def __init__(self, folder: Path, processes: ProcessGroup):
        self._path = folder / f"done-{processes.rank}.txt"
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
