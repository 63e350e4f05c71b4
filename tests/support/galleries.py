"""Folders of small images and their galleries."""

import os
from pathlib import Path

from PIL import Image

from src.gallery import Gallery
from src.gallery.folder import folder_gallery


def make_images(folder: Path, *files: str) -> Path:
    """Draw small PNGs with these names below folder, 4, 5, ... pixels wide; return folder."""
    for number, file in enumerate(files):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4 + number, 3), (number, 0, 0)).save(folder / file, "PNG")
    return folder


def listed(folder: Path, limit: int | None = None, seed: int = 0) -> Gallery:
    """Return the gallery of a folder; its files are in outputs beside the folder."""
    return folder_gallery(folder, None, limit, seed, folder.parent / "outputs")


def labeled(folder: Path, text: str) -> Gallery:
    """Return the gallery of a folder with labels from a table of this text."""
    table = folder.parent / "labels.csv"
    table.write_bytes(os.fsencode(text))
    return folder_gallery(folder, table, None, 0, folder.parent / "outputs")


def column(gallery: Gallery, name: str) -> list[str]:
    """Return the values of a column of works.csv."""
    return list(gallery.works[name])
