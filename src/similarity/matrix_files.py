"""The files of a matrix: what is there, what it is of, and how it gets there.

n = images.
"""

import json
import logging
import os
import shutil
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib import format as npy
from rich import filesize

from src.errors import UserError
from src.io.arrays import view_npy, write_npy
from src.io.bounded import read_json
from src.io.files import atomic_write, create_npy
from src.similarity.digests import Digests

log = logging.getLogger(__name__)

MatrixDtype = Literal["float32", "float16"]
VERSION = 1  # of what entries are; the matrix of an earlier program, of rounded products, has none
PARTIAL = "matrix.npy"  # in the folder of an unfinished matrix


@dataclass(frozen=True)
class MatrixRecord:
    """What the entries are. Stored as JSON under these names."""

    features: str  # hash of the rows
    block: int  # rows of a tile, by which finished tiles are numbered
    version: int = VERSION


def part_folder(path: Path) -> Path:
    """Return the folder of an unfinished matrix."""
    return path.with_name(path.name + ".part")


def digests_path(path: Path) -> Path:
    """Return the file of the digests of a matrix's rows, by which a larger one finds them."""
    return path.with_suffix(".rows.npy")


def publish(path: Path, record: MatrixRecord, digests: Digests) -> None:
    """Move a matrix that was just completed to its path, and remove its .part folder.

    What it is of is written first: if killed before the matrix is moved, the next call moves it.
    """
    folder = part_folder(path)
    write_npy(digests_path(path), digests)
    with atomic_write(path.with_suffix(".json")) as part:
        part.write_text(json.dumps(asdict(record), indent=2) + "\n")
    os.replace(folder / PARTIAL, path)
    shutil.rmtree(folder)


def reserve(path: Path, n: int, dtype: MatrixDtype) -> None:
    """Reserve the space of an (n, n) .npy at path. Raises UserError if the disk is too small."""
    hint = f"similarity.dtype=float16 needs {filesize.decimal(2 * n * n)}, "
    advice = "similarity=topk almost none; or put outputs= on another disk"
    new = path.with_name(path.name + ".new")
    size = filesize.decimal(n * n * np.dtype(dtype).itemsize)
    log.info("similarity: reserving %s for the matrix in %s", size, path.parent)
    new.unlink(missing_ok=True)  # of a process that was killed while it reserved space
    with new.open("x+b") as file:
        create_npy(file, (n, n), dtype, hint + advice if dtype == "float32" else advice)
    new.rename(path)


def is_finished(path: Path, n: int, dtype: MatrixDtype, features: str) -> bool:
    """Return whether path is the complete matrix of the rows with this hash.

    One of an earlier version is not. Raises UserError if path is something else.
    """
    if not path.exists():
        return False
    try:
        array = np.load(path, mmap_mode="r")
        matches = (array.shape, str(array.dtype)) == ((n, n), dtype)
    except (ValueError, EOFError, AttributeError):  # the last: it is a zip file of arrays
        matches = False
    if not matches:
        raise UserError(f"{path} is not a ({n}, {n}) matrix of {dtype}: delete it")
    record_path = path.with_suffix(".json")
    stored = read_json(record_path) if record_path.is_file() else None
    if not isinstance(stored, dict) or stored.get("features") != features:
        raise UserError(f"{path} is not of these features according to {record_path}: delete it")
    return stored.get("version") == VERSION


def images_of(path: Path, dtype: str) -> int:
    """Return how many images a complete matrix of this version has, 0 if it is none.

    Raises UserError if a file is damaged.
    """
    record_path = path.with_suffix(".json")
    if not (path.is_file() and record_path.is_file() and digests_path(path).is_file()):
        return 0
    record, array = read_json(record_path), view_npy(path)
    e = len(array) if array.ndim == 2 else 0
    is_whole = path.stat().st_size == len(npy_header(e, dtype)) + e * e * array.itemsize
    matches = array.shape == (e, e) and str(array.dtype) == dtype and is_whole
    return e if matches and isinstance(record, dict) and record.get("version") == VERSION else 0


def npy_header(n: int, dtype: str) -> bytes:
    """Return the header of an (n, n) .npy."""
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (n, n)}
    stream = BytesIO()
    npy.write_array_header_1_0(stream, header)
    return stream.getvalue()
