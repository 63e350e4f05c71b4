"""The gallery of a folder of images, with labels from a CSV or from the subfolders."""

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
    """Return the gallery of the images below a folder, sorted by path, and write it to outputs.

    `labels` is a CSV with a column file and any label columns; without it the first level of
    subfolders becomes the columns folder and artist. `limit` takes a seeded sample. No image is
    copied. Raises UserError if there are fewer than two images, or as join_labels does.
    """
    files = sample(sorted(list_images(images)), limit, seed)
    if len(files) < 2:
        raise UserError(
            f"data.images={images} holds {len(files)} images, but at least 2 are needed; supported"
            f" suffixes: {' '.join(sorted(SUFFIXES))}"
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
    works = with_file_facts(works, images)
    return write_gallery("folder", images.resolve(), works, selection, outputs)


def list_images(folder: Path) -> Iterator[str]:
    """Yield the image files below a folder as paths relative to it, in arbitrary order.

    Skips hidden files and folders, and files without one of SUFFIXES.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield PurePosixPath(Path(parent, name).relative_to(folder)).as_posix()


def join_labels(works: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return works with the columns of a CSV, matched by its column file, "" for other files.

    Columns of the CSV replace those of works, but for FILE_FACT_COLUMNS. Raises UserError if the
    CSV has no column file, names a file twice, or matches none.
    """
    table = read_table(path, *_dialect(path))
    table.columns = table.columns.str.strip()
    table = table.loc[:, ~table.columns.str.startswith("Unnamed: ")].copy()
    if "file" not in table:
        raise UserError(
            f"data.labels={path} has no column named file; it has {', '.join(map(str, table))}"
        )
    table["file"] = [PurePosixPath(file.replace("\\", "/")).as_posix() for file in table["file"]]
    if (repeated := table["file"][table["file"].duplicated()]).size:
        raise UserError(
            f"data.labels={path} names {repeated.iloc[0]} twice: keep one line per file"
        )
    matched = int(works["file"].isin(table["file"]).sum())
    if not matched:
        raise UserError(
            f"data.labels={path} matches none of the {len(works)} images: its column file must hold"
            f" paths like {works['file'].iloc[0]}"
        )
    if unlabeled := len(works) - matched:
        log.warning("labels: %d of %d images have no row in %s", unlabeled, len(works), path)
    labels = table[["file"] + [column for column in table if column not in FILE_FACT_COLUMNS]]
    rest = works[[column for column in works if column == "file" or column not in labels]]
    return rest.merge(labels, how="left", on="file").fillna("")


def _dialect(path: Path) -> tuple[str, str]:
    """Return separator and encoding of a CSV, which may come from Excel, by its first line."""
    with path.open("rb") as file:
        head = file.readline()
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return max(",;\t", key=lambda sign: head.count(sign.encode())), encoding
