"""Embedding: a gallery through the network, one row an image, kept in folders that say how.

outputs/embeddings/<gallery>/<backbone>-<fingerprint>/<layer>/ holds features.npy (n, d) float32,
image_names.npy and sha256.npy (n,), skipped.csv and options.yaml. One pass writes all layers; their
folders appear whole, and until then their rows are kept in a folder .part to go on from.
"""

import hashlib
import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from src.config import Config
from src.embedding.cache import (
    SKIPPED,
    Embeddings,
    fingerprint_options,
    join_layers,
    read_embeddings,
)
from src.embedding.layers import joined_layers, written_layers
from src.embedding.presets import cached_preset
from src.embedding.transforms import transform
from src.gallery import Gallery
from src.io.files import folder_lock
from src.runtime.launch import check_accelerator
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup

log = logging.getLogger(__name__)


def embed(gallery: Gallery, cfg: Config, processes: ProcessGroup = SINGLE_PROCESS) -> Embeddings:
    """Return the gallery's embeddings: those on disk of the same images and options, or new ones.

    Whoever else wants rows of the same images and options waits meanwhile, and finds them made.
    Several processes share out the images; all of them get all rows.
    """
    check_accelerator(cfg.trainer)
    preset = cached_preset(cfg.backbone, Path(cfg.outputs, "embeddings", "presets"))
    layers, written = joined_layers(cfg.backbone, preset), written_layers(cfg.backbone, preset)
    prepare = transform(preset, cfg.data)
    options = fingerprint_options(gallery, cfg, prepare)
    parent = Path(cfg.outputs, "embeddings", gallery.name, _name(cfg, options))
    folder = parent / "+".join(layers)

    def extract(missing: list[str]) -> dict[str, Any]:
        """Embed the missing layers in one pass; return how it went."""
        from src.embedding.extraction import (
            ExtractionPass,  # and Lightning: a run whose rows are cached needs neither
        )

        return ExtractionPass(gallery, cfg, prepare, options, parent, processes).make(missing)

    there = processes.broadcast_from_rank_zero(folder.is_dir)
    facts = {} if there else _make(folder, layers, written, options, extract, processes)
    embeddings = read_embeddings(folder, gallery, options | {"layer": folder.name})
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
            "processes": processes.size,
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
    processes: ProcessGroup,
) -> dict[str, Any]:
    """Leave folder, of these layers joined, and those of all that are written in the same pass.

    Returns the facts of the pass, none where another process has made the layers meanwhile.
    """
    parent, facts = folder.parent, dict[str, Any]()
    with ExitStack() as lock:
        if processes.is_rank_zero:
            lock.enter_context(folder_lock(parent))
        missing = processes.broadcast_from_rank_zero(
            lambda: [a for a in written if not (parent / a).is_dir()]
        )
        if set(missing) & set(layers):
            facts = extract(missing)
        processes.broadcast_from_rank_zero(
            lambda: _join(folder, [parent / layer for layer in layers], options)
        )
    return facts


def _join(folder: Path, layers: list[Path], options: dict[str, Any]) -> None:
    if not folder.is_dir():
        join_layers(layers, folder, options | {"layer": folder.name})
