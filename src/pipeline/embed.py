"""Embed a gallery: one feature row per image, cached in folders that record their options.

outputs/embeddings/<gallery>/<backbone>-<hash>/<layer>/ holds features.npy (n, d) float32,
image_names.npy and sha256.npy (n,), skipped.csv and options.yaml. One pass writes all layers.
Their folders appear when complete; until then the rows are in a .part folder, from which a pass
resumes.
"""

import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.config import Config
from src.embedding.cache import (
    EmbeddingRequest,
    Embeddings,
    Facts,
    embedding_request,
    read_rows,
    row_options,
)
from src.embedding.joining import LayerJoin, join_layers
from src.embedding.layers import layer_join, name_layers, written_layers
from src.embedding.outdated import is_outdated, update
from src.embedding.presets import cached_preset
from src.embedding.row_files import SKIPPED
from src.embedding.transforms import transform
from src.gallery import Gallery
from src.io.files import folder_lock
from src.io.outputs import Outputs
from src.runtime.launch import check_accelerator
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup

log = logging.getLogger(__name__)


def embed(gallery: Gallery, cfg: Config, processes: ProcessGroup = SINGLE_PROCESS) -> Embeddings:
    """Return the embeddings of gallery: the cached ones of these images and options, or new ones.

    A file lock makes concurrent runs wait and reuse the result. Several processes share the images;
    each returns all rows. Raises UserError if the device, the weights or a layer does not exist, if
    no image can be read, if layers cannot be whitened, or if cached files are damaged.
    """
    check_accelerator(cfg.trainer)
    cfg, preset = with_named_layers(cfg), cached_preset(cfg.backbone, _presets(cfg))
    join, written = layer_join(cfg.backbone, preset), written_layers(cfg.backbone, preset)
    request = embedding_request(gallery, cfg, transform(preset, cfg.data))
    pass_facts = _compute_missing(request, join, written, cfg, processes)
    folder = request.folder / join.folder
    features, readable = read_rows(request, join)
    skipped = len(gallery) - len(readable)
    if not pass_facts:
        log.info("embedding: using cached features in %s", folder)
        if skipped:
            log.warning(
                "%d images were skipped because they cannot be read: see %s",
                skipped,
                folder / SKIPPED,
            )
    facts: Facts = {
        "weights": request.options["weights"],
        "precision": request.options["precision"],
        "reused_embeddings": not pass_facts,
        "processes": processes.world_size,
        "images": len(readable),
        "skipped": skipped,
    }
    return Embeddings(folder, readable, features, facts | pass_facts)


def with_named_layers(cfg: Config) -> Config:
    """Return the options with the names of layers in place of depths."""
    preset = cached_preset(cfg.backbone, _presets(cfg))
    return replace(cfg, backbone=name_layers(cfg.backbone, preset, _presets(cfg)))


def feature_options(cfg: Config) -> dict[str, Any]:
    """Return what features depend on besides the images, as in options.yaml.

    The layers in cfg have names, not depths.
    """
    preset = cached_preset(cfg.backbone, _presets(cfg))
    join = layer_join(cfg.backbone, preset)
    return row_options(cfg, transform(preset, cfg.data)) | join.record


def _presets(cfg: Config) -> Path:
    return Outputs(Path(cfg.outputs)).presets


def _compute_missing(
    request: EmbeddingRequest,
    join: LayerJoin,
    written: list[str],
    cfg: Config,
    processes: ProcessGroup,
) -> Facts:
    """Compute the layers of `written` that are missing in one pass, and join those of `join`.

    Return the facts of the pass, none if another run was faster. Do nothing if the joined rows are
    cached.
    """
    folder, facts = request.folder / join.folder, Facts()
    with ExitStack() as stack:

        def lock_if_missing() -> list[str] | None:
            """Lock the folder and return the layers to compute, None if the rows are cached."""
            if folder.is_dir() and not is_outdated(folder):
                return None
            stack.enter_context(folder_lock(request.folder))
            update(request.folder, lambda: request.decoded_anew)
            return [layer for layer in written if not (request.folder / layer).is_dir()]

        missing = processes.broadcast_from_rank_zero(lock_if_missing)
        if missing is None:
            return facts
        if set(missing) & set(join.layers):
            from src.embedding.extraction import extract  # imports Lightning, which takes seconds

            facts = extract(request, missing, cfg, processes)
        processes.broadcast_from_rank_zero(
            lambda: join_layers(join, request.folder, request.options)
        )
    return facts
