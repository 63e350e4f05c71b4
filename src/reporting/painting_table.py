"""paintings.csv: each image with its place on the map, what is known about it, and its neighbors.

The column neighbors has the form that Embedding Atlas reads: {"ids": [...], "distances": [...]},
rows counted from 0, nearest first. n = images, k = neighbors of each.
"""

import json
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.gallery import Gallery
from src.io.csv_cells import write_table
from src.io.files import atomic_write
from src.reporting.neighbor_table import with_captions
from src.reporting.text import as_utf8

CAPTION = ["title", "artist", "date"]  # columns after row, file, x and y
NEIGHBORS = "neighbors"  # the last column
SIZES = ["width", "height"]  # facts that are whole numbers
EXACT = ["file", "image_id"]  # by which tables are joined


def write_painting_table(
    folder: Path,
    gallery: Gallery,
    index: NDArray[np.int32],
    score: NDArray[np.float32],
    positions: NDArray[np.float32],
    escape_formulas: bool,
) -> None:
    """Write paintings.csv and, where pyarrow is installed, paintings.parquet into a run's folder.

    index and score are (n, k), positions (n, 2).
    """
    works = _works(gallery, positions)
    ids, distances = _by_distance(index, score)
    _write_csv(folder / "paintings.csv", works, ids, distances, escape_formulas)
    if find_spec("pyarrow"):
        _write_parquet(folder / "paintings.parquet", works, ids, distances)


def painting_frame(
    gallery: Gallery,
    index: NDArray[np.int32],
    score: NDArray[np.float32],
    positions: NDArray[np.float32],
) -> pd.DataFrame:
    """Return the table of paintings.parquet: n rows, each value of neighbors a dictionary.

    index and score are (n, k), positions (n, 2). Unknown texts are "", unknown sizes missing.
    """
    table, nearest = _works(gallery, positions), zip(*_by_distance(index, score), strict=True)
    values: Any = [{"ids": ids, "distances": distances} for ids, distances in nearest]
    table[NEIGHBORS] = values
    return table


def _write_csv(
    path: Path,
    works: pd.DataFrame,
    ids: NDArray[np.int32],
    distances: NDArray[np.float32],
    escape_formulas: bool,
) -> None:
    """Write a line per image; neighbors are JSON. Formulas are escaped as src.io.csv_cells does."""
    columns = [_cells(works[name]) for name in works]
    lines = zip(*columns, _as_json(ids, distances), strict=True)
    write_table(path, [*works, NEIGHBORS], lines, escape_formulas)


def _write_parquet(
    path: Path, works: pd.DataFrame, ids: NDArray[np.int32], distances: NDArray[np.float32]
) -> None:
    """Write a row per image; neighbors are structures of two lists. Needs pyarrow."""
    import pyarrow
    from pyarrow import parquet

    n, k = ids.shape
    ends = np.arange(0, (n + 1) * k, k, dtype=np.int32)
    lists = [pyarrow.ListArray.from_arrays(ends, part.ravel()) for part in (ids, distances)]
    columns = {}
    for name, values in works.items():
        is_number = pd.api.types.is_numeric_dtype(values)
        columns[name] = pyarrow.array(values if is_number else map(as_utf8, values))
    columns[NEIGHBORS] = pyarrow.StructArray.from_arrays(lists, ["ids", "distances"])
    with atomic_write(path) as part:
        parquet.write_table(pyarrow.table(columns), part, compression="zstd")


def _works(gallery: Gallery, positions: NDArray[np.float32]) -> pd.DataFrame:
    """Return all columns but the neighbors: row, file, x, y, CAPTION, the rest as in works.csv.

    Columns without any value are left out, and image_id where it repeats the file. A column that
    has the name of one of this table's own gets the prefix works_.
    """
    known = with_captions(gallery).works
    facts = {str(name): known[name] for name in known if (known[name] != "").any()}
    if "image_id" in facts and (facts["image_id"] == facts["file"]).all():
        del facts["image_id"]
    x, y = positions.T
    rows = np.arange(len(known), dtype=np.int32)
    columns: dict[str, Any] = {"row": rows, "file": facts.pop("file"), "x": x, "y": y}
    captions = [name for name in CAPTION if name in facts]
    for name in [*captions, *(name for name in facts if name not in CAPTION)]:
        columns[_free_name(as_utf8(name), columns)] = _plain(name, facts[name])
    return pd.DataFrame(columns)


def _free_name(name: str, taken: Iterable[str]) -> str:
    """Return the name of a column, with a prefix if it is taken: databases ignore its case.

    >>> _free_name("X", ["x", "y"]), _free_name("style", ["x"])
    ('works_X', 'style')
    """
    used = {other.casefold() for other in (*taken, NEIGHBORS)}
    while name.casefold() in used:
        name = f"works_{name}"
    return name


def _plain(name: str, values: "pd.Series[Any]") -> Any:
    """Return a column as it is written: sizes are numbers, other texts have no line breaks."""
    if name in SIZES and values.str.fullmatch(r"\d{0,9}").all():
        return pd.to_numeric(values).astype("Int32")
    if name in EXACT:
        return values
    return [" ".join(text.splitlines()) for text in values]


def _by_distance(
    index: NDArray[np.int32], score: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the neighbors (n, k) and 1 - cosine, the smallest first: csls orders them otherwise.

    A cosine that rounding has put above 1 has the distance 0.
    """
    distances = np.maximum(1 - score.astype(np.float64), 0).astype(np.float32)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(index, order, 1), np.take_along_axis(distances, order, 1)


def _cells(values: "pd.Series[Any]") -> list[Any]:
    """Return the cells of a column; a float32 has as few digits as tell it from all others."""
    if values.dtype == np.float32:
        return values.to_numpy().astype(str).tolist()
    return values.astype(object).where(values.notna(), "").tolist()


def _as_json(ids: NDArray[np.int32], distances: NDArray[np.float32]) -> Iterator[str]:
    """Yield the neighbors of each image as JSON."""
    for rows, lengths in zip(ids.tolist(), distances.astype(np.float64).round(6), strict=True):
        yield json.dumps({"ids": rows, "distances": lengths.tolist()})
