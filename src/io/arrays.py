"""Write .npy and .npz files, and read those of anybody within bounds of time and memory.

numpy reserves the memory that a header asks for, and more than a zip bomb sends, before it looks at
what is there. What is damaged raises UserError.
"""

import math
import os
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from src.errors import UserError
from src.io.bounded import damaged, open_regular
from src.io.files import atomic_write, open_to_write

MAX_ARRAY_BYTES = 2**31  # of one array
MAX_DIRECTORY_BYTES = 2**20  # of the list of a .npz file's arrays
END, END_SIZE = b"PK\5\6", 22  # of a zip file: a record that ends with a comment of 16 bits
END_64, END_64_SIZE = b"PK\6\6", 56 + 20  # of a large one: before that record, with its locator
Header = tuple[tuple[int, ...], bool, np.dtype[Any]]  # shape, whether by columns, type
MAX_HEADER = 10_000  # bytes of a header, which numpy evaluates as Python; it writes a few hundred
# By version of the format: how a header is read, and the bytes of its length
HEADERS = {(1, 0): (npy.read_array_header_1_0, 2), (2, 0): (npy.read_array_header_2_0, 4)}


def read_npy(path: Path, limit: int = MAX_ARRAY_BYTES) -> NDArray[Any]:
    """Return the array of at most limit bytes in a .npy file. Raises UserError if it is damaged."""
    with _names_damage(path), open_regular(path) as file:
        return _read_array(file, os.fstat(file.fileno()).st_size, limit)


def view_npy(path: Path, mode: Literal["r", "c"] = "r") -> "np.memmap[Any, Any]":
    """Return the array in a .npy file as a memory map to read. Raises UserError if damaged.

    With mode c it is writable, as torch asks for, but nothing that is written reaches the file.
    """
    with _names_damage(path), open_regular(path) as file:
        shape, in_columns, dtype = _read_header(file, os.fstat(file.fileno()).st_size)
        return np.memmap(file, dtype, mode, file.tell(), shape, "F" if in_columns else "C")


def map_npy(path: Path) -> "np.memmap[Any, Any]":
    """Return the array in a .npy file as a memory map to write to.

    Raises UserError if it is damaged, or as open_to_write does.
    """
    with os.fdopen(open_to_write(path), "r+b") as file, _names_damage(path):
        shape, in_columns, dtype = _read_header(file, os.fstat(file.fileno()).st_size)
        return np.memmap(file, dtype, "r+", file.tell(), shape, "F" if in_columns else "C")


def write_npy(path: Path, array: NDArray[Any]) -> None:
    """Write an array to a .npy file, which appears whole or not at all."""
    with atomic_write(path) as part, part.open("xb") as file:
        np.save(file, array, allow_pickle=False)


def write_npz(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays by their names to a .npz file, which appears whole or not at all."""
    with atomic_write(path) as part, part.open("xb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_npz(path: Path, names: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return the arrays of a .npz file by name, or those of names that it has.

    They must not be compressed. Raises UserError if it is damaged.
    """
    with _names_damage(path), open_regular(path) as file:
        check_directory(file)
        with zipfile.ZipFile(file) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            chosen = members if names is None else [name for name in names if name in members]
            return {name: _read_member(archive, members[name]) for name in chosen}


@contextmanager
def _names_damage(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into UserError."""
    try:
        with warnings.catch_warnings(action="ignore"):  # numpy's, of headers it can only guess
            yield
    except (UserError, OSError):
        raise
    except Exception as error:  # zipfile and numpy's parser of headers raise anything
        raise damaged(path, str(error) or type(error).__name__) from error


def check_directory(file: BinaryIO) -> None:
    """Raise ValueError if a zip file's list of members, which zipfile reads whole, is too large."""
    size = file.seek(0, 2)
    file.seek(max(0, size - END_SIZE - 2**16 - END_64_SIZE))
    tail = file.read()
    end = tail.rfind(END)
    if end < 0:
        raise ValueError("not a zip file")
    listed = int.from_bytes(tail[end + 12 : end + 16], "little")
    if tail[max(0, end - END_64_SIZE) : end].startswith(END_64):
        start = end - END_64_SIZE + 40
        listed = int.from_bytes(tail[start : start + 8], "little")
    elif tail[max(0, end - 20) : end].startswith(b"PK\6\7"):
        raise ValueError("the end of the zip file is elsewhere")
    if listed > MAX_DIRECTORY_BYTES:
        raise ValueError("it holds too many arrays")
    file.seek(0)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{info.filename} is compressed")
    with archive.open(info) as member:
        return _read_array(member, info.file_size, MAX_ARRAY_BYTES)


def _read_array(file: IO[bytes], size: int, limit: int) -> NDArray[Any]:
    """Read an array of which header and values have size bytes, as the file system says."""
    shape, in_columns, dtype = _read_header(file, size)
    needed = size - file.tell()
    if needed > limit:
        raise ValueError(f"{needed} bytes, more than {limit}")
    content = bytearray(file.read(needed + 1))  # to its end, where a zip's checksum is compared
    if len(content) != needed:
        raise ValueError("cut off")
    array = np.frombuffer(content, dtype) if needed else np.empty(0, dtype)
    return array.reshape(shape, order="F" if in_columns else "C")


def npy_header(file: IO[bytes]) -> Header:
    """Return shape, order and type that a .npy file gives at its start; raises anything."""
    version = npy.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"version {version} of the format")
    read, size = HEADERS[version]
    length = int.from_bytes(file.read(size), "little")
    if length > MAX_HEADER:  # numpy's own message recommends allow_pickle=True
        raise ValueError(f"its header has {length} bytes, but at most {MAX_HEADER} are read")
    file.seek(-size, os.SEEK_CUR)
    return read(file, MAX_HEADER)


def _read_header(file: IO[bytes], size: int) -> Header:
    """Return shape, order and type of an array whose values end after size bytes."""
    shape, in_columns, dtype = npy_header(file)
    needed = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or min(shape, default=0) < 0 or needed != size - file.tell():
        raise ValueError(f"shape {shape} of {dtype} does not fit its {size} bytes")
    return shape, in_columns, dtype
