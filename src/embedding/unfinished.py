"""The rows of a pass: room for them, which of them are finished, and those that stay. No Lightning,
so that a run whose rows are cached can look without it.
"""

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from src.io.files import atomic_write, create_npy

FEATURES, DONE = "features.npy", "done-*.jsonl"


def create_rows(folder: Path, n: int, dims: dict[str, int]) -> bool:
    """For each layer a features.npy of (n, d) float32, where there is none; whether one was made.

    Raises UserError when the disk has no room for them.
    """
    missing = {path: dim for a, dim in dims.items() if not (path := folder / a / FEATURES).exists()}
    for path, dim in missing.items():
        with atomic_write(path) as part, part.open("w+b") as file:
            create_npy(file, (n, dim), np.float32)
    return bool(missing)


class DoneRows:
    """The rows that are on the disk, and those that cannot be had: lines of JSON.

    A line that was cut off does not count. Each process adds to a file of its own.
    """

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self._path = folder / DONE.replace("*", str(rank))
        self.rows: set[int] = set()
        self.unreadable: dict[int, str] = {}  # row: reason
        for path in folder.glob(DONE):
            for line in path.read_text().splitlines():
                with suppress(ValueError):  # cut off, or empty
                    self._take(**json.loads(line))

    def _take(self, rows: list[int], unreadable: list[tuple[int, str]]) -> None:
        self.rows |= {*rows, *(row for row, _ in unreadable)}
        self.unreadable |= dict(unreadable)

    def add(self, rows: list[int], unreadable: list[tuple[int, str]]) -> None:
        """Onto the disk before it returns."""
        with self._path.open("a") as file:
            # a cut-off line of an earlier process must not run into this one
            file.write("\n" + json.dumps({"rows": rows, "unreadable": unreadable}) + "\n")
            file.flush()
            os.fdatasync(file.fileno())
        self._take(rows, unreadable)


def keep_rows(path: Path, kept: list[int]) -> None:
    """Rewrite a .npy with these rows alone, in this order; done already, it is left alone."""
    rows = np.load(path, mmap_mode="r")
    if len(rows) == len(kept):
        return
    with atomic_write(path) as part, part.open("wb") as file:
        start = create_npy(file, (len(kept), rows.shape[1]), rows.dtype)
        file.seek(start)
        for at in range(0, len(kept), 1024):
            file.write(rows[kept[at : at + 1024]].tobytes())
