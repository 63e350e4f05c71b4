"""Vectors in a file, and what is refused of files that anybody may have made.

n = rows, d = numbers of each.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import filesize

from src.errors import UserError

MATRIX_NAMES = ("features", "embeddings", "embedding", "vectors", "vector")
# Names of arrays and columns of ids, and the column of the labels that they are joined by
ID_NAMES = {
    **dict.fromkeys(("id", "ids"), "id"),
    **dict.fromkeys(("file", "files", "names", "image_names"), "file"),
}
MAX_ROWS, MAX_WIDTH = 10_000_000, 100_000
MAX_BYTES = 2**42  # of a file
BLOCK_NUMBERS = 2**20  # read at once
MAX_ID_BYTES = 2**30  # of all ids in memory

# Yields all rows, (m, d) each; the file that it is given may be written and is left behind
Blocks = Callable[[Path], Iterator[NDArray[Any]]]


@dataclass(frozen=True)
class Ids:
    """What a file calls its rows."""

    texts: list[str]  # (n,)
    column: str  # of the labels: id or file


@dataclass(frozen=True)
class Vectors:
    """A matrix (n, d) of numbers in a file, of which only headers and ids were read so far."""

    n: int
    d: int
    dtype: str
    ids: Ids | None
    blocks: Blocks


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Turn what a damaged or hostile file raises into UserError."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of headers that numpy can only guess
            yield
    except UserError:
        raise
    except MemoryError as error:
        raise refused(path, "it needs more memory than there is") from error
    except Exception as error:  # parsers raise anything
        reason = " ".join(str(error).split())[:200]
        raise refused(path, reason or type(error).__name__) from error


def refused(path: Path, reason: str) -> UserError:
    """Return the error for a file that cannot be taken for vectors; it is one line."""
    return UserError(f"data.features={path} cannot be read: {reason}")


def check_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return shape if it is that of a matrix, (n, d), within bounds. Raises UserError."""
    if len(shape) != 2:
        advice = "np.stack(rows) makes one" if len(shape) < 2 else "x.reshape(len(x), -1) is one"
        raise refused(path, f"its shape is {shape}, but (n, d) is needed: {advice}")
    n, d = shape
    if not 2 <= n <= MAX_ROWS:
        raise refused(path, f"it has {n} rows, but 2 to {MAX_ROWS:,} can be compared")
    if not 1 <= d <= MAX_WIDTH:
        raise refused(path, f"its rows have {d} numbers, but 1 to {MAX_WIDTH:,} are possible")
    return n, d


def check_count(path: Path, name: str, ids: int, n: int) -> None:
    """Raise UserError unless there is one id for each row."""
    if ids != n:
        raise refused(path, f"{name} has {ids} entries for {n} rows: one for each is needed")


def check_id_bytes(path: Path, name: str, size: int) -> None:
    """Raise UserError if the ids take more memory than MAX_ID_BYTES."""
    if size > MAX_ID_BYTES:
        raise refused(path, f"{name} takes more than {filesize.decimal(MAX_ID_BYTES)}")


def only_one(path: Path, what: str, found: list[str]) -> str:
    """Return the only name that was found, "" if there is none. Raises UserError for several."""
    if len(found) > 1:
        raise refused(path, f"it has several {what}, {', '.join(found)}: keep one of them")
    return found[0] if found else ""


def chosen_matrix(path: Path, what: str, found: list[str]) -> str:
    """Return which of the names is that of the matrix: one of MATRIX_NAMES, else the only one.

    Returns "" if nothing was found. Raises UserError if it could be several.
    """
    return only_one(path, what, [name for name in found if name in MATRIX_NAMES] or found)


def as_ids(path: Path, name: str, values: NDArray[Any]) -> Ids:
    """Return an array of ids as texts without blanks around them. Raises UserError."""
    if values.ndim != 1 or values.dtype.kind not in "USiu":
        raise refused(
            path,
            f"{name} has shape {values.shape} of {values.dtype}, but a text or a whole number for"
            f" each row is needed: save {name}.astype(str)",
        )
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "surrogateescape")
    return Ids([str(value).strip() for value in values.tolist()], ID_NAMES[name])
