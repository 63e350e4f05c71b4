"""What is known of the rows of a file of vectors: by ids, by a table of labels, or by number.

n = rows of the file of vectors.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from src.errors import UserError
from src.gallery.labels import normalize, read_columns
from src.gallery.names import FileNames
from src.gallery.vectors import Ids, Vectors
from src.io.csv_cells import unescape_cell
from src.io.printable import printable
from src.io.tables import read_table

log = logging.getLogger(__name__)

MAX_LISTED = 3  # ids in a message
KEYS = ("file", "id")  # columns of the table that say which image a row is
SKIPPED = "skipped.csv"  # beside the features.npy of a run
# What the table says of files that are not there, and how
FACTS = {"sha256": r"[0-9a-f]{64}", "width": r"[1-9]\d{0,8}", "height": r"[1-9]\d{0,8}"}


def works_of_rows(
    path: Path, vectors: Vectors, labels: Path | None, images: Path | None
) -> pd.DataFrame:
    """Return a row of works.csv for each vector: image_id, file, facts of the file, and labels.

    A table is joined by its column id or file if the vectors have ids, else row by row. file is its
    column file, else its id, else image_id, as a path below a folder. Without images, sha256, width
    and height are what the table says. Raises UserError if ids repeat, or if vectors and table are
    not of the same images.
    """
    n, ids = vectors.n, vectors.ids
    image_ids = list(map(str, range(n))) if ids is None else ids.texts
    if ids is not None:
        _check_ids(f"data.features={path}", "id", image_ids)
    works = pd.DataFrame({"image_id": image_ids, "file": image_ids}, dtype=object)
    if labels is not None:
        left_out = ("image_id",) if images is None else ("image_id", *FACTS)
        table = read_columns(labels, KEYS, left_out=left_out)
        key = _key(table, ids, labels)
        if ids is not None and key:
            names = FileNames(ids.texts, images or path.parent)
            table = table.iloc[_places(path, ids, labels, table, key, names)].reset_index(drop=True)
        elif len(table) != n:
            way_out = (
                "give the vectors ids" if ids is None else "add a column id or file to the table"
            )
            raise UserError(
                f"data.features={path} has {n} rows, but data.labels={labels} has {len(table)}, and"
                f" without ids they are taken row by row: make them as many, or {way_out}"
            )
        works = _with_table(works, table)
    below = "" if images is None else f"{images}/"
    works["file"] = [_as_file(name.removeprefix(below)) for name in works["file"]]
    _check_ids(
        f"data.labels={labels}" if labels else f"data.features={path}", "file", works["file"]
    )
    return _with_facts(works)


def _key(table: pd.DataFrame, ids: Ids | None, labels: Path) -> str:
    """Return the column by which rows are found, "" if they are in the order of the vectors."""
    if ids is None:
        return ""
    key = next((key for key in (ids.column, *KEYS) if key in table), "")
    if not key:
        text = "labels: %s has no column id or file, so its rows are taken in the vectors' order"
        log.warning(text, labels)
    return key


def _places(
    path: Path, ids: Ids, labels: Path, table: pd.DataFrame, key: str, names: FileNames
) -> list[int]:
    """Return (n,) the row of the table of each vector. Raises UserError unless each has its own."""
    written, known = list(table[key]), set(ids.texts)
    if key == "file":
        found = [names.find(name).files for name in written]
        texts = [match[0] if len(match) == 1 else "" for match in found]
    else:
        spellings = ((text.strip(), unescape_cell(text).strip()) for text in written)
        texts = [next((t for t in both if t in known), "") for both in spellings]
    unknown = [text for text, match in zip(written, texts, strict=True) if not match]
    skipped = _skipped(path) if unknown else set()
    if strange := [text for text in unknown if text not in skipped]:
        raise UserError(
            f"data.labels={labels} has {_rows(strange)} whose {key} is none of those in"
            f" data.features={path}, {_some(strange)}: leave them out, or add their vectors"
        )
    if unknown:
        text = "labels: %d images are left out, which the run that wrote %s skipped as unreadable"
        log.warning(text, len(unknown), path)
    _check_ids(f"data.labels={labels}", key, filter(None, texts))
    place = {text: row for row, text in enumerate(texts) if text}
    if missing := [text for text in ids.texts if text not in place]:
        raise UserError(
            f"data.features={path} has {_rows(missing)} whose {key} is none of those in"
            f" data.labels={labels}, {_some(missing)}: add a line for each, whose labels may be"
            " empty"
        )
    return [place[text] for text in ids.texts]


def _skipped(path: Path) -> set[str]:
    """Return the files that the run that wrote a features.npy has skipped, if it did."""
    listed = path.with_name(SKIPPED)
    if path.name != "features.npy" or not listed.is_file():
        return set()
    table = read_table(listed)
    names = list(table["file"]) if "file" in table else []
    return {*names, *map(unescape_cell, names)}


def _with_table(works: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return works with the columns of a table of as many rows, in the same order."""
    files = next((list(map(unescape_cell, table[key])) for key in KEYS if key in table), None)
    if files is not None:
        works = works.assign(file=[file.strip() for file in files])
    if "id" in table:
        normalize(table, ["id"])
    labels = table[[column for column in table if column != "file"]]
    works = pd.concat([works, labels], axis=1)
    if "title" not in works and "title_slug" in works:
        works["title"] = works["title_slug"]
    return works


def _as_file(name: str) -> str:
    """Return a name as the path of a file below a folder: without its root, dots and NUL.

    >>> _as_file("/data/../monet/1.jpg")
    'data/monet/1.jpg'
    """
    parts = name.replace("\0", "").split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def _check_ids(source: str, key: str, names: Iterable[str]) -> None:
    """Raise UserError if a name is empty, or is that of two rows."""
    rows = dict[str, int]()
    for row, name in enumerate(names):
        if not name:
            raise UserError(f"{source}: the {key} of row {row} is empty: each row needs one")
        if name in rows:
            raise UserError(
                f"{source}: the {key} {printable(repr(name))} is that of rows {rows[name]} and"
                f" {row}: each row needs one of its own"
            )
        rows[name] = row


def _with_facts(works: pd.DataFrame) -> pd.DataFrame:
    """Return works with the columns of FACTS, "" for what is unknown or cannot be."""
    facts = {
        column: [
            text if re.fullmatch(form, text) else ""
            for text in (works[column] if column in works else [""] * len(works))
        ]
        for column, form in FACTS.items()
    }
    return works.assign(**facts)


def _rows(names: Sequence[str]) -> str:
    return "a row" if len(names) == 1 else f"{len(names)} rows"


def _some(names: Sequence[str]) -> str:
    """Return the first names, quoted."""
    more = ", ..." if len(names) > MAX_LISTED else ""
    return ", ".join(printable(repr(name)) for name in names[:MAX_LISTED]) + more
