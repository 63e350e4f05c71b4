"""Rows that no network has to make: from folders of other galleries, and from joined layers."""

import hashlib
import logging
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from src.config import Config
from src.embedding.presets import weights_id
from src.embedding.transforms import Transform
from src.embedding.unfinished import FEATURES, DoneRows
from src.errors import UserError
from src.gallery import Gallery
from src.io.files import atomic_write, create_npy, temporary_name

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
        with atomic_write(folder / name) as part, part.open("wb") as file:
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
        finished = DoneRows(folder.parent)
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
    made = temporary_name(folder)
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


@dataclass(frozen=True)
class Embeddings:
    """Row i of features is image i of gallery, which has only the images that could be read."""

    folder: Path
    gallery: Gallery
    features: NDArray[np.float32]  # (n, d), a memory map
    facts: dict[str, Any]  # for metrics.json


def fingerprint_options(gallery: Gallery, cfg: Config, prepare: Transform) -> dict[str, Any]:
    """Return what the rows depend on: the images in order, and all that makes numbers of them."""
    images = hashlib.sha256()
    for image, checksum in zip(gallery.works["image_id"], gallery.works["sha256"], strict=True):
        images.update(f"{image}\0{checksum}\0".encode("utf-8", "surrogateescape"))
    pooling = cfg.backbone.pooling.name
    return {
        "backbone": cfg.backbone.name,
        "weights": weights_id(cfg.backbone, cfg.seed),
        "transform": repr(prepare),
        "max_pixels": cfg.data.max_pixels,
        "pooling": f"gem {cfg.backbone.gem_p}" if pooling == "gem" else pooling,
        "precision": cfg.trainer.precision.name,
        "images": images.hexdigest(),
    }


def read_embeddings(folder: Path, gallery: Gallery, options: dict[str, Any]) -> Embeddings:
    """Open a folder of embeddings. Raises UserError when it was made with other options."""
    if not (folder / OPTIONS).is_file():
        raise UserError(f"{folder} has no options.yaml: is backbone.layer right? Or delete it")
    made = yaml.safe_load((folder / OPTIONS).read_text()) or {}
    for name in made.keys() | options.keys():
        if made.get(name) != options.get(name):
            raise UserError(
                f"{folder} was made with {name}={made.get(name)}, wanted is {options.get(name)}:"
                " delete that folder"
            )
    features = np.load(folder / FEATURES, mmap_mode="c")
    row_of = {file: row for row, file in enumerate(gallery.files)}
    rows = np.array([row_of[file] for file in np.load(folder / NAMES)])
    if len(rows) != len(features):
        raise UserError(
            f"{folder} holds {len(features)} rows for {len(rows)} images: delete that folder"
        )
    return Embeddings(folder, gallery.subset(rows), features, {})
