"""The files of a folder of rows, and the log of finished rows in an unfinished pass.

Imports no torch, so that a run whose rows are cached does not load the network's libraries.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from src.io.arrays import read_npy, view_npy
from src.io.bounded import damaged, read_bytes, read_yaml
from src.io.files import append_durably, atomic_write, create_npy

FEATURES, NAMES, CHECKSUMS = "features.npy", "image_names.npy", "sha256.npy"
OPTIONS, SKIPPED = "options.yaml", "skipped.csv"
DONE = "done-*.jsonl"  # one for each rank
Pairs = Sequence[tuple[int, str]]  # row of the gallery, and a text
# As repr writes a name: between ", if it has an apostrophe
NAME_OR_NUMBER = re.compile(r"""(?<!\w)(['"])(?:\\.|(?!\1).)*\1|\d[\d.]*""")
CHUNK = 4096  # rows in memory at once
MAX_TEXTS_BYTES = 2**34  # of the names of images or their checksums
MAX_LOG_BYTES = 2**32  # of finished rows


def create_rows(folder: Path, n: int, dims: dict[str, int]) -> bool:
    """Create the missing folder/<layer>/features.npy, (n, d) float32, with d by layer from dims.

    Return whether any was missing. Raises UserError if the disk has no space for them.
    """
    paths = {folder / layer / FEATURES: dim for layer, dim in dims.items()}
    missing = {path: dim for path, dim in paths.items() if not path.exists()}
    for path, dim in missing.items():
        with atomic_write(path) as part, part.open("x+b") as file:
            create_npy(file, (n, dim), np.float32)
    return bool(missing)


def select_rows(path: Path, rows: list[int]) -> None:
    """Rewrite a .npy file with these rows only, in this order; do nothing if it has that many.

    A file of that length was rewritten by an interrupted process, because rows never repeat.
    """
    old = view_npy(path)
    if len(old) == len(rows):
        return
    with atomic_write(path) as part, part.open("xb") as file:
        file.seek(create_npy(file, (len(rows), old.shape[1]), old.dtype))
        for start in range(0, len(rows), CHUNK):
            file.write(old[rows[start : start + CHUNK]].tobytes())


def describe(folder: Path, options: dict[str, Any], checksums: list[str]) -> None:
    """Write to a layer's folder the options that its rows depend on, and its images' checksums."""
    for name, save in (
        (CHECKSUMS, lambda file: np.save(file, np.array(checksums))),
        (OPTIONS, lambda file: file.write(yaml.safe_dump(options, sort_keys=False).encode())),
    ):
        with atomic_write(folder / name) as part, part.open("xb") as file:
            save(file)


def read_texts(path: Path) -> list[str]:
    """Return the names of images or their checksums, by row. Raises UserError."""
    texts: list[str] = read_npy(path, MAX_TEXTS_BYTES).tolist()
    return texts


def read_options(folder: Path) -> dict[str, Any]:
    """Return the options in a layer's folder, {} if the file is empty. Raises UserError."""
    options = read_yaml(folder / OPTIONS) or {}
    if not isinstance(options, dict):
        raise damaged(folder / OPTIONS, "not a mapping")
    return options


class DoneRows:
    """Log of the rows of an unfinished pass that are on disk, and of its unreadable images.

    Each rank appends lines of JSON to its own file; an incomplete line is ignored.
    """

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self._path = folder / DONE.replace("*", str(rank))
        self.rows: set[int] = set()  # of the gallery, unreadable ones included
        self.unreadable: dict[int, str] = {}  # row: reason
        self.damaged: dict[int, str] = {}  # row: what is damaged about a file that was read
        for path in filter(Path.exists, folder.glob(DONE)):  # no links to nowhere
            for line in read_bytes(path, MAX_LOG_BYTES).splitlines():
                if entry := _parse(line):
                    self._include(*entry)

    def _include(self, rows: list[int], unreadable: Pairs, damaged: Pairs) -> None:
        self.rows |= {*rows, *(row for row, _ in unreadable)}
        self.unreadable |= dict(unreadable)
        self.damaged |= dict(damaged)

    def append(self, rows: list[int], unreadable: Pairs, damaged: Pairs = ()) -> None:
        """Log rows as finished and (row, reason) as unreadable; on return they are on disk.

        Rows of images whose files are damaged are among the finished.
        """
        line = {"rows": rows, "unreadable": unreadable, "damaged": damaged}
        # a cut-off line of an earlier process must not run into this one
        append_durably(self._path, "\n" + json.dumps(line) + "\n")
        self._include(rows, unreadable, damaged)


def kind_of_reason(reason: str) -> str:
    """Return a reason without the names and numbers in it, which are those of one file.

    >>> kind_of_reason("the file 'a.jpg' ends after 12 bytes")
    'the file … ends after … bytes'
    >>> kind_of_reason("cannot read " + repr("l'été 2.jpg"))
    'cannot read …'
    """
    return NAME_OR_NUMBER.sub("…", reason)


def _parse(line: bytes) -> tuple[list[int], Pairs, Pairs] | None:
    """Return the rows, unreadable and damaged ones of a line; None if it is cut off or empty."""
    try:
        entry = json.loads(line)
        rows, unreadable, damaged = entry["rows"], entry["unreadable"], entry.get("damaged", [])
        texts = [text for _, text in (*unreadable, *damaged)]
        numbers = [*rows, *(row for row, _ in (*unreadable, *damaged))]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    valid = all(type(row) is int for row in numbers) and all(type(text) is str for text in texts)
    return (rows, unreadable, damaged) if valid else None
