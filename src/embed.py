"""Embedding: a gallery through the network, one row an image, kept in a folder that says how.

outputs/embeddings/<gallery>/<backbone>-<fingerprint>/<layer>/ holds features.npy (n, d) float32,
image_names.npy (n,), skipped.csv and options.yaml. The folder appears whole or not at all.
"""

import csv
import hashlib
import logging
import shutil
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import lightning as L
import numpy as np
import torch
import yaml
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from numpy.typing import NDArray

from src.backbone import Backbone, load_backbone, transform, weights_id
from src.checks import UserError
from src.config import Config
from src.data import GalleryDataModule
from src.files import part_of
from src.gallery import Gallery
from src.launch import OVER_GLOO, check_accelerator, placement
from src.rows import RowWriter, create_rows, keep_rows
from src.spread import ALONE, World

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Embeddings:
    """Row i of features is image i of gallery, which has only the images that could be read."""

    folder: Path
    gallery: Gallery
    features: NDArray[np.float32]  # (n, d), a memory map
    facts: dict[str, Any]  # for metrics.json


def embed(gallery: Gallery, cfg: Config, world: World = ALONE) -> Embeddings:
    """The gallery's embeddings: those on disk of the same images and options, else made now.

    Several processes share out the images; all of them get all rows.
    """
    check_accelerator(cfg.trainer.accelerator)
    options = _options(gallery, cfg)
    digest = hashlib.sha256(repr(options).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    parent = Path(cfg.outputs, "embeddings", gallery.name, f"{cfg.backbone.name}-{digest}")
    folder = parent / cfg.backbone.layer
    options["layer"] = cfg.backbone.layer
    there = world.from_first(folder.is_dir)
    facts = {
        "weights": options["weights"],
        "reused_embeddings": there,
        "processes": world.size,
    }
    if there:
        log.info("embedding: nothing to do, the rows are in %s", folder)
    else:
        facts |= _make(gallery, cfg, options, folder, world)
    embeddings = _read(folder, gallery, options)
    facts["images"] = len(embeddings.gallery)
    facts["skipped"] = len(gallery) - len(embeddings.gallery)
    embeddings.facts.update(facts)
    return embeddings


def _options(gallery: Gallery, cfg: Config) -> dict[str, Any]:
    """What the rows depend on: the images in order, and all that makes numbers of them."""
    images = hashlib.sha256()
    for image, checksum in zip(gallery.works["image_id"], gallery.works["sha256"], strict=True):
        images.update(f"{image}\0{checksum}\0".encode("utf-8", "surrogateescape"))
    pooling = cfg.backbone.pooling.name
    return {
        "backbone": cfg.backbone.name,
        "weights": weights_id(cfg.backbone, cfg.seed),
        "transform": repr(transform(cfg.backbone, cfg.data)),
        "max_pixels": cfg.data.max_pixels,
        "pooling": f"gem {cfg.backbone.gem_p}" if pooling == "gem" else pooling,
        "precision": cfg.trainer.precision.name,
        "images": images.hexdigest(),
    }


def _make(
    gallery: Gallery, cfg: Config, options: dict[str, Any], folder: Path, world: World
) -> dict[str, Any]:
    """Embed into a folder beside the final one, which it becomes at the end."""
    prepare = transform(cfg.backbone, cfg.data)
    # the first fetches the weights
    backbone = world.in_turn(lambda: load_backbone(cfg.backbone, prepare.size, cfg.seed))
    if cfg.backbone.weights == "random":
        log.warning("the network has random weights: it has learned nothing")
    images = GalleryDataModule(gallery, prepare, cfg.data, cfg.trainer.devices)
    part = world.from_first(lambda: part_of(folder))
    try:
        world.from_first(lambda: create_rows(part / "features.npy", len(gallery), backbone.dim))
        with RowWriter(part / "features.npy", gallery.files, world) as writer:
            facts = _predict(backbone, images, writer, cfg, world)
        for others in world.gathered(writer.unreadable):
            writer.unreadable |= others
        world.from_first(lambda: _finish(part, writer, options))
        world.from_first(lambda: _move(part, folder))
    finally:
        if world.first:
            shutil.rmtree(part, ignore_errors=True)
    return facts


def _move(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process has made the same rows meanwhile
            raise


def _predict(
    backbone: Backbone, images: GalleryDataModule, writer: RowWriter, cfg: Config, world: World
) -> dict[str, Any]:
    trainer = _trainer(writer, cfg, world)
    device = trainer.strategy.root_device
    log.info(
        "embedding: %d images on %s, layer %s", len(images.dataset), device, cfg.backbone.layer
    )
    if device.type == "cpu" and torch.cuda.is_available():
        log.warning("there is a GPU, but trainer.accelerator=cpu leaves it unused")
    start = time.perf_counter()
    with warnings.catch_warnings():
        # data.workers is chosen for the machine; Lightning would always have more of them
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # Lightning 2.6 calls what torch 2.12 and later deprecate
        warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.`", FutureWarning)
        _run(trainer, backbone, images)
    seconds = time.perf_counter() - start
    return {
        "images_per_second": len(images.dataset) / seconds,
        "waiting_for_data": writer.waited / seconds,
        "device": str(device),
    }


def _run(trainer: L.Trainer, backbone: Backbone, images: GalleryDataModule) -> None:
    try:
        trainer.predict(backbone, datamodule=images, return_predictions=False)
    except SystemExit as stop:
        if stop.code == 1:  # how Lightning ends at Ctrl-C
            raise KeyboardInterrupt from stop
        raise


def _trainer(writer: RowWriter, cfg: Config, world: World) -> L.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    alone = world.size == 1
    return L.Trainer(
        **placement(cfg.trainer),
        strategy="auto" if alone else DDPStrategy(**OVER_GLOO),
        # else a lone process within a Slurm job would be taken for one of srun's
        plugins=LightningEnvironment() if alone else None,
        precision=cast(Any, cfg.trainer.precision.name),
        callbacks=[writer],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _finish(part: Path, writer: RowWriter, options: dict[str, Any]) -> None:
    """Drop the rows of unreadable images, list them, and say how it was all made."""
    kept = [row for row in range(len(writer.files)) if row not in writer.unreadable]
    skipped = [(writer.files[row], why) for row, why in sorted(writer.unreadable.items())]
    if not kept:
        raise UserError(
            f"none of the {len(skipped)} images can be read; the first: {skipped[0][0]}:"
            f" {skipped[0][1]}"
        )
    if skipped:
        log.warning("%d images cannot be read and are left out: skipped.csv", len(skipped))
        keep_rows(writer.path, kept)
    files = [writer.files[row] for row in kept]
    np.save(part / "image_names.npy", np.array(files))
    with (part / "skipped.csv").open("w", -1, "utf-8", "surrogateescape", "") as file:
        csv.writer(file).writerows([("file", "reason"), *skipped])
    (part / "options.yaml").write_text(yaml.safe_dump(options, sort_keys=False))


def _read(folder: Path, gallery: Gallery, options: dict[str, Any]) -> Embeddings:
    """Open a folder of embeddings. Raises UserError when it was made with other options."""
    if not (folder / "options.yaml").is_file():
        raise UserError(f"{folder} has no options.yaml: is backbone.layer right? Or delete it")
    made = yaml.safe_load((folder / "options.yaml").read_text()) or {}
    for name in made.keys() | options.keys():
        if made.get(name) != options.get(name):
            raise UserError(
                f"{folder} was made with {name}={made.get(name)}, wanted is {options.get(name)}:"
                " delete that folder"
            )
    features = np.load(folder / "features.npy", mmap_mode="c")
    row_of = {file: row for row, file in enumerate(gallery.files)}
    rows = np.array([row_of[file] for file in np.load(folder / "image_names.npy")])
    if len(rows) != len(features):
        raise UserError(
            f"{folder} holds {len(features)} rows for {len(rows)} images: delete that folder"
        )
    return Embeddings(folder, gallery.narrowed(rows), features, {})
