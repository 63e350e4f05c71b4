"""Files that a run has left out, that it has read although they are damaged, and that are gone."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from src.browser.opened import OpenRun
from src.embedding.row_files import SKIPPED, kind_of_reason
from src.errors import UserError
from src.io.bounded import check_size, read_tail
from src.io.csv_cells import unescape_cell
from src.io.tables import map_text, read_table

MAX_BYTES = 2**28  # of the list of skipped files
DAMAGED = re.compile(r"\[WARNING\] - (\d+) images are damaged, but were embedded$")
COUNTED = re.compile(r"\[WARNING\] -  +(\d+)  (.+)$")  # of one reason, with an example


class Reason(NamedTuple):
    """A reason without the names and numbers in it, and the files that have it."""

    text: str
    files: list[tuple[str, str]]  # file, and the reason as it stands


@lru_cache(maxsize=64)
def skipped_files(run: OpenRun) -> list[tuple[str, str]]:
    """Return file and reason of the images that could not be read, in order.

    Raises UserError if the list is damaged, or was deleted with the features of the run.
    """
    path = run.files.path / run.files.paths().get("embeddings", "") / SKIPPED
    if not path.is_file():
        raise UserError(f"{path} is gone: it was beside the features of the run")
    check_size(path, MAX_BYTES)
    table = read_table(path)
    if not {"file", "reason"} <= set(table):
        raise UserError(f"{path} has no columns file and reason")
    if run.settings.get("escape_formulas", True):
        table = map_text(table, unescape_cell)
    return list(zip(table["file"], table["reason"], strict=True))


def by_reason(files: Sequence[tuple[str, str]]) -> list[Reason]:
    """Return the files by reason, the most frequent one first.

    >>> by_reason([("a", "3 bytes left"), ("b", "7 bytes left"), ("c", "empty")])[0].text
    '… bytes left'
    """
    reasons: dict[str, list[tuple[str, str]]] = {}
    for file, reason in files:
        reasons.setdefault(kind_of_reason(reason), []).append((file, reason))
    found = [Reason(text, listed) for text, listed in reasons.items()]
    return sorted(found, key=lambda reason: -len(reason.files))


def damaged_images(run: OpenRun) -> tuple[int, list[tuple[int, str]]]:
    """Return how many images were read although their files are damaged, and how many by reason.

    The log of a run that has embedded images tells it; of one that found them cached, 0.
    """
    path = run.files.path / "run.log"
    lines = read_tail(path).decode("utf-8", "replace").splitlines() if path.is_file() else []
    for at, line in enumerate(lines):
        if match := DAMAGED.search(line):
            reasons = []
            for below in lines[at + 1 :]:
                if not (counted := COUNTED.search(below)):
                    break
                reasons.append((int(counted[1]), counted[2]))
            return int(match[1]), reasons
    return 0, []


def files_gone(run: OpenRun) -> list[int]:
    """Return the rows of the images whose files are no longer there."""
    root = run.gallery.root
    return [row for row, file in enumerate(run.gallery.files) if not (root / file).is_file()]
