"""Moves the rows of a matrix to where they are in a larger or smaller one, in the same file.

A row may be moved to where another one lies that is not moved yet, so the order matters, and a
process that is killed must not read again what it has overwritten. Rows are moved in chunks. A
chunk whose new place overlaps with its old one is saved in another file first. A log says which
chunks are saved and moved. It describes the file as the system's memory has it, which a kill leaves
intact; after a crash of the machine the disk may have other parts of it, so the log is void.

n = images of the matrix, e = images of the earlier one, c = rows of a chunk.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.io.bounded import read_bytes
from src.io.files import append_durably, open_to_write

CHUNK_BYTES = 2**25  # of the rows that are moved at once
SMALLEST = 8  # a chunk is made so many times smaller at most, rather than saved
MAX_LOG_BYTES = 2**24
BOOT = Path("/proc/sys/kernel/random/boot_id")
UNKNOWN = "unknown"  # start of a machine
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Chunk:
    """Rows that are moved together."""

    rows: Rows  # (c,) of the matrix, ascending
    is_saved: bool  # before they are moved, because their places overlap


def is_monotone(old_row: Rows) -> bool:
    """Return whether the rows that are kept stay in order; old_row (n,) is -1 for new ones."""
    return bool((np.diff(old_row[old_row >= 0]) > 0).all())


def chunks_in_place(old_row: Rows, e: int, most: int) -> list[Chunk]:
    """Return chunks of at most so many kept rows, in an order in which they can be moved.

    old_row (n,) is monotone. First the rows that move to the right, the last one first, then the
    others, the first one first. So no row is written over one that is moved later: where the new
    place of row i reaches that of a later row j, j itself moves to the right, since the new place
    of j begins at or after the end of that of i; and the same holds for the left.
    """
    n = len(old_row)
    kept = np.flatnonzero(old_row >= 0)
    moves_right = kept * n > old_row[kept] * e
    made: list[Chunk] = []
    for rows, backward in ((kept[moves_right], True), (kept[~moves_right], False)):
        while len(rows):
            chunk = _next_chunk(rows, old_row, e, most, backward)
            made.append(chunk)
            rows = rows[: -len(chunk.rows)] if backward else rows[len(chunk.rows) :]
    return made


def _next_chunk(rows: Rows, old_row: Rows, e: int, most: int, backward: bool) -> Chunk:
    """Return the last of rows, or the first, as many as need not be saved if these are not few."""
    count = most
    while count > max(1, most // SMALLEST):
        chosen = rows[-count:] if backward else rows[:count]
        if not _overlaps(chosen, old_row, e):
            return Chunk(chosen, False)
        count //= 2
    chosen = rows[-most:] if backward else rows[:most]
    return Chunk(chosen, _overlaps(chosen, old_row, e))


def _overlaps(rows: Rows, old_row: Rows, e: int) -> bool:
    """Return whether the places of rows overlap with those they come from.

    A place that stays where it was does no harm: what is written there again is the same.
    """
    n, first, last = len(old_row), int(rows[0]), int(rows[-1])
    if n == e and (old_row == np.arange(n))[old_row >= 0].all():
        return False
    return first * n < (int(old_row[last]) + 1) * e and int(old_row[first]) * e < (last + 1) * n


class MoveLog:
    """Which chunks are saved and moved since the machine was started.

    Its first line names that start (boot_id), the number of images of the earlier matrix, and
    whether its file is used.
    """

    def __init__(self, path: Path):
        self._path = path
        text = read_bytes(path, MAX_LOG_BYTES).decode("ascii", "replace")
        lines = [line[:-1] for line in text.splitlines() if line.endswith(".")]
        first = re.fullmatch(r"(\S+) (\d{1,9}) (in place|to a copy)", lines[0] if lines else "")
        self.is_valid = first is not None and first[1] == boot_id()
        self.images = int(first[2]) if first else 0
        self.in_place = first is not None and first[3] == "in place"
        steps = [re.fullmatch(r"(saved|moved) (\d{1,9})", line) for line in lines[1:]]
        self.saved, self.moved = (
            {int(step[2]) for step in steps if step and step[1] == what}
            for what in ("saved", "moved")
        )

    @classmethod
    def begin(cls, path: Path, images: int, in_place: bool) -> "MoveLog":
        """Return a new log; on return it is on disk."""
        path.unlink(missing_ok=True)
        where = "in place" if in_place else "to a copy"
        append_durably(path, f"{boot_id() or UNKNOWN} {images} {where}.\n")
        return cls(path)

    def append(self, what: str, number: int) -> None:
        """Note that a chunk is saved or moved."""
        file = open_to_write(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, f"\n{what} {number}.\n".encode())  # ends a line that was cut off
        finally:
            os.close(file)
        (self.saved if what == "saved" else self.moved).add(number)


def boot_id() -> str:
    """Return the id of this start of the machine, "" where the system has none."""
    return BOOT.read_text().strip() if BOOT.is_file() else ""
