"""Rank: from embeddings to the neighbors of every image."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from src.config import Config, Similarity
from src.config.enums import Accelerator, Postprocess, RankedBy, Storage
from src.embedding.cache import Embeddings
from src.errors import UserError
from src.io.files import atomic_write
from src.reporting.run_folder import RunFolder
from src.runtime.devices import device_of
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import progress
from src.similarity import Neighbors, NeighborSearch, SearchOptions
from src.similarity.csls import NEAREST, csls_penalty
from src.similarity.numerics import row_norms
from src.similarity.postprocess import fit_center, fit_whiten

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ranking:
    """The features that were compared, and the neighbors of every image."""

    features: Tensor  # (n, m), after post-processing
    saved: Neighbors  # (n, top_k), written to the run folder
    for_metrics: Neighbors  # (n, max(top_k, evaluation.depth))
    matrix: Path | None  # the file of storage=full
    device: str  # of the comparison: cpu or cuda


def rank(
    embeddings: Embeddings, cfg: Config, folder: Path, processes: ProcessGroup = SINGLE_PROCESS
) -> Ranking:
    """Rank the neighbors of every image; write them to folder, and the matrix if storage=full.

    The processes share the pairs; all of them get the result, and rank 0 writes it. Raises
    UserError if a feature is not finite, or the disk is too small for the matrix.
    """
    options, groups = cfg.similarity, embeddings.gallery.exclusion_groups(cfg.similarity)
    features = postprocess(embeddings, options, folder, processes)
    matrix = matrix_path(embeddings, options)
    if matrix and matrix.exists():
        log.info("similarity: the matrix already exists: %s", matrix)
    processes.broadcast_from_rank_zero(lambda: check_finite(features, embeddings.gallery.files))
    device = comparison_device(cfg.trainer.accelerator, processes)
    log.info("similarity: comparing %d images, %d numbers each, on %s", *features.shape, device)
    settings = search_options(options, device, matrix, embeddings.folder, processes.is_rank_zero)
    search = NeighborSearch(features, groups, settings, processes)
    penalty = None
    if options.ranking is RankedBy.csls:
        penalty = csls_penalties(search, embeddings.folder)
    deep = search.nearest(min(max(options.top_k, cfg.evaluation.depth), search.max_k), penalty)
    if deep.fallback_share:
        log.info("similarity: searched %.2f%% of rows exhaustively", 100 * deep.fallback_share)
    k = options.top_k
    top = Neighbors(deep.index[:, :k], deep.score[:, :k], deep.fallback_share)
    if processes.is_rank_zero:
        RunFolder(folder).write_neighbors(top.index, top.score, embeddings.gallery.files)
        if penalty is not None:
            RunFolder(folder).write_penalty(penalty.numpy())
    return Ranking(features, top, deep, matrix, torch.device(device).type)


def search_options(
    options: Similarity, device: str, matrix: Path | None, checkpoints: Path, shown: bool
) -> SearchOptions:
    """Return the options of a search on device; shown: whether progress bars are printed."""
    return SearchOptions(
        block_size=options.block,
        device=device,
        precision=options.precision.value,
        matrix=matrix,
        dtype=options.dtype.value,
        checkpoints=checkpoints,
        watch=partial(progress, shown=shown),
    )


def comparison_device(accelerator: Accelerator, processes: ProcessGroup = SINGLE_PROCESS) -> str:
    """Return the device that compares: the one that embeds, or the CPU in place of Apple's MPS.

    MPS has no float64, which the offsets of the fast pass need; a log line says so.
    """
    device = device_of(accelerator, processes.device)
    if device.type == "mps":
        log.info("similarity: comparing on the CPU, because MPS has no float64")
        return "cpu"
    return str(device)


def csls_penalties(search: NeighborSearch, folder: Path) -> Tensor:
    """Return the penalty that csls subtracts from each image's scores, (n,) float64.

    It takes another search, so it is stored in folder for later runs of the same rows.
    """
    path = folder / f"csls-{NEAREST}-{search.features_hash}-{search.groups_hash}.npy"
    stored = search.processes.broadcast_from_rank_zero(
        lambda: np.load(path) if path.exists() else None
    )
    if stored is not None:
        return torch.from_numpy(stored)
    log.info("similarity: searching the %d nearest neighbors of each image for csls", NEAREST)
    penalty = csls_penalty(search.nearest(min(NEAREST, search.max_k), keep_tiles=True).score)
    if search.processes.is_rank_zero:
        with atomic_write(path) as part, part.open("wb") as file:
            np.save(file, penalty.numpy())
    return penalty


def check_finite(features: Tensor, files: list[str]) -> None:
    """Raise UserError if a row of features (n, d) holds NaN or infinity, naming its image."""
    bad = (~row_norms(features).isfinite()).nonzero().flatten().tolist()
    if bad:
        raise UserError(
            f"the features of {len(bad)} images hold NaN or infinity, the first is"
            f" {files[bad[0]]}: delete the folder of embeddings, or try another backbone.layer"
        )


def postprocess(
    embeddings: Embeddings,
    options: Similarity,
    folder: Path,
    processes: ProcessGroup = SINGLE_PROCESS,
) -> Tensor:
    """Return the features to compare, (n, m) float32; save the fitted transform for new queries.

    Rank 0 computes them for all: the last bit of a product may differ between machines.
    """
    features = torch.from_numpy(embeddings.features)
    if options.postprocess is Postprocess.none:
        return features
    return processes.broadcast_tensor(lambda: _postprocessed(features, options, folder))


def _postprocessed(features: Tensor, options: Similarity, folder: Path) -> Tensor:
    """Fit the transform, write it to folder, and apply it."""
    log.info("similarity: post-processing the features: %s", options.postprocess.name)
    if options.postprocess is Postprocess.center:
        fitted = fit_center(features, progress)
    else:
        fitted = fit_whiten(features, options.whiten_power, options.whiten_dim, progress)
    arrays = {"mean": fitted.mean.numpy()}
    if fitted.axes is not None:
        arrays["axes"] = fitted.axes.numpy()
    RunFolder(folder).write_postprocess(arrays)
    return fitted(features, progress)


def matrix_path(embeddings: Embeddings, options: Similarity) -> Path | None:
    """Return the path of the matrix of these features, beside them; None unless storage=full."""
    if options.storage is not Storage.full:
        return None
    name = "similarity_scores"
    if options.postprocess is Postprocess.center:
        name += "-center"
    if options.postprocess is Postprocess.whiten:
        name += f"-whiten-{options.whiten_power:g}-{options.whiten_dim or 'all'}"
    if options.dtype.value != "float32":
        name += f"-{options.dtype.value}"
    return embeddings.folder / f"{name}.npy"
