"""A gallery over a folder of the user's: its images, and labels from a CSV or the sub-folders."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from src.errors import UserError
from src.gallery import Gallery, write_gallery
from src.gallery.gallery import FILE_FACT_COLUMNS, sample, with_file_facts
from src.io.tables import read_table

log = logging.getLogger(__name__)

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp"),
    *(".jp2", ".ppm", ".pgm", ".tga", ".avif"),
}


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
    return write_gallery(
        "folder", images.resolve(), with_file_facts(works, images), selection, outputs
    )


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
    own = table[["file"] + [column for column in table if column not in FILE_FACT_COLUMNS]]
    rest = works[[column for column in works if column == "file" or column not in own]]
    return rest.merge(own, how="left", on="file").fillna("")


def _dialect(path: Path) -> tuple[str, str]:
    """Separator and encoding of a CSV, which Excel may have written."""
    with path.open("rb") as file:
        head = file.readline()
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return max(",;\t", key=lambda sign: head.count(sign.encode())), encoding
