"""The gallery: the images searched, one row each, in an order that never changes.

A gallery is a folder of two plain files, works.csv (one line an image) and gallery.yaml (the
selection, and the folder of images that the column file is relative to).
"""

import hashlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from src.config import Similarity
from src.config.enums import Exclude
from src.errors import UserError, did_you_mean
from src.io.files import atomic_write, sha256
from src.io.images import pixel_size
from src.io.tables import read_table
from src.runtime.progress import progress

log = logging.getLogger(__name__)

COLUMNS = [
    *("image_id", "file", "object_id", "title", "artist", "date", "classification", "school"),
    *("style", "theme", "technique", "nationality", "decade", "medium", "view"),
    *("width", "height", "url", "sha256"),
]
FILE_FACT_COLUMNS = [
    "image_id",
    "file",
    "width",
    "height",
    "sha256",
]  # never taken from a user's CSV
NON_LABEL_COLUMNS = {
    *(*FILE_FACT_COLUMNS, "object_id", "title", "title_slug", "date", "view", "url"),
    *("schools", "styles", "themes", "techniques"),  # lists of the museum's, the first is a label
}


@dataclass(frozen=True)
class Gallery:
    """n images. works has one row an image, all columns strings, empty where unknown."""

    name: str
    root: Path
    works: pd.DataFrame
    missing: int = 0  # images that were asked for and could not be fetched

    def __len__(self) -> int:
        return len(self.works)

    @property
    def files(self) -> list[str]:
        """Each image's path relative to root, in row order."""
        return list(self.works["file"])

    def fingerprint(self) -> str:
        """A hash of the images and their order: where it is the same, rows can be compared."""
        names = "\n".join(self.works["file"] + "\t" + self.works["sha256"])
        return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def caption(self, row: int) -> str:
        """What to call an image: title and artist where they are known, else its file."""
        title, artist = (self.works[c][row] if c in self.works else "" for c in ("title", "artist"))
        return ", ".join(filter(None, (title, artist))) if title else self.files[row]

    def labels(self, column: str, option: str = "evaluation.labels") -> NDArray[np.int64]:
        """(n,) a number for each distinct value of the column, -1 where it is empty.

        Raises UserError, naming the option that asked, when there is no such column.
        """
        if column not in self.works:
            similar = did_you_mean(column, map(str, self.works))
            raise UserError(
                f"{option}: works.csv has no column {column}, only"
                f" {', '.join(self.label_columns())}{similar}"
            )
        values = self.works[column]
        return pd.factorize(values.where(values != ""))[0].astype(np.int64)

    def label_columns(self) -> list[str]:
        """The columns that have repeated values, more than one of them."""
        counts = {
            column: self.works.loc[self.works[column] != "", column].value_counts()
            for column in self.works.columns
            if column not in NON_LABEL_COLUMNS
        }
        return [c for c, count in counts.items() if len(count) > 1 and count.iloc[0] > 1]

    def label_ids(self, column: str, option: str = "evaluation.labels") -> NDArray[np.int64]:
        """(n,) as labels, but an image without a value is alike to no other."""
        labels = self.labels(column, option)
        return np.where(labels < 0, len(self) + np.arange(len(self)), labels)

    def exclusion_groups(self, options: Similarity) -> NDArray[np.int64]:
        """(n,) a number for each set of images that are no neighbors of one another.

        Raises UserError when that leaves an image fewer than top_k others.
        """
        groups = np.arange(len(self))
        if options.exclude is Exclude.same_object:
            groups = self.label_ids("object_id", "similarity.exclude=same_object")
        most = max_neighbors(groups)
        if options.top_k > most:
            raise UserError(
                f"similarity.top_k must be between 1 and {most} for {len(self)} images,"
                f" got {options.top_k}"
            )
        return groups

    def subset(self, rows: NDArray[np.int64]) -> "Gallery":
        """The gallery of these rows alone."""
        return replace(self, works=self.works.iloc[rows].reset_index(drop=True))


def max_neighbors(groups: NDArray[np.int64]) -> int:
    """How many neighbors every image can have: those outside the largest group."""
    return len(groups) - int(np.unique(groups, return_counts=True)[1].max())


def write_gallery(
    source: str, root: Path, works: pd.DataFrame, selection: dict[str, Any], outputs: Path
) -> Gallery:
    """Write works.csv and gallery.yaml to outputs/galleries/<source>-<hash of the selection>."""
    digest = hashlib.sha256(repr(sorted(selection.items())).encode("utf-8", "surrogateescape"))
    name = f"{source}-{digest.hexdigest()[:12]}"
    folder = outputs / "galleries" / name
    known = [column for column in COLUMNS if column in works]
    works = works[known + [column for column in works if column not in known]]
    with atomic_write(folder / "works.csv") as part:
        # Lines end in \r\n so that a lone \r in a field is quoted too
        works.to_csv(part, index=False, errors="surrogateescape", lineterminator="\r\n")
    with atomic_write(folder / "gallery.yaml") as part:
        facts = {"source": source, "root": str(root), "selection": selection}
        part.write_text(yaml.safe_dump(facts, sort_keys=False))
    return Gallery(name, root, works)


def read_gallery(folder: Path) -> Gallery:
    """The gallery of a folder that write_gallery wrote."""
    facts = yaml.safe_load((folder / "gallery.yaml").read_bytes())
    return Gallery(folder.name, Path(facts["root"]), read_table(folder / "works.csv"))


def sample(names: list[str], limit: int | None, seed: int) -> list[str]:
    """A seeded sample in the order given.

    Names are drawn by a hash of their own, so that a name more or less in the list changes one
    place of the sample at most.
    """
    draws = {
        name: hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()
        for name in names
    }
    chosen = set(names if limit is None else sorted(names, key=draws.__getitem__)[:limit])
    return [name for name in names if name in chosen]


def with_file_facts(works: pd.DataFrame, root: Path) -> pd.DataFrame:
    """works with sha256, width and height of every file; empty where it cannot be read."""
    paths = [root / file for file in works["file"]]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        facts = pool.map(_facts, paths)
        shown = progress(facts, "listing", len(paths), " images")
        measured = pd.DataFrame(shown, columns=["sha256", "width", "height"], dtype=object)
    return works.assign(**measured)


def _facts(path: Path) -> tuple[str, str, str]:
    try:
        digest = sha256(path) if path.is_file() else ""
    except OSError:
        digest = ""
    if not digest:
        return "", "", ""
    width, height = pixel_size(path) or ("", "")
    return digest, str(width), str(height)
