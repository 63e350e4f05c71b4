"""neighbors.csv: each image's neighbors with titles, artists and addresses, for people and pandas.

n = images, k = neighbors of each.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.gallery import Gallery
from src.gallery.captions import COLUMNS, caption_of, date_of
from src.io.csv_cells import escape_cell
from src.io.files import atomic_write
from src.reporting.text import as_utf8

# Facts of both images of a pair; those that works.csv lacks are left out
FACTS = ("file", "image_id", "object_id", "title", "artist", "date", "page", "iiif", "wikidata")
LINES_PER_WRITE = 10_000


def write_neighbor_table(
    folder: Path,
    gallery: Gallery,
    index: NDArray[np.int32],
    score: NDArray[np.float32],
    escape_formulas: bool,
) -> None:
    """Write neighbors.csv and, where pyarrow is installed, neighbors.parquet into a run's folder.

    index and score are (n, k), best first.
    """
    write_neighbor_csv(folder / "neighbors.csv", gallery, index, score, escape_formulas)
    if find_spec("pyarrow"):
        write_neighbor_parquet(folder / "neighbors.parquet", neighbor_frame(gallery, index, score))


def write_neighbor_csv(
    path: Path,
    gallery: Gallery,
    index: NDArray[np.int32],
    score: NDArray[np.float32],
    escape_formulas: bool = True,
) -> None:
    """Write a line per image and neighbor, in row order, best neighbor first: n * k lines.

    index and score are (n, k). With `escape_formulas`, texts that a spreadsheet would compute are
    escaped as src.io.csv_cells does.
    """
    gallery = with_captions(gallery)
    names, same = _facts(gallery), _same_artist(gallery, index)
    pair = ["rank", "score"] if same is None else ["rank", "score", "same_artist"]
    header = [f"query_{name}" for name in ("row", *names)] + pair
    header += [f"neighbor_{name}" for name in ("row", *names)]
    lines = _lines(index, score, same, _cells(gallery.works[names], escape_formulas))
    with atomic_write(path) as part, part.open("w", errors="surrogateescape", newline="") as file:
        file.write(",".join(header) + "\n")
        while block := list(islice(lines, LINES_PER_WRITE)):
            file.writelines(block)


def with_captions(gallery: Gallery) -> Gallery:
    """Return the gallery with titles in words, and the year as date where there is none."""
    works = gallery.works
    known = works[[name for name in COLUMNS if name in works]]
    rows: list[dict[str, str]] = known.to_dict("records")  # type: ignore[assignment]
    titles, dates = [caption_of(row).title for row in rows], [date_of(row) for row in rows]
    return replace(gallery, works=works.assign(title=titles, date=dates))


def _facts(gallery: Gallery) -> list[str]:
    """Return the columns of FACTS that say something: not empty, and image_id unless the file."""
    works = gallery.works
    known = [name for name in FACTS if name in works and (works[name] != "").any()]
    is_repeated = "image_id" in works and bool((works["image_id"] == works["file"]).all())
    return [name for name in known if name != "image_id" or not is_repeated]


def _cells(works: pd.DataFrame, escape_formulas: bool) -> list[str]:
    """Return the cells of each row as CSV. Made once for an image, not for each of its lines."""
    rows = []
    for values in works.itertuples(index=False, name=None):
        line = io.StringIO()
        cells = map(escape_cell, values) if escape_formulas else values
        csv.writer(line, lineterminator="").writerow(cells)
        rows.append(line.getvalue())
    return rows


def _lines(
    index: NDArray[np.int32],
    score: NDArray[np.float32],
    same: NDArray[np.int64] | None,
    cells: list[str],
) -> Iterator[str]:
    """Yield the lines of the file; `cells` (n,) are the facts of the images."""
    words = None if same is None else np.array([",", ",no", ",yes"], dtype=object)[same + 1]
    for row, cell in enumerate(cells):
        shared = [""] * index.shape[1] if words is None else words[row]
        neighbors = zip(index[row].tolist(), score[row].tolist(), shared, strict=True)
        for rank, (neighbor, value, word) in enumerate(neighbors, 1):
            yield f"{row},{cell},{rank},{value:.6f}{word},{neighbor},{cells[neighbor]}\n"


def _same_artist(gallery: Gallery, index: NDArray[np.int32]) -> NDArray[np.int64] | None:
    """Return (n, k): 1 where query and neighbor share their artist, 0 if not, -1 if unknown.

    None if no artist is known.
    """
    if "artist" not in _facts(gallery):
        return None
    artist = gallery.labels("artist")  # (n,)
    is_known = (artist[:, None] >= 0) & (artist[index] >= 0)
    return np.where(is_known, artist[:, None] == artist[index], -1)


def neighbor_frame(
    gallery: Gallery, index: NDArray[np.int32], score: NDArray[np.float32]
) -> pd.DataFrame:
    """Return the table of write_neighbor_csv, unescaped: n * k rows, texts as categories.

    index and score are (n, k). same_artist is missing where an artist is unknown.
    """
    gallery, (n, k) = with_captions(gallery), index.shape
    rows, neighbors = np.repeat(np.arange(n, dtype=np.int32), k), index.ravel()
    ranks = np.tile(np.arange(1, k + 1, dtype=np.int32), n)
    texts = {name: pd.factorize(gallery.works[name]) for name in _facts(gallery)}

    def facts(side: str, rows: NDArray[np.int32]) -> dict[str, pd.Categorical]:
        """Return the facts of the images in rows (m,) by column."""
        return {
            f"{side}_{name}": pd.Categorical.from_codes(codes[rows], values)
            for name, (codes, values) in texts.items()
        }

    columns: dict[str, Any] = {"query_row": rows} | facts("query", rows)
    columns |= {"rank": ranks, "score": score.ravel()}
    if (same := _same_artist(gallery, index)) is not None:
        columns["same_artist"] = pd.arrays.BooleanArray(same.ravel() == 1, same.ravel() < 0)
    return pd.DataFrame(columns | {"neighbor_row": neighbors} | facts("neighbor", neighbors))


def write_neighbor_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table of neighbor_frame as Parquet. Needs pyarrow.

    The texts are dictionaries, so that each title is stored once.
    """
    import pyarrow
    from pyarrow import parquet

    columns = {}
    for name, values in table.items():
        if isinstance(values.dtype, pd.CategoricalDtype):
            texts = list(map(as_utf8, values.cat.categories))
            columns[name] = pyarrow.DictionaryArray.from_arrays(values.cat.codes, texts)
        else:
            columns[name] = pyarrow.array(values)
    with atomic_write(path) as part:
        parquet.write_table(pyarrow.table(columns), part, compression="zstd")
