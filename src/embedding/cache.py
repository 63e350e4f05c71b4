"""The cache of feature rows: its folders, and rows copied from other galleries.

Imports no torch, so that a run whose rows are cached does not load the network's libraries.
"""

import glob
import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from src.config import Config
from src.config.enums import Pooling
from src.embedding.joining import LayerJoin
from src.embedding.outdated import DECODER, EARLIER, is_outdated, rows_decoded_anew
from src.embedding.pooling import Output, pooling_fingerprint
from src.embedding.presets import weights_id
from src.embedding.row_files import (
    CHECKSUMS,
    CHUNK,
    FEATURES,
    NAMES,
    OPTIONS,
    DoneRows,
    read_options,
    read_texts,
)
from src.embedding.transforms import Transform
from src.errors import UserError
from src.gallery import Gallery
from src.io.arrays import map_npy, view_npy
from src.io.outputs import Outputs
from src.runtime.progress import progress

log = logging.getLogger(__name__)


class Facts(TypedDict, total=False):
    """How the embeddings were computed, for metrics.json."""

    weights: str
    precision: str  # trainer.precision; absent for one's own vectors
    vectors: str  # SHA-256 of the file of one's own vectors, absent for those of a network
    reused_embeddings: bool  # all rows were cached
    processes: int
    images: int  # that could be read
    skipped: int  # images that could not be read
    resumed_rows: int  # done before by an interrupted pass; absent if all rows were cached
    copied_rows: int  # copied from other galleries; absent if all rows were cached
    embed_seconds: float  # without compiling; from here on absent if no row was left to embed
    compiler: str | None
    compile_seconds: float
    waiting_for_data: float  # share of embed_seconds, from 0 to 1
    device: str
    idle_gpu: bool  # the machine has a GPU that is not used
    embedded_rows: int
    images_per_second: float  # of all processes together


@dataclass(frozen=True)
class Embeddings:
    """Row i of features is image i of gallery, which has only the images that could be read."""

    folder: Path
    gallery: Gallery
    features: NDArray[np.float32]  # (n, d), a memory map
    facts: Facts


@dataclass(frozen=True)
class EmbeddingRequest:
    """Requested rows: their images, how they are computed, and where they are cached."""

    gallery: Gallery
    transform: Transform
    pooling: Pooling
    options: dict[str, Any]  # all that the rows depend on except the layer, as in options.yaml
    folder: Path  # outputs/embeddings/<gallery>/<backbone>-<hash of options>, of all layers

    def outputs(self, layers: Iterable[str]) -> list[Output]:
        """Return these layers, pooled in the way of this request."""
        return [Output(layer, self.pooling) for layer in layers]

    @cached_property
    def decoded_anew(self) -> frozenset[int]:
        """Return the rows whose files are decoded differently than by an earlier version."""
        return rows_decoded_anew(self.gallery)


def embedding_request(gallery: Gallery, cfg: Config, transform: Transform) -> EmbeddingRequest:
    """Return the request for the rows of gallery that cfg asks for."""
    options = fingerprint_options(gallery, cfg, transform)
    # another text would embed every gallery again, so the number of the decoder is not in it
    digest = hashlib.sha256(repr(options).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    name = f"{cfg.backbone.name.replace('/', '-')}-{digest}"
    folder = Outputs(Path(cfg.outputs)).embeddings / gallery.name / name
    options |= {"decoder": DECODER}
    return EmbeddingRequest(gallery, transform, cfg.backbone.pooling, options, folder)


def fingerprint_options(gallery: Gallery, cfg: Config, transform: Transform) -> dict[str, Any]:
    """Return what the rows depend on: the images in order, and how the rows are computed."""
    images = hashlib.sha256()
    for image, checksum in zip(gallery.works["image_id"], gallery.works["sha256"], strict=True):
        images.update(f"{image}\0{checksum}\0".encode("utf-8", "surrogateescape"))
    return row_options(cfg, transform) | {"images": images.hexdigest()}


def row_options(cfg: Config, transform: Transform) -> dict[str, Any]:
    """Return how a row is computed from an image, as in options.yaml."""
    return {
        "backbone": cfg.backbone.name,
        "weights": weights_id(cfg.backbone, cfg.seed),
        "transform": transform.fingerprint(),
        "max_pixels": cfg.data.max_pixels,
        "pooling": pooling_fingerprint(cfg.backbone),
        "precision": cfg.trainer.precision.name,
    }


def read_rows(request: EmbeddingRequest, join: LayerJoin) -> tuple[NDArray[np.float32], Gallery]:
    """Open the cached rows of a layer or a join: (n, d) float32, a memory map, and the n images.

    Raises UserError if the folder was made with other options, or is damaged.
    """
    folder, gallery = request.folder / join.folder, request.gallery
    for name in (OPTIONS, FEATURES, NAMES):
        if not (folder / name).is_file():
            raise UserError(
                f"{folder} has no {name}: check backbone.layer={join.record['layer']}, or delete"
                " that folder"
            )
    saved = read_options(folder)
    options = request.options | join.record
    for name in saved.keys() | options.keys():
        if saved.get(name) != options.get(name):
            raise UserError(
                f"{folder} was made with {name}={saved.get(name)}, but this run has"
                f" {name}={options.get(name)}: delete that folder"
            )
    features = view_npy(folder / FEATURES, "c")
    row_of = {file: row for row, file in enumerate(gallery.files)}
    rows = np.array([row_of.get(name, -1) for name in read_texts(folder / NAMES)])
    if (rows < 0).any():
        raise UserError(f"{folder} has rows of files that are not listed: delete that folder")
    if len(rows) != len(features):
        raise UserError(
            f"{folder} holds {len(features)} rows for {len(rows)} images: delete that folder"
        )
    return features, gallery.subset(rows)


def copy_rows(request: EmbeddingRequest, folder: Path, layers: list[str]) -> list[int]:
    """Copy rows of the same images and options, by checksum, from other galleries to folder.

    folder holds a features.npy for each of layers. Rows come from finished and unfinished folders
    of the same backbone; a damaged one is warned of. Return the rows that were copied, ascending.
    """
    checksums = request.gallery.works["sha256"]
    missing = {row for row, checksum in enumerate(checksums) if checksum}
    copied: list[int] = []
    for source in _sources(request.folder):
        if source == folder or not missing:
            continue
        try:
            rows = _copy_from(source, request, folder, layers, missing)
        except FileNotFoundError:  # another process has just finished that pass
            continue
        except UserError as error:  # those rows are embedded again
            log.warning("embedding: no rows of another gallery are reused: %s", error)
            continue
        missing -= set(rows)
        copied += rows
    return sorted(copied)


def _copy_from(
    source: Path, request: EmbeddingRequest, folder: Path, layers: list[str], missing: set[int]
) -> list[int]:
    """Copy those of the missing rows that source has in all layers, and return them, ascending.

    Raises UserError if a file of source is damaged.
    """
    if not all(_has_options(source / layer, request.options) for layer in layers):
        return []
    checksums = list(request.gallery.works["sha256"])
    old_rows = [_row_by_checksum(source / layer) for layer in layers]
    rows = sorted(row for row in missing if all(checksums[row] in old for old in old_rows))
    if any(is_outdated(source / layer) for layer in layers):
        rows = [row for row in rows if row not in request.decoded_anew]
    for layer, old in zip(layers, old_rows, strict=True):
        old_of = [old[checksums[row]] for row in rows]
        _copy(source / layer, old_of, folder / layer, rows)
    return rows


def _sources(folder: Path) -> list[Path]:
    """Return the folders of the same backbone in all galleries, then their unfinished passes.

    Each is followed by the folder of its layers that an earlier decoder made.
    """
    backbone = folder.name.rpartition("-")[0]
    folders = sorted(folder.parent.parent.glob(f"*/{backbone}-*"))
    finished = [path for folder in folders for path in (folder, folder / EARLIER)]
    return [*finished, *(part for folder in folders for part in sorted(folder.glob("*.part")))]


def same_layer(folder: Path) -> tuple[Path, ...]:
    """Return the folders of other rows of this layer by the same backbone, in all galleries."""
    backbone = glob.escape(folder.parent.name.rpartition("-")[0])
    found = folder.parents[2].glob(f"*/{backbone}-*/{glob.escape(folder.name)}")
    return tuple(sorted({*found} - {folder}))


def _has_options(folder: Path, options: dict[str, Any]) -> bool:
    """Return whether the rows in folder were made with options.

    They may be those of other images, of any layer and of an earlier decoder.
    """
    if not all((folder / name).is_file() for name in (OPTIONS, CHECKSUMS, FEATURES)):
        return False
    saved = read_options(folder)
    free = dict.fromkeys(("images", "layer", "decoder"))
    return saved | free == options | free


def _row_by_checksum(folder: Path) -> dict[str, int]:
    """Return the row of each image in folder; in an unfinished pass, the rows that are done."""
    checksums: list[str] = read_texts(folder / CHECKSUMS)
    rows = set(range(len(checksums)))
    if folder.parent.suffix == ".part":
        done = DoneRows(folder.parent)
        rows &= done.rows - done.unreadable.keys()
    return {checksums[row]: row for row in rows if checksums[row]}


def _copy(source: Path, source_rows: list[int], target: Path, rows: list[int]) -> None:
    old = view_npy(source / FEATURES)
    new = map_npy(target / FEATURES)  # its space on disk is reserved
    starts = range(0, len(rows), CHUNK)
    for start in progress(starts, "copying rows", len(starts)):
        chunk = slice(start, start + CHUNK)
        new[rows[chunk]] = old[source_rows[chunk]]
    new.flush()
