"""The files of a folder of rows, and the log of finished rows in an unfinished pass.

Imports no torch, so that a run whose rows are cached does not load the network's libraries.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from src.io.files import atomic_write, create_npy

FEATURES, NAMES, CHECKSUMS = "features.npy", "image_names.npy", "sha256.npy"
OPTIONS, SKIPPED = "options.yaml", "skipped.csv"
DONE = "done-*.jsonl"  # one for each rank
Pairs = Sequence[tuple[int, str]]  # row of the gallery, and a text
CHUNK = 4096  # rows in memory at once


def create_rows(folder: Path, n: int, dims: dict[str, int]) -> bool:
    """Create the missing folder/<layer>/features.npy, (n, d) float32, with d by layer from dims.

    Return whether any was missing. Raises UserError if the disk has no space for them.
    """
    paths = {folder / layer / FEATURES: dim for layer, dim in dims.items()}
    missing = {path: dim for path, dim in paths.items() if not path.exists()}
    for path, dim in missing.items():
        with atomic_write(path) as part, part.open("w+b") as file:
            create_npy(file, (n, dim), np.float32)
    return bool(missing)


def select_rows(path: Path, rows: list[int]) -> None:
    """Rewrite a .npy file with these rows only, in this order; do nothing if it has that many.

    A file of that length was rewritten by an interrupted process, because rows never repeat.
    """
    old = np.load(path, mmap_mode="r")
    if len(old) == len(rows):
        return
    with atomic_write(path) as part, part.open("wb") as file:
        file.seek(create_npy(file, (len(rows), old.shape[1]), old.dtype))
        for start in range(0, len(rows), CHUNK):
            file.write(old[rows[start : start + CHUNK]].tobytes())


def describe(folder: Path, options: dict[str, Any], checksums: list[str]) -> None:
    """Write to a layer's folder the options that its rows depend on, and its images' checksums."""
    for name, save in (
        (CHECKSUMS, lambda file: np.save(file, np.array(checksums))),
        (OPTIONS, lambda file: file.write(yaml.safe_dump(options, sort_keys=False).encode())),
    ):
        with atomic_write(folder / name) as part, part.open("wb") as file:
            save(file)


class DoneRows:
    """Log of the rows of an unfinished pass that are on disk, and of its unreadable images.

    Each rank appends lines of JSON to its own file; an incomplete line is ignored.
    """

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self._path = folder / DONE.replace("*", str(rank))
        self.rows: set[int] = set()  # of the gallery, unreadable ones included
        self.unreadable: dict[int, str] = {}  # row: reason
        self.damaged: dict[int, str] = {}  # row: what is damaged about a file that was read
        for path in folder.glob(DONE):
            for line in path.read_text().splitlines():
                with suppress(ValueError):  # cut off, or empty
                    self._include(**json.loads(line))

    def _include(self, rows: list[int], unreadable: Pairs, damaged: Pairs = ()) -> None:
        self.rows |= {*rows, *(row for row, _ in unreadable)}
        self.unreadable |= dict(unreadable)
        self.damaged |= dict(damaged)

    def append(self, rows: list[int], unreadable: Pairs, damaged: Pairs = ()) -> None:
        """Log rows as finished and (row, reason) as unreadable; on return they are on disk.

        Rows of images whose files are damaged are among the finished.
        """
        with self._path.open("a") as file:
            # a cut-off line of an earlier process must not run into this one
            line = {"rows": rows, "unreadable": unreadable, "damaged": damaged}
            file.write("\n" + json.dumps(line) + "\n")
            file.flush()
            os.fdatasync(file.fileno())
        self._include(rows, unreadable, damaged)
