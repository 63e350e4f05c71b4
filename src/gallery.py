"""The gallery: the images searched, one row each, in an order that never changes.

A gallery is a folder of two plain files, works.csv (one line an image) and gallery.yaml (the
selection, and the folder of images that the column file is relative to).
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from src.checks import UserError, near
from src.choices import Exclude
from src.config import Similarity
from src.files import replacing, sha256
from src.images import pixel_size
from src.progress import progress

log = logging.getLogger(__name__)

COLUMNS = [
    *("image_id", "file", "object_id", "title", "artist", "date", "classification", "school"),
    *("style", "theme", "technique", "nationality", "decade", "medium", "view"),
    *("width", "height", "url", "sha256"),
]
MEASURED = ["image_id", "file", "width", "height", "sha256"]  # never taken from a user's CSV
NOT_LABELS = {
    *(*MEASURED, "object_id", "title", "title_slug", "date", "view", "url"),
    *("schools", "styles", "themes", "techniques"),  # lists of the museum's, the first is a label
}
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp"),
    *(".jp2", ".ppm", ".pgm", ".tga", ".avif"),
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

    def labels(self, column: str, option: str = "evaluation.labels") -> NDArray[np.int64]:
        """(n,) a number for each distinct value of the column, -1 where it is empty.

        Raises UserError, naming the option that asked, when there is no such column.
        """
        if column not in self.works:
            raise UserError(
                f"{option}: works.csv has no column {column}"
                f"{near(column, map(str, self.works))}; it has {', '.join(self.label_columns())}"
            )
        values = self.works[column]
        return pd.factorize(values.where(values != ""))[0].astype(np.int64)

    def label_columns(self) -> list[str]:
        """The columns that have repeated values, more than one of them."""
        counts = {
            column: self.works.loc[self.works[column] != "", column].value_counts()
            for column in self.works.columns
            if column not in NOT_LABELS
        }
        return [c for c, count in counts.items() if len(count) > 1 and count.iloc[0] > 1]

    def groups(self, options: Similarity) -> NDArray[np.int64]:
        """(n,) a number for each set of images that are no neighbors of one another.

        Raises UserError when that leaves an image fewer than top_k others.
        """
        groups = np.arange(len(self))
        if options.exclude is Exclude.same_object:
            objects = self.labels("object_id", "similarity.exclude=same_object")
            groups = np.where(objects < 0, len(self) + groups, objects)
        if options.top_k > most(groups):
            raise UserError(
                f"similarity.top_k must be between 1 and {most(groups)} for {len(self)} images,"
                f" got {options.top_k}"
            )
        return groups

    def narrowed(self, rows: NDArray[np.int64]) -> "Gallery":
        """The gallery of these rows alone."""
        return replace(self, works=self.works.iloc[rows].reset_index(drop=True))


def most(groups: NDArray[np.int64]) -> int:
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
    with replacing(folder / "works.csv") as part:
        # Lines end in \r\n so that a lone \r in a field is quoted too
        works.to_csv(part, index=False, errors="surrogateescape", lineterminator="\r\n")
    with replacing(folder / "gallery.yaml") as part:
        facts = {"source": source, "root": str(root), "selection": selection}
        part.write_text(yaml.safe_dump(facts, sort_keys=False))
    return Gallery(name, root, works)


def read_gallery(folder: Path) -> Gallery:
    """The gallery of a folder that write_gallery wrote."""
    facts = yaml.safe_load((folder / "gallery.yaml").read_bytes())
    return Gallery(folder.name, Path(facts["root"]), read_table(folder / "works.csv"))


def _dialect(path: Path) -> tuple[str, str]:
    """Separator and encoding of a CSV, which Excel may have written."""
    with path.open("rb") as file:
        head = file.readline()
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return max(",;\t", key=lambda sign: head.count(sign.encode())), encoding


def read_table(path: Path, separator: str = ",", encoding: str = "utf-8") -> pd.DataFrame:
    """A CSV of strings: nothing is guessed, so an artist called NA stays one.

    Raises UserError for what is no CSV.
    """
    try:
        table = pd.read_csv(
            path,
            sep=separator,
            encoding=encoding,
            encoding_errors="surrogateescape",
            dtype=object,
            keep_default_na=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{path} is not a table of comma-separated values: {why}") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first column for row names
        raise UserError(f"{path}: its lines have more fields than its header has names")
    return table.fillna("")


def folder_gallery(
    images: Path, labels: Path | None, limit: int | None, seed: int, outputs: Path
) -> Gallery:
    """A gallery over a folder of the user's, in sorted order; nothing is copied."""
    files = sample(sorted(list_images(images)), limit, seed)
    if len(files) < 2:
        raise UserError(
            f"data.images={images} holds {len(files)} images, at least 2 are needed;"
            f" files count that end in {' '.join(sorted(SUFFIXES))}"
        )
    folders = [file.split("/")[0] if "/" in file else "" for file in files]
    works = pd.DataFrame({"image_id": files, "file": files, "folder": folders}, dtype=object)
    if labels is not None:
        works = join_labels(works, labels)
    if "artist" not in works:
        works["artist"] = works["folder"]
    if "title" not in works and "title_slug" in works:
        works["title"] = works["title_slug"]
    selection = {
        "images": str(images.resolve()),
        "labels": str(labels.resolve()) if labels else None,
        "limit": limit,
        "seed": seed if limit else None,
    }
    return write_gallery("folder", images.resolve(), measure(works, images), selection, outputs)


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


def list_images(folder: Path) -> Iterator[str]:
    """Files below folder that are named like images, as paths relative to it; none hidden."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield PurePosixPath(Path(parent, name).relative_to(folder)).as_posix()


def join_labels(works: pd.DataFrame, path: Path) -> pd.DataFrame:
    """works with the columns of a CSV of the user's, matched by its column file.

    Raises UserError when there is no such column, a file stands in it twice, or none matches.
    """
    table = read_table(path, *_dialect(path))
    table.columns = table.columns.str.strip()
    table = table.loc[:, ~table.columns.str.startswith("Unnamed: ")].copy()
    if "file" not in table:
        raise UserError(
            f"data.labels={path} needs a column file, it has {', '.join(map(str, table))}"
        )
    table["file"] = [PurePosixPath(file.replace("\\", "/")).as_posix() for file in table["file"]]
    if (twice := table["file"][table["file"].duplicated()]).size:
        raise UserError(f"data.labels={path} names {twice.iloc[0]} twice: keep one line a file")
    matched = int(works["file"].isin(table["file"]).sum())
    if not matched:
        raise UserError(
            f"data.labels={path} matches none of the {len(works)} images: its column file must hold"
            f" paths like {works['file'].iloc[0]}"
        )
    if missing := len(works) - matched:
        log.warning("labels: %d of %d images have no line in %s", missing, len(works), path)
    own = table[["file"] + [column for column in table if column not in MEASURED]]
    rest = works[[column for column in works if column == "file" or column not in own]]
    return rest.merge(own, how="left", on="file").fillna("")


def measure(works: pd.DataFrame, root: Path) -> pd.DataFrame:
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
