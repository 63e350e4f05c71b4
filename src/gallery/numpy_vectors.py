"""Vectors in .npy and .npz files. n = rows, d = numbers of each."""

import io
import os
import shutil
import zipfile
from collections.abc import Iterator
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from rich import filesize

from src.gallery.vectors import (
    BLOCK_NUMBERS,
    ID_NAMES,
    MAX_BYTES,
    MAX_ID_BYTES,
    Ids,
    Vectors,
    as_ids,
    check_count,
    check_id_bytes,
    check_shape,
    chosen_matrix,
    named,
    only_one,
    refused,
)
from src.io.arrays import Header, check_directory, npy_header, read_npy
from src.io.sources import open_source

OURS = ("features.npy", "image_names.npy")  # as this program writes them, beside each other
START_BYTES = 2**14  # that hold any header which is read
COPIED_BYTES = 2**22  # at once
SUFFIX = ".npy"  # of the arrays in a .npz file


def open_npy(path: Path, file: BinaryIO) -> Vectors:
    """Return the matrix in a .npy file, with the image_names.npy of this program beside it."""
    (n, d), _, dtype = _matrix_header(path, file, os.fstat(file.fileno()).st_size)
    ids, beside = None, path.with_name(OURS[1])
    if path.name == OURS[0] and beside.is_file():
        ids = as_ids(path, "image_names", read_npy(beside, MAX_ID_BYTES))
        check_count(path, f"{OURS[1]} beside it", len(ids.texts), n)
    return Vectors(n, d, dtype.name, ids, lambda scratch: _mapped(path, path, (n, d)))


def open_npz(path: Path, file: BinaryIO) -> Vectors:
    """Return the matrix in a .npz file, compressed or not, with the ids beside it."""
    check_directory(file)
    with zipfile.ZipFile(file) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        headers = {
            name.removesuffix(SUFFIX): _member_header(archive, info)
            for name, info in infos.items()
            if name.endswith(SUFFIX)
        }
        if not headers:
            raise refused(path, "it is a zip file without arrays: write it with np.savez")
        name = _matrix_name(path, headers)
        info = infos[f"{name}{SUFFIX}"]
        with archive.open(info) as member:
            (n, d), _, dtype = _matrix_header(path, member, info.file_size)
        ids = _ids(path, archive, headers, n)
    return Vectors(n, d, dtype.name, ids, partial(_extracted, path, info.filename, (n, d)))


def _matrix_name(path: Path, headers: dict[str, Header]) -> str:
    others = {name: header for name, header in headers.items() if name not in ID_NAMES}
    matrices = [name for name, (shape, _, _) in others.items() if len(shape) == 2]
    name = chosen_matrix(path, "matrices", matrices) or next(iter(others), "")
    if not name:
        raise refused(path, "it has ids, but no matrix: add features=x to np.savez")
    return name


def _ids(path: Path, archive: zipfile.ZipFile, headers: dict[str, Header], n: int) -> Ids | None:
    name = only_one(path, "arrays of ids", [name for name in headers if name in ID_NAMES])
    if not name:
        return None
    (shape, _, dtype), info = headers[name], archive.getinfo(f"{name}{SUFFIX}")
    if dtype.hasobject:
        raise refused(
            path,
            f"{name} holds Python objects, which are not loaded because that runs code in them:"
            f" save {name}.astype(str)",
        )
    check_count(path, name, shape[0] if shape else 0, n)
    check_id_bytes(path, name, info.file_size)
    with archive.open(info) as member:
        return as_ids(path, name, np.load(io.BytesIO(member.read()), allow_pickle=False))


def _member_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    """Return the header of an array; a length that it claims for itself is not believed."""
    with archive.open(info) as member:
        return npy_header(io.BytesIO(member.read(START_BYTES)))


def _matrix_header(path: Path, file: IO[bytes], size: int) -> tuple[tuple[int, int], bool, Any]:
    """Return shape, order and type of a matrix whose numbers end after size bytes.

    file is read from its start, and is then where the numbers begin. Raises UserError.
    """
    start = io.BytesIO(file.read(START_BYTES))
    shape, in_columns, dtype = npy_header(start)
    if dtype.hasobject:
        raise refused(
            path,
            "it holds Python objects, which are not loaded because that runs code in them: save"
            " np.stack(rows).astype('float32')",
        )
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise refused(
            path,
            f"its values are {dtype}, but integers or floats of up to 64 bits are needed: save"
            " x.astype('float32')",
        )
    n, d = check_shape(path, shape)
    needed, there = prod(shape) * dtype.itemsize, size - start.tell()
    if needed != there:
        raise refused(
            path,
            f"{n} rows of {d} {dtype} take {needed} bytes, but {there} are there: it is cut off or"
            " damaged, so write it again",
        )
    file.seek(start.tell())
    return (n, d), in_columns, dtype


def _mapped(path: Path, array: Path, shape: tuple[int, int]) -> Iterator[NDArray[Any]]:
    """Yield the rows of the .npy file array, which is path or a copy of a part of it."""
    with named(path), open_source(array, MAX_BYTES) as file:
        found, in_columns, dtype = _matrix_header(path, file, os.fstat(file.fileno()).st_size)
        if found != shape:
            raise refused(path, "it was changed while it was read: run the command again")
        rows = np.memmap(file, dtype, "r", file.tell(), shape, "F" if in_columns else "C")
    step = max(1, BLOCK_NUMBERS // shape[1])
    for start in range(0, shape[0], step):
        yield rows[start : start + step]


def _extracted(
    path: Path, member: str, shape: tuple[int, int], scratch: Path
) -> Iterator[NDArray[Any]]:
    """Yield the rows of an array in a .npz file, which is copied to scratch.

    Rows of an array that is stored by columns could not be found in a stream.
    """
    with named(path), open_source(path, MAX_BYTES) as file, zipfile.ZipFile(file) as archive:
        info = archive.getinfo(member)
        free = shutil.disk_usage(scratch.parent).free
        if info.file_size > free:
            raise refused(
                path,
                f"unpacked it takes {filesize.decimal(info.file_size)}, but {scratch.parent} has"
                f" {filesize.decimal(free)} free: free some space, or put outputs= on another disk",
            )
        with archive.open(info) as source, scratch.open("xb") as target:
            shutil.copyfileobj(source, target, COPIED_BYTES)
    yield from _mapped(path, scratch, shape)
