"""The gallery: the images that are compared, one row each, in an order that never changes.

On disk it is a folder with works.csv (one line per image) and gallery.yaml (the selection, and the
folder of images that the column file is relative to).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from src.config import Similarity
from src.errors import UserError, did_you_mean
from src.gallery import captions
from src.gallery.exclusion import SHARED_COLUMN, check_neighbors
from src.gallery.judgements import Verdict
from src.io.bounded import check_size, damaged, read_yaml
from src.io.csv_cells import escape_cell, unescape_cell
from src.io.files import atomic_write
from src.io.outputs import Outputs
from src.io.printable import printable
from src.io.tables import map_text, read_table

COLUMNS = [
    *("image_id", "file", "object_id", "title", "artist", "date", "classification", "school"),
    *("style", "theme", "technique", "nationality", "decade", "medium", "view"),
    *("assistive_text", "width", "height", "page", "iiif", "iiif_width", "iiif_height"),
    *("iiif_profile", "wikidata", "rights", "url", "sha256"),
]
MAX_WORKS_BYTES = 2**30  # of works.csv: a million paintings
# The museum's lists of all values, by the label that is their first
LISTS = {
    "artist": "all_artists",
    "school": "schools",
    "style": "styles",
    "theme": "themes",
    "technique": "techniques",
}
# Facts of the files, never taken from a user's CSV
FILE_FACT_COLUMNS = ["image_id", "file", "width", "height", "sha256"]
NON_LABEL_COLUMNS = {
    *(*FILE_FACT_COLUMNS, "object_id", "title", "title_slug", "date", "view"),
    *("assistive_text", "page", "iiif", "iiif_width", "iiif_height", "iiif_profile"),
    *("wikidata", "url", "rights", "attribution"),
    *LISTS.values(),
}


@dataclass(frozen=True)
class Gallery:
    """n images and their metadata."""

    name: str  # of its folder below outputs/galleries
    root: Path  # folder that the column file is relative to
    works: pd.DataFrame  # n rows, string columns, "" for unknown values
    missing: int = 0  # selected images that could not be downloaded
    verdicts: Sequence[Verdict] = ()  # of data.judgements, about pairs of images
    has_pictures: bool = True  # False: only vectors of the images are known, root is their own

    def __len__(self) -> int:
        return len(self.works)

    @cached_property
    def files(self) -> list[str]:
        """Return the n paths relative to root, in row order."""
        return list(self.works["file"])

    def fingerprint(self) -> str:
        """Return a hash of the images and their order: 16 hexadecimal digits.

        Two galleries with the same fingerprint have the same rows.
        """
        names = "\n".join(self.works["file"] + "\t" + self.works["sha256"])
        return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def label_fingerprints(self) -> dict[str, str]:
        """Return by label column a hash of which images share a label: 16 hexadecimal digits.

        Metrics of two runs are comparable if the images and these are equal.
        """
        return {
            column: hashlib.sha256(self.labels(column).tobytes()).hexdigest()[:16]
            for column in self.label_columns()
        }

    def work(self, row: int) -> dict[str, str]:
        """Return what the caption of the image in a row is made of."""
        return {c: self.works[c][row] for c in captions.COLUMNS if c in self.works}

    def caption(self, row: int) -> str:
        """Return "title, artist, date" of the image in a row, its file if the title is unknown.

        It is one line of printable text: a line feed or a tab becomes a blank.
        """
        caption = captions.caption_of(self.work(row))
        return printable(" ".join((str(caption) if caption.title else self.files[row]).split()))

    def labels(self, column: str, option: str = "evaluation.labels") -> NDArray[np.int64]:
        """Return (n,) int64: the number of each image's value of the column, -1 if it is empty.

        Values are numbered from 0 in order of appearance. Raises UserError, which names `option`,
        if there is no such column.
        """
        if column not in self.works:
            similar = did_you_mean(column, map(str, self.works))
            raise UserError(
                f"{option}: works.csv has no column {column}; label columns are"
                f" {', '.join(self.label_columns())}{similar}"
            )
        values = self.works[column]
        return pd.factorize(values.where(values != ""))[0].astype(np.int64)

    def label_columns(self) -> list[str]:
        """Return the columns that have several values, at least one of them repeated."""
        counts = {
            column: self.works.loc[self.works[column] != "", column].value_counts()
            for column in self.works.columns
            if column not in NON_LABEL_COLUMNS
        }
        return [c for c, count in counts.items() if len(count) > 1 and count.iloc[0] > 1]

    def label_ids(self, column: str, option: str = "evaluation.labels") -> NDArray[np.int64]:
        """Return (n,) int64: like `labels`, but each image without a value gets a unique id."""
        labels = self.labels(column, option)
        return np.where(labels < 0, len(self) + np.arange(len(self)), labels)

    def exclusion_groups(self, options: Similarity) -> NDArray[np.int64]:
        """Return (n,) int64 group ids; images of one group are never each other's neighbors.

        Groups are the images of a work of art with `exclude=same_object`, those of equal files with
        `exclude=same_image`, else single images; an image without an object or a checksum is alone.
        Raises UserError if an image has fewer than `options.top_k` or `options.augment` possible
        neighbors.
        """
        column = SHARED_COLUMN.get(options.exclude.name)
        if column is None:
            groups = np.arange(len(self))
        else:
            groups = self.label_ids(column, f"similarity.exclude={options.exclude.name}")
        check_neighbors(groups, options)
        return groups

    def subset(self, rows: NDArray[np.int64]) -> "Gallery":
        """Return a gallery of the given rows (m,) in the given order, numbered from 0."""
        return replace(self, works=self.works.iloc[rows].reset_index(drop=True))


def write_gallery(
    source: str,
    root: Path | None,
    works: pd.DataFrame,
    selection: dict[str, Any],
    outputs: Path,
    escape_formulas: bool = True,
) -> Gallery:
    """Write works.csv and gallery.yaml to outputs/galleries/<source>-<hash of the selection>.

    `works` are the rows of the gallery; root is None if there are no pictures; `selection` are the
    options that chose them, with values that YAML can hold. With escape_formulas, a text in
    works.csv that a spreadsheet would compute has an apostrophe in front. Returns the gallery.
    """
    digest = hashlib.sha256(repr(sorted(selection.items())).encode("utf-8", "surrogateescape"))
    name = f"{source}-{digest.hexdigest()[:12]}"
    folder = Outputs(outputs).galleries / name
    standard = [column for column in COLUMNS if column in works]
    works = works[standard + [column for column in works if column not in standard]]
    facts = {"source": source, "root": root and str(root), "selection": selection}
    with atomic_write(folder / "gallery.yaml") as part:  # first: it says how to read works.csv
        part.write_text(
            yaml.safe_dump(facts | {"escape_formulas": escape_formulas}, sort_keys=False)
        )
    written = map_text(works, escape_cell) if escape_formulas else works
    with atomic_write(folder / "works.csv") as part:
        # Lines end in \r\n so that pandas quotes a lone \r in a field
        written.to_csv(part, index=False, errors="surrogateescape", lineterminator="\r\n")
    return Gallery(name, root or folder, works, has_pictures=root is not None)


def read_gallery(folder: Path) -> Gallery:
    """Read a gallery from the folder that write_gallery wrote, or somebody else.

    Raises UserError if a file is damaged, or lists an image that is not below the gallery's root.
    """
    path, facts = folder / "works.csv", read_yaml(folder / "gallery.yaml")
    root = facts.get("root", 0) if isinstance(facts, dict) else 0
    if not isinstance(root, str | None):
        raise damaged(folder / "gallery.yaml", "it names no root")
    check_size(path, MAX_WORKS_BYTES)
    works = read_table(path)
    if facts.get("escape_formulas"):  # earlier versions wrote all text as it is
        works = map_text(works, unescape_cell)
    if missing := [column for column in FILE_FACT_COLUMNS if column not in works]:
        raise damaged(path, f"it has no column {', '.join(missing)}")
    if works["file"].duplicated().any():
        raise damaged(path, "it lists a file twice")
    for file in works["file"]:
        if not file or "\0" in file or file.startswith("/") or ".." in file.split("/"):
            raise damaged(path, f"{file} is not below the folder of images")
    place = folder if root is None else Path(root)
    return Gallery(folder.name, place, works, has_pictures=root is not None)


def sample(names: list[str], limit: int | None, seed: int) -> list[str]:
    """Return a random sample of at most `limit` names, all if it is None, in their order.

    Names with the lowest seeded hashes are taken, so that adding or removing one name changes at
    most one name of the sample.

    >>> sample(["a", "b", "c", "d"], limit=2, seed=0)
    ['b', 'c']
    """
    if limit is None:
        return names
    hashes = {
        name: hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()
        for name in names
    }
    sampled = set(sorted(names, key=hashes.__getitem__)[:limit])
    return [name for name in names if name in sampled]
