"""Rows that no network has to make: from folders of other galleries, and from joined layers."""

import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from src.checks import UserError
from src.files import create_npy, part_of, replacing
from src.gallery import Gallery
from src.unfinished import FEATURES, Finished

log = logging.getLogger(__name__)

OPTIONS, NAMES, CHECKSUMS, SKIPPED = "options.yaml", "image_names.npy", "sha256.npy", "skipped.csv"
CHUNK = 4096  # rows in memory at once


def copy_rows(
    folder: Path, layers: list[str], gallery: Gallery, options: dict[str, Any], others: list[Path]
) -> list[int]:
    """Copy the gallery's rows that others have of images with the same sha256; which they are.

    folder holds a features.npy for each layer, and so do others; of those, what was made with
    other options does not count.
    """
    checksums = list(gallery.works["sha256"])
    missing = {row for row, checksum in enumerate(checksums) if checksum}
    copied: list[int] = []
    for other in others:
        if other == folder or not missing:
            continue
        with suppress(FileNotFoundError):  # a pass that has ended meanwhile
            if all(_made_so(other / layer, options) for layer in layers):
                places = [_places(other / layer) for layer in layers]
                rows = sorted(r for r in missing if all(checksums[r] in there for there in places))
                for layer, there in zip(layers, places, strict=True):
                    old = [there[checksums[row]] for row in rows]
                    _copy(other / layer, old, folder / layer, rows)
                missing -= set(rows)
                copied += rows
    return sorted(copied)


def describe(folder: Path, options: dict[str, Any], checksums: list[str]) -> None:
    """Leave in a layer's folder what made its rows, and of what images."""
    for name, save in (
        (CHECKSUMS, lambda file: np.save(file, np.array(checksums))),
        (OPTIONS, lambda file: file.write(yaml.safe_dump(options, sort_keys=False).encode())),
    ):
        with replacing(folder / name) as part, part.open("wb") as file:
            save(file)


def _made_so(folder: Path, options: dict[str, Any]) -> bool:
    """Whether the folder holds rows made with these options, be it of other images."""
    if not all((folder / name).is_file() for name in (OPTIONS, CHECKSUMS, FEATURES)):
        return False
    made = yaml.safe_load((folder / OPTIONS).read_text()) or {}
    return made | {"images": None, "layer": None} == options | {"images": None, "layer": None}


def _places(folder: Path) -> dict[str, int]:
    """Where the row of each image is, by its checksum; in an unfinished pass, those that are."""
    checksums: list[str] = np.load(folder / CHECKSUMS).tolist()
    rows = set(range(len(checksums)))
    if folder.parent.suffix == ".part":
        finished = Finished(folder.parent)
        rows &= finished.rows - finished.unreadable.keys()
    return {checksums[row]: row for row in rows if checksums[row]}


def _copy(source: Path, places: list[int], target: Path, rows: list[int]) -> None:
    old = np.load(source / FEATURES, mmap_mode="r")
    new = np.load(target / FEATURES, mmap_mode="r+")  # its room is reserved
    for at in range(0, len(rows), CHUNK):
        new[rows[at : at + CHUNK]] = old[places[at : at + CHUNK]]
    new.flush()


def join_layers(layers: list[Path], folder: Path, options: dict[str, Any]) -> None:
    """Write to folder the rows of several layers, each of unit length, side by side.

    They are divided by the root of the number of layers, so that the whole has unit length as well;
    a row of zeros stays one. Raises UserError when the layers do not hold the same images.
    """
    parts = [np.load(layer / FEATURES, mmap_mode="r") for layer in layers]
    for other in layers[1:]:
        if (other / NAMES).read_bytes() != (layers[0] / NAMES).read_bytes():
            raise UserError(f"{other} and {layers[0]} hold different images: delete both folders")
    made = part_of(folder)
    made.mkdir(parents=True)
    try:
        with (made / FEATURES).open("w+b") as file:
            shape = (len(parts[0]), sum(part.shape[1] for part in parts))
            file.seek(create_npy(file, shape, np.float32))
            for at in range(0, len(parts[0]), CHUNK):
                units = [_unit(part[at : at + CHUNK]) for part in parts]
                file.write((np.concatenate(units, 1) / np.sqrt(len(parts))).astype("f4").tobytes())
        for name in (NAMES, SKIPPED):
            shutil.copy(layers[0] / name, made / name)
        describe(made, options, np.load(layers[0] / CHECKSUMS).tolist())
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rows (b, d) of unit length."""
    wide = rows.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    norms[norms == 0] = 1
    wide /= norms
    return wide
