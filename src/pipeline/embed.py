"""Embed a gallery: one feature row per image, cached in folders that record their options.

outputs/embeddings/<gallery>/<backbone>-<hash>/<layer>/ holds features.npy (n, d) float32,
image_names.npy and sha256.npy (n,), skipped.csv and options.yaml. One pass writes all layers, and
all poolings, each of which has a hash of its own. Their folders appear when complete; until then
the rows are in .part folders, from which a pass resumes.
"""

import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.config import Config
from src.config.enums import Pooling
from src.config.features import Features
from src.config.names import Swept
from src.embedding.cache import (
    EmbeddingRequest,
    Embeddings,
    Facts,
    embedding_request,
    read_rows,
    row_options,
)
from src.embedding.joining import LayerJoin, join_layers
from src.embedding.layers import (
    layer_join,
    name_layers,
    other_layers,
    required_layers,
    written_layers,
)
from src.embedding.outdated import is_outdated, update
from src.embedding.pooling import Output
from src.embedding.presets import cached_preset
from src.embedding.row_files import SKIPPED
from src.embedding.transforms import Preset, transform
from src.gallery import Gallery
from src.io.files import folder_lock
from src.io.outputs import Outputs
from src.runtime.launch import check_accelerator
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup

log = logging.getLogger(__name__)


def embed(
    gallery: Gallery,
    cfg: Config,
    processes: ProcessGroup = SINGLE_PROCESS,
    swept: Swept | None = None,
) -> Embeddings:
    """Return the embeddings of gallery: the cached ones of these images and options, or new ones.

    Own vectors are only converted. A pass also writes what the other jobs of a sweep ask for. A
    file lock makes concurrent runs wait and reuse the result. Several processes share the images;
    each returns all rows. Raises UserError if the device, the weights or a layer does not exist, if
    no image can be read, if layers cannot be whitened, or if cached files are damaged.
    """
    check_accelerator(cfg.trainer)
    if isinstance(cfg.data, Features):
        from src.embedding.own_vectors import own_vectors

        return own_vectors(gallery, Path(cfg.data.features), Path(cfg.outputs), processes)
    cfg, preset = with_named_layers(cfg), cached_preset(cfg.backbone, _presets(cfg))
    join, (layers, poolings) = layer_join(cfg.backbone, preset), _written(cfg, preset, swept or {})
    fitted = transform(preset, cfg.data)
    requests = [embedding_request(gallery, pooled_by(cfg, each), fitted) for each in poolings]
    request = requests[0]
    outputs = [output for each in requests for output in each.outputs(layers)]
    optional = {*outputs} - _required(cfg, preset)
    pass_facts = _compute_missing(requests, join, outputs, optional, cfg, processes)
    folder = request.folder / join.folder
    features, readable = read_rows(request, join)
    skipped = len(gallery) - len(readable)
    if not pass_facts:
        _log_cached(folder, skipped)
    facts: Facts = {
        "weights": request.options["weights"],
        "precision": request.options["precision"],
        "reused_embeddings": not pass_facts,
        "processes": processes.world_size,
        "images": len(readable),
        "skipped": skipped,
    }
    return Embeddings(folder, readable, features, facts | pass_facts)


def _log_cached(folder: Path, skipped: int) -> None:
    log.info("embedding: using cached features in %s", folder)
    if skipped:
        log.warning(
            "%d images were skipped because they cannot be read: see %s", skipped, folder / SKIPPED
        )


def with_named_layers(cfg: Config) -> Config:
    """Return the options with the names of layers in place of depths; vectors have none."""
    if cfg.backbone.is_vectors:
        return cfg
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


def pooled_by(cfg: Config, pooling: Pooling) -> Config:
    """Return the options with another pooling."""
    return replace(cfg, backbone=replace(cfg.backbone, pooling=pooling))


def _written(cfg: Config, preset: Preset, swept: Swept) -> tuple[list[str], list[Pooling]]:
    """Return the layers and the poolings that a pass writes; that of this run is the first."""
    backbone = cfg.backbone
    others = other_layers(backbone, preset, swept.get("backbone.layer", ()), _presets(cfg))
    named = [*(backbone.poolings or []), *swept.get("backbone.pooling", ())]
    poolings = [Pooling[name] for name in named if name in Pooling.__members__]
    layers = dict.fromkeys([*written_layers(backbone, preset), *others])
    return list(layers), list(dict.fromkeys([backbone.pooling, *poolings]))


def _required(cfg: Config, preset: Preset) -> set[Output]:
    """Return the outputs that the options name, without which a pass fails."""
    poolings = [cfg.backbone.pooling, *(Pooling[name] for name in cfg.backbone.poolings or [])]
    return {
        Output(layer, pooling)
        for layer in required_layers(cfg.backbone, preset)
        for pooling in poolings
    }


def _compute_missing(
    requests: list[EmbeddingRequest],
    join: LayerJoin,
    outputs: list[Output],
    optional: set[Output],
    cfg: Config,
    processes: ProcessGroup,
) -> Facts:
    """Compute those of `outputs` that are missing in one pass, and join the layers of `join`.

    There is a request for each pooling, the first of which is joined. Return the facts of the pass,
    none if another run was faster. Do nothing if the joined rows are cached.
    """
    request, folder, facts = requests[0], requests[0].folder / join.folder, Facts()
    folder_of = {each.pooling: each.folder for each in requests}
    with ExitStack() as stack:

        def lock_if_missing() -> list[Output] | None:
            """Lock the folders and return what to compute, None if the rows are cached."""
            if folder.is_dir() and not is_outdated(folder):
                return None
            for each in sorted(requests, key=lambda each: each.folder):  # as other processes do
                stack.enter_context(folder_lock(each.folder))
                update(each.folder, lambda: request.decoded_anew)
            return [o for o in outputs if not (folder_of[o.pooling] / o.layer).is_dir()]

        missing = processes.broadcast_from_rank_zero(lock_if_missing)
        if missing is None:
            return facts
        if {*missing} & {*request.outputs(join.layers)}:
            from src.embedding.extraction import extract  # imports Lightning, which takes seconds

            facts = extract(requests, missing, optional, cfg, processes)
        processes.broadcast_from_rank_zero(
            lambda: join_layers(join, request.folder, request.options)
        )
    return facts
