"""The cache of feature rows: which rows are requested, their folders, and what is in them.

Imports no torch, so that a run whose rows are cached does not load the network's libraries.
"""

import glob
import hashlib
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
from src.embedding.outdated import DECODER, rows_decoded_anew
from src.embedding.pooling import Output, pooling_fingerprint
from src.embedding.presets import weights_id
from src.embedding.row_files import FEATURES, NAMES, OPTIONS, read_options, read_texts
from src.embedding.transforms import Transform
from src.errors import UserError
from src.gallery import Gallery
from src.io.arrays import view_npy
from src.io.outputs import Outputs


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


def same_layer(folder: Path) -> tuple[Path, ...]:
    """Return the folders of other rows of this layer by the same backbone, in all galleries."""
    backbone = glob.escape(folder.parent.name.rpartition("-")[0])
    found = folder.parents[2].glob(f"*/{backbone}-*/{glob.escape(folder.name)}")
    return tuple(sorted({*found} - {folder}))
