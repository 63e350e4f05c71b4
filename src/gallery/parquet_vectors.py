"""Vectors in .parquet files: a column of lists, or a column for each number. Needs pyarrow.

n = rows, d = numbers of each, m = rows of a block.
"""

import logging
from collections.abc import Iterator
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from src.errors import UserError
from src.gallery.vectors import (
    BLOCK_NUMBERS,
    ID_NAMES,
    Ids,
    Vectors,
    check_id_bytes,
    check_shape,
    chosen_matrix,
    named,
    only_one,
    refused,
)
from src.io.printable import printable

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

log = logging.getLogger(__name__)

MAX_LISTED = 5  # columns in a message
ID_STEP = 2**12  # ids read at once
MAX_STEP = 2**15  # rows read at once: their lists may be longer than the first one
INDEX = "__index_level_0__"  # what pandas calls an index without a name


def open_parquet(path: Path) -> Vectors:
    """Return the matrix in a .parquet file, with the ids beside it. Raises UserError."""
    if find_spec("pyarrow") is None:
        raise UserError(
            f"data.features={path} is a Parquet file, which needs the optional dependency parquet:"
            " pip install -e .[parquet]; or save the vectors as .npy"
        )
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        schema, n = file.schema_arrow, file.metadata.num_rows
        if len(set(schema.names)) < len(schema.names):
            raise refused(path, "several of its columns have the same name: rename them")
        name = only_one(path, "columns of ids", [x for x in schema.names if x in ID_NAMES])
        columns = _matrix_columns(path, schema, name)
        kind = schema.field(columns[0]).type
        is_list = _is_list(kind)
        check_shape(path, (n, 1))
        d = _list_width(path, file, columns[0]) if is_list else len(columns)
        check_shape(path, (n, d))
        ids = _ids(path, file, name) if name else None
    dtype = str(kind.value_type if is_list else kind)
    return Vectors(n, d, dtype, ids, lambda scratch: _blocks(path, columns, (n, d)))


def _is_list(kind: "pyarrow.DataType") -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_number(kind: "pyarrow.DataType") -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _matrix_columns(path: Path, schema: "pyarrow.Schema", id_name: str) -> list[str]:
    """Return the column of lists of numbers, or, without one, all columns, which are numbers.

    Raises UserError if it could be several, or if a column is something else.
    """
    kinds = {name: schema.field(name).type for name in schema.names if name not in (id_name, INDEX)}
    lists = [name for name, kind in kinds.items() if _is_list(kind)]
    if name := chosen_matrix(path, "columns of lists", lists):
        if not _is_number(kinds[name].value_type):
            raise refused(
                path, f"{name} has lists of {kinds[name].value_type}, but numbers are needed"
            )
        if others := [other for other in kinds if other != name]:
            log.info("features: not read from %s: %s", path, _listed(others))
        return [name]
    if other := [name for name, kind in kinds.items() if not _is_number(kind)]:
        raise refused(
            path,
            f"without a column of lists, all columns but the ids must be numbers, and these are"
            f" not: {_listed(other)}: leave them out, and put labels into data.labels",
        )
    if not kinds:
        raise refused(path, "it has no column of vectors")
    return list(kinds)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return printable(", ".join(names[:MAX_LISTED])) + more


def _list_width(path: Path, file: "ParquetFile", column: str) -> int:
    """Return the length of the lists of a column, as their type or the first row says."""
    kind = file.schema_arrow.field(column).type
    if hasattr(kind, "list_size"):
        return int(kind.list_size)
    groups = (file.metadata.row_group(i) for i in range(file.num_row_groups))
    chunks = (group.column(i) for group in groups for i in range(group.num_columns))
    count = sum(c.num_values for c in chunks if c.path_in_schema.startswith(f"{column}."))
    n = file.metadata.num_rows
    check_shape(path, (n, ceil(count / n)))  # on average, before a list is read whole
    first = next(file.iter_batches(1, columns=[column])).column(0)
    if first.null_count:
        raise refused(path, f"{column} is missing in the first row")
    return len(first.flatten())


def _ids(path: Path, file: "ParquetFile", name: str) -> Ids:
    """Return the column of ids. Raises UserError unless it has a text or an integer in each row."""
    from pyarrow import types

    kind = file.schema_arrow.field(name).type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if not (types.is_integer(kind) or is_text):
        raise refused(path, f"{name} is {kind}, but ids are texts or whole numbers")
    texts, missing, size = list[str](), 0, 0
    for batch in file.iter_batches(ID_STEP, columns=[name]):
        column = batch.column(0).cast(kind)
        missing, size = missing + column.null_count, size + column.nbytes
        check_id_bytes(path, name, size)
        texts += [str(value).strip() for value in column.to_pylist()]
    if missing:
        raise refused(path, f"{name} is missing in {missing} rows: each needs one")
    return Ids(texts, ID_NAMES[name])


def _blocks(path: Path, columns: list[str], shape: tuple[int, int]) -> Iterator[NDArray[Any]]:
    """Yield all rows, (m, d) each."""
    from pyarrow.parquet import ParquetFile

    n, d = shape
    done = 0
    with named(path), ParquetFile(path) as file:
        step = max(1, min(BLOCK_NUMBERS // d, MAX_STEP))
        for batch in file.iter_batches(step, columns=columns):
            rows = _matrix(path, [batch.column(name) for name in columns], d)
            done += len(rows)
            yield rows
    if done != n:
        raise refused(path, f"it has {done} rows, but its header tells of {n}: it is damaged")


def _matrix(path: Path, columns: "list[pyarrow.Array]", d: int) -> NDArray[Any]:
    """Return the columns of a batch as (m, d). Raises UserError if numbers are missing."""
    m, parts = len(columns[0]), columns
    if _is_list(columns[0].type):
        parts = [columns[0].flatten()]
        lengths = columns[0].value_lengths().to_numpy(zero_copy_only=False)
        if columns[0].null_count or (lengths != d).any():
            raise refused(path, f"its lists have other lengths than {d}, or some are missing")
    if missing := sum(part.null_count for part in parts):
        raise refused(path, f"{missing} numbers are missing (null): each row needs {d}")
    arrays = [part.to_numpy(zero_copy_only=False) for part in parts]
    return arrays[0].reshape(m, d) if len(arrays) == 1 else np.stack(arrays, axis=1)
