"""Join a user's table of labels to the images of a folder."""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from src.errors import UserError
from src.evaluation.metrics import reserved_group
from src.gallery.gallery import FILE_FACT_COLUMNS
from src.gallery.names import FileNames, Match, normal_text
from src.io.spreadsheets import read_spreadsheet

log = logging.getLogger(__name__)

MAX_NAME = 200  # characters of a column's name, which becomes part of the names of metrics
MAX_LISTED = 300  # characters of the names of columns in a message


FACTS_OF_FILES = frozenset(FILE_FACT_COLUMNS) - {"file"}


def read_labels(path: Path) -> pd.DataFrame:
    """Return the table of data.labels: its column file, and its labels in normal form.

    Raises UserError if it has no column file, or a name that occurs twice or cannot be a label.
    """
    return read_columns(path, ("file",), "file")


def read_columns(
    path: Path, keys: Sequence[str], needed: str = "", left_out: Collection[str] = FACTS_OF_FILES
) -> pd.DataFrame:
    """Return the columns of a table, but for those left out; labels are in normal form.

    The keys, columns by which rows are found, stay as they are written. Raises UserError if the
    column needed is not there, or if a name occurs twice or cannot be that of a label.
    """
    table = read_spreadsheet(path, *keys)
    table.columns = pd.Index([_column_name(name) for name in map(str, table)], dtype=object)
    names = list(map(str, table))
    if needed and needed not in names:
        listed = ", ".join(filter(None, names))
        listed = listed if len(listed) <= MAX_LISTED else f"{listed[:MAX_LISTED]}…"
        raise UserError(f"data.labels={path} has no column named {needed}; it has {listed}")
    _check_names(names, path)
    if ours := [name for name in names if name in left_out]:
        log.info("labels: columns %s are read from the images, not from %s", ", ".join(ours), path)
    named = [name for name in names if name and not name.startswith("Unnamed: ")]  # by pandas
    table = table[[name for name in named if name not in ours]].copy()
    normalize(table, [name for name in named if name not in (*ours, *keys)])
    return table


def _column_name(name: str) -> str:
    """Return the name of a column as one line of printable text."""
    visible = "".join(sign if sign.isprintable() else " " for sign in normal_text(name))
    return " ".join(visible.split())


def _check_names(names: list[str], path: Path) -> None:
    """Raise UserError if names of columns repeat, or cannot be those of labels."""
    for name, count in Counter(filter(None, names)).items():
        if count > 1:
            raise UserError(
                f"data.labels={path} has {count} columns named {name}, apart from blanks: rename"
                " or remove all but one"
            )
        if len(name) > MAX_NAME:
            raise UserError(
                f"data.labels={path} has a column whose name has {len(name)} characters, at most"
                f" {MAX_NAME} are possible: shorten {name[:40]}…"
            )
        if group := reserved_group(name):
            raise UserError(
                f"data.labels={path} has a column named {name}, but {group} names the program's"
                " own metrics: rename the column"
            )


def normalize(table: pd.DataFrame, columns: list[str]) -> None:
    """Bring the values of columns into the form of normal_text, and log how many have changed."""
    changed = Counter[str]()
    for column in columns:
        values = table[column].map(normal_text).astype(object)
        changed[column] = int((values != table[column]).sum())
        table[column] = values
    if total := changed.total():
        counts = ", ".join(f"{column} {count}" for column, count in changed.items() if count)
        log.info("labels: blanks or letters brought into one form in %d values: %s", total, counts)


def join_labels(
    works: pd.DataFrame, table: pd.DataFrame, names: FileNames, path: Path
) -> pd.DataFrame:
    """Return works with the columns of a table that read_labels returned, "" for other files.

    Columns of the table replace those of works. `names` are the files of the folder, of which
    works may be a sample. Raises UserError if two rows name one file, or none names any.
    """
    matches = [names.find(name) for name in table["file"]]
    files = [match.files[0] if len(match.files) == 1 else "" for match in matches]
    if not any(files):
        raise UserError(
            f"data.labels={path} matches none of the {len(works)} images: its column file must hold"
            f" paths like {works['file'].iloc[0]}"
        )
    _check_rows(list(table["file"]), files, path)
    _log_matches(list(table["file"]), matches, path)
    table = table.assign(file=files)
    if unlabeled := int((~works["file"].isin(table["file"])).sum()):
        log.warning("labels: %d of %d images have no row in %s", unlabeled, len(works), path)
    rest = works[[column for column in works if column == "file" or column not in table]]
    return rest.merge(table[table["file"] != ""], how="left", on="file").fillna("")


def _check_rows(written: list[str], files: list[str], path: Path) -> None:
    """Raise UserError if two rows name one file. `files` has "" for rows without one."""
    rows = dict[str, str]()  # by file: as its row writes it
    for name, file in zip(written, files, strict=True):
        if file and file in rows:
            spelled = f", as {rows[file]!r} and {name!r}" if {name, rows[file]} != {file} else ""
            raise UserError(
                f"data.labels={path} names {file} twice{spelled}: keep one line per file"
            )
        rows[file] = name


def _log_matches(written: list[str], matches: list[Match], path: Path) -> None:
    """Log how many rows name their image in another way, and how many name none or several."""
    differ = Counter(m.difference for m in matches if m.difference and len(m.files) == 1)
    if differ:
        counts = ", ".join(f"{how} {count}" for how, count in differ.items())
        text = "labels: %d rows of %s match an image but for a difference of %s"
        log.info(text, differ.total(), path, counts)
    found = list(zip(written, matches, strict=True))
    if several := [name for name, match in found if len(match.files) > 1]:
        text = "labels: %d rows of %s fit several images and are left out, such as %r"
        log.warning(text, len(several), path, several[0])
    if none := [name for name, match in found if not match.files]:
        log.warning("labels: %d rows of %s match no image, such as %r", len(none), path, none[0])
