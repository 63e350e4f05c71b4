"""Resumable work: a record of its settings, and logs of finished items.

A folder of unfinished work holds record.json and, for each rank, a log of the items that it has
finished.
"""

import json
import re
from collections.abc import Container
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from src.io.bounded import read_bytes, read_json
from src.io.files import append_durably, atomic_write, begin_folder, refuse_link
from src.runtime.processes import ProcessGroup

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")
RECORD, LOGS = "record.json", "done-*.txt"
MAX_LOG_BYTES = 2**30  # of finished items


def read_record(folder: Path, record: R, free_fields: Container[str]) -> R | None:
    """Return the record of unfinished work in folder if `record` may resume it, else None.

    Work may be resumed if its record differs from `record` only in the free fields.
    """
    path, fields = folder / RECORD, asdict(record)
    refuse_link(folder)  # it is deleted at the end
    stored = read_json(path) if path.is_file() else {}
    if not isinstance(stored, dict) or stored.keys() != fields.keys():
        return None
    matches = all(
        _same_kind(stored[name], value) if name in free_fields else stored[name] == value
        for name, value in fields.items()
    )
    return type(record)(**stored) if matches else None


def _same_kind(stored: Any, value: Any) -> bool:
    """Return whether two values of a field are of one type, or one of them is missing."""
    if isinstance(stored, list):
        return isinstance(value, list) and {str}.issuperset(map(type, stored))
    return stored is None or value is None or type(stored) is type(value)


def begin_or_resume(folder: Path, record: R, free_fields: Container[str] = ()) -> R:
    """Return the record of unfinished work in folder, or start new work there with `record`.

    Work that differs in more than the free fields is deleted.
    """
    if (stored := read_record(folder, record, free_fields)) is not None:
        return stored
    begin(folder, record)
    return record


def begin(folder: Path, record: "DataclassInstance") -> None:
    """Start new work in folder with `record`, in place of what is there."""
    begin_folder(folder)
    with atomic_write(folder / RECORD) as part:
        part.write_text(json.dumps(asdict(record), indent=2) + "\n")


class DoneTiles:
    """Append-only log of finished tiles: one number per line, ended by a period.

    A line without its period was cut off by a crash and is ignored.
    """

    def __init__(self, folder: Path, processes: ProcessGroup):
        self._path = folder / f"done-{processes.rank}.txt"
        self.done = {  # tiles that any rank had finished when this one started
            int(line[:-1])
            for path in folder.glob(LOGS)
            if path.exists()  # no link to nowhere
            for line in read_bytes(path, MAX_LOG_BYTES).splitlines()
            if re.fullmatch(rb"\d{1,9}\.", line)
        }

    def append(self, tiles: list[int]) -> None:
        """Append the tiles; on return they are on disk."""
        # the first newline ends a line that an earlier process was cut off in
        append_durably(self._path, "\n" + "".join(f"{tile}.\n" for tile in tiles))
