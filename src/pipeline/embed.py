"""Embedding: a gallery through the network, one row an image, kept in folders that say how.

outputs/embeddings/<gallery>/<backbone>-<fingerprint>/<layer>/ holds features.npy (n, d) float32,
image_names.npy and sha256.npy (n,), skipped.csv and options.yaml. One pass writes all layers; their
folders appear whole, and until then their rows are kept in a folder .part to go on from.
"""

import hashlib
import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from src.checks import UserError
from src.config import Config
from src.files import alone
from src.gallery import Gallery
from src.launch import check_accelerator
from src.layers import joined_layers, written_layers
from src.presets import cached_preset, weights_id
from src.reuse import NAMES, OPTIONS, SKIPPED, join_layers
from src.spread import ALONE, World
from src.transforms import Transform, transform
from src.unfinished import FEATURES

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Embeddings:
    """Row i of features is image i of gallery, which has only the images that could be read."""

    folder: Path
    gallery: Gallery
    features: NDArray[np.float32]  # (n, d), a memory map
    facts: dict[str, Any]  # for metrics.json


def embed(gallery: Gallery, cfg: Config, world: World = ALONE) -> Embeddings:
    """Return the gallery's embeddings: those on disk of the same images and options, or new ones.

    Whoever else wants rows of the same images and options waits meanwhile, and finds them made.
    Several processes share out the images; all of them get all rows.
    """
    check_accelerator(cfg.trainer)
    preset = cached_preset(cfg.backbone, Path(cfg.outputs, "embeddings", "presets"))
    layers, written = joined_layers(cfg.backbone, preset), written_layers(cfg.backbone, preset)
    prepare = transform(preset, cfg.data)
    options = _options(gallery, cfg, prepare)
    parent = Path(cfg.outputs, "embeddings", gallery.name, _name(cfg, options))
    folder = parent / "+".join(layers)

    def extract(missing: list[str]) -> dict[str, Any]:
        """Embed the missing layers in one pass; return how it went."""
        from src.one_pass import OnePass  # and Lightning: a run whose rows are cached needs neither

        return OnePass(gallery, cfg, prepare, options, parent, world).make(missing)

    there = world.from_first(folder.is_dir)
    facts = {} if there else _make(folder, layers, written, options, extract, world)
    embeddings = _read(folder, gallery, options | {"layer": folder.name})
    left_out = len(gallery) - len(embeddings.gallery)
    if not facts:
        log.info("embedding: nothing to do, the rows are in %s", folder)
        if left_out:
            log.warning("%d images could not be read then: %s", left_out, folder / SKIPPED)
    embeddings.facts.update(
        {
            "weights": options["weights"],
            "precision": options["precision"],
            "reused_embeddings": not facts,
            "processes": world.size,
            "images": len(embeddings.gallery),
            "skipped": left_out,
        }
        | facts
    )
    return embeddings


def _name(cfg: Config, options: dict[str, Any]) -> str:
    """Return the name of the folder of all layers: the backbone, and a hash of the options."""
    digest = hashlib.sha256(repr(options).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{cfg.backbone.name.replace('/', '-')}-{digest}"


def _make(
    folder: Path,
    layers: list[str],
    written: list[str],
    options: dict[str, Any],
    extract: Callable[[list[str]], dict[str, Any]],
    world: World,
) -> dict[str, Any]:
    """Leave folder, of these layers joined, and those of all that are written in the same pass.

    Returns the facts of the pass, none where another process has made the layers meanwhile.
    """
    parent, facts = folder.parent, dict[str, Any]()
    with ExitStack() as lock:
        if world.first:
            lock.enter_context(alone(parent))
        missing = world.from_first(lambda: [a for a in written if not (parent / a).is_dir()])
        if set(missing) & set(layers):
            facts = extract(missing)
        world.from_first(lambda: _join(folder, [parent / layer for layer in layers], options))
    return facts


def _join(folder: Path, layers: list[Path], options: dict[str, Any]) -> None:
    if not folder.is_dir():
        join_layers(layers, folder, options | {"layer": folder.name})


def _options(gallery: Gallery, cfg: Config, prepare: Transform) -> dict[str, Any]:
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


def _read(folder: Path, gallery: Gallery, options: dict[str, Any]) -> Embeddings:
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
    return Embeddings(folder, gallery.narrowed(rows), features, {})
