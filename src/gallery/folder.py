"""The gallery of a folder of images, with labels from a table or from the subfolders."""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from src.errors import UserError
from src.gallery import Gallery, write_gallery
from src.gallery.file_facts import with_file_facts
from src.gallery.gallery import sample
from src.gallery.labels import join_labels, normalize, read_labels
from src.gallery.listing import find_images
from src.gallery.names import FileNames

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp"),
    *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    *(".tga", ".avif"),
}
# By the module that registers the optional dependency formats with Pillow
PLUGIN_SUFFIXES = {"pillow_heif": (".heic", ".heif", ".hif"), "pillow_jxl": (".jxl",)}


def folder_gallery(
    images: Path,
    labels: Path | None,
    limit: int | None,
    seed: int,
    outputs: Path,
    escape_formulas: bool = True,
) -> Gallery:
    """Return the gallery of the images below a folder, sorted by path, and write it to outputs.

    `labels` is a CSV or .xlsx with a column file and any label columns; without it the first level
    of subfolders, in the column folder, is the only label. `limit` takes a seeded sample. No image
    is copied; escape_formulas is that of write_gallery. Raises UserError if there are fewer than
    two images, or as read_labels and join_labels do.
    """
    table = read_labels(labels) if labels else None  # first: its errors are found at once
    found = list_images(images, outputs)
    files = sample(found, limit, seed)
    if len(files) < 2:
        raise UserError(
            f"data.images={images} holds {len(files)} images, but at least 2 are needed; supported"
            f" suffixes: {' '.join(sorted(supported_suffixes()))}"
        )
    folders = [file.split("/")[0] if "/" in file else "" for file in files]
    works = pd.DataFrame({"image_id": files, "file": files, "folder": folders}, dtype=object)
    normalize(works, ["folder"])
    if table is not None and labels is not None:
        works = join_labels(works, table, FileNames(found, images), labels)
    if "title" not in works and "title_slug" in works:
        works["title"] = works["title_slug"]
    selection = {
        "images": str(images.resolve()),
        "labels": str(labels.resolve()) if labels else None,
        "limit": limit,
        "seed": seed if limit else None,
    }
    works = with_file_facts(works, images)
    return write_gallery("folder", images.resolve(), works, selection, outputs, escape_formulas)


def list_images(folder: Path, outputs: Path | None = None) -> list[str]:
    """Return the image files below a folder as find_images does, by supported_suffixes."""
    return find_images(folder, supported_suffixes(), outputs)


def supported_suffixes() -> set[str]:
    """Return the suffixes of the formats that can be read, also by plugins that are installed."""
    present = [name for name in PLUGIN_SUFFIXES if find_spec(name) is not None]
    return SUFFIXES.union(*(PLUGIN_SUFFIXES[name] for name in present))
