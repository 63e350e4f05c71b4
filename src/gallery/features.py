"""The gallery of one's own vectors: one image for each row of a file of vectors."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.config.features import Features
from src.errors import UserError
from src.gallery import Gallery, write_gallery
from src.gallery.file_facts import with_file_facts
from src.gallery.folder import list_images
from src.gallery.gallery import sample
from src.gallery.names import FileNames
from src.gallery.vector_files import open_vectors
from src.gallery.vector_labels import works_of_rows
from src.gallery.vectors import Vectors

log = logging.getLogger(__name__)


def features_gallery(
    options: Features, seed: int, outputs: Path, escape_formulas: bool = True
) -> Gallery:
    """Return the gallery of the rows of data.features, in their order, and write it to outputs.

    image_id is what the file of vectors calls a row, else its number from 0; works_of_rows says
    what else is known. `limit` takes a seeded sample. Raises UserError as open_vectors and
    works_of_rows do, and if data.images holds none of the files.
    """
    path = Path(options.features)
    images = Path(options.images).resolve() if options.images is not None else None
    labels = Path(options.labels) if options.labels is not None else None
    vectors = open_vectors(path)
    log.info("gallery: %d rows of %d numbers (%s) in %s", vectors.n, vectors.d, vectors.dtype, path)
    works = works_of_rows(path, vectors, labels, images)
    if images is not None:
        works["file"] = _files_below(images, list(works["file"]))
    chosen = set(sample(list(works["file"]), options.limit, seed))
    works = works[works["file"].isin(chosen)].reset_index(drop=True)
    if images is not None:
        works = with_file_facts(works, images)
    ids = "\0".join(works["image_id"]).encode("utf-8", "surrogateescape")
    selection = {
        "ids": hashlib.sha256(ids).hexdigest(),
        "images": str(images) if images else None,
        "labels": str(labels.resolve()) if labels else None,
        "limit": options.limit,
        "seed": seed if options.limit else None,
    }
    return write_gallery("features", images, works, selection, outputs, escape_formulas)


def _files_below(images: Path, files: list[str]) -> list[str]:
    """Return files as they are spelled below a folder of images, as they are if they are not there.

    Raises UserError if none is there, or one is there under two names.
    """
    found = list_images(images)
    names = FileNames(found, images)
    matches = [names.find(file).files for file in files]
    missing = [file for file, match in zip(files, matches, strict=True) if len(match) != 1]
    if len(missing) == len(files):
        raise UserError(
            f"data.images={images} holds none of the {len(files)} files of the rows, such as"
            f" {missing[0]}: give the folder that they are relative to, or leave it out"
        )
    if missing:
        text = "gallery: %d of %d rows have no picture in %s, such as %s"
        log.warning(text, len(missing), len(files), images, missing[0])
    spelled = [m[0] if len(m) == 1 else file for file, m in zip(files, matches, strict=True)]
    if repeated := pd.Series(spelled)[pd.Series(spelled).duplicated()].tolist():
        raise UserError(f"two rows are the picture {repeated[0]}: each needs one of its own")
    return spelled


def row_numbers(path: Path, vectors: Vectors, gallery: Gallery) -> NDArray[np.int64]:
    """Return (m,) the row in the file of vectors of each of the m images of its gallery.

    Raises UserError if the file has other rows by now.
    """
    ids = map(str, range(vectors.n)) if vectors.ids is None else vectors.ids.texts
    row_of = {name: row for row, name in enumerate(ids)}
    rows = np.array([row_of.get(name, -1) for name in gallery.works["image_id"]], dtype=np.int64)
    if (rows < 0).any():
        raise UserError(f"data.features={path} was changed during the run: run the command again")
    return rows
