"""The list of images that a run has skipped, and their reasons."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from src.embedding.row_files import SKIPPED, kind_of_reason
from src.errors import UserError
from src.io.bounded import check_size
from src.io.csv_cells import unescape_cell
from src.io.tables import map_text, read_table

MAX_BYTES = 2**28  # of the list


class Reason(NamedTuple):
    """A reason without the names and numbers in it, and the files that have it."""

    text: str
    files: list[tuple[str, str]]  # file, and the reason as it stands


def read_skipped(folder: Path, escape_formulas: bool = True) -> list[tuple[str, str]]:
    """Return file and reason of the images without a row in a folder of features, in order.

    Raises UserError if the list is damaged, or was deleted with the features of the run.
    """
    path = folder / SKIPPED
    if not path.is_file():
        raise UserError(f"{path} is gone: it was beside the features of the run")
    check_size(path, MAX_BYTES)
    table = read_table(path)
    if not {"file", "reason"} <= set(table):
        raise UserError(f"{path} has no columns file and reason")
    if escape_formulas:
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
