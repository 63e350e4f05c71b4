"""Resumable work: a record of its settings, and logs of finished items.

A folder of unfinished work holds record.json and, for each rank, a log of the items that it has
finished.
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


def read_record(folder: Path, record: R, free_fields: Container[str]) -> R | None:
    """Return the record of unfinished work in folder if `record` may resume it, else None.

    Work may be resumed if its record differs from `record` only in the free fields.
    """
    path, fields = folder / RECORD, asdict(record)
    stored = json.loads(path.read_text()) if path.is_file() else {}
    matches = stored.keys() == fields.keys() and all(
        stored[name] == value for name, value in fields.items() if name not in free_fields
    )
    return type(record)(**stored) if matches else None


def begin_or_resume(folder: Path, record: R, free_fields: Container[str] = ()) -> R:
    """Return the record of unfinished work in folder, or start new work there with `record`.

    Work that differs in more than the free fields is deleted.
    """
    if (stored := read_record(folder, record, free_fields)) is not None:
        return stored
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with atomic_write(folder / RECORD) as part:
        part.write_text(json.dumps(asdict(record), indent=2) + "\n")
    return record


class DoneTiles:
    """Append-only log of finished tiles: one number per line, ended by a period.

    A line without its period was cut off by a crash and is ignored.
    """

    def __init__(self, folder: Path, processes: ProcessGroup):
        self._path = folder / f"done-{processes.rank}.txt"
        self.done = {  # tiles that any rank had finished when this one started
            int(line[:-1])
            for path in folder.glob(LOGS)
            for line in path.read_text().splitlines()
            if line.endswith(".")
        }

    def append(self, tiles: list[int]) -> None:
        """Append the tiles; on return they are on disk."""
        with self._path.open("a") as file:
            # the first newline ends a line that an earlier process was cut off in
            file.write("\n" + "".join(f"{tile}.\n" for tile in tiles))
            file.flush()
            os.fdatasync(file.fileno())
