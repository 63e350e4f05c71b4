"""Rank: from embeddings to the neighbors of every image."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from src.config import Config, Similarity
from src.config.enums import Accelerator, Exclude, Postprocess, RankedBy, Storage
from src.embedding.cache import Embeddings, same_layer
from src.io.files import atomic_write
from src.pipeline.prepare import augmented, check_finite, postprocess
from src.pipeline.whiten_from import fitted_hash
from src.reporting.run_folder import RunFolder
from src.runtime.devices import device_of
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import progress
from src.similarity import Neighbors, NeighborSearch, SearchOptions
from src.similarity.csls import NEAREST, csls_penalty
from src.similarity.record import hash_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ranking:
    """The features that were compared, and the neighbors of every image."""

    features: Tensor  # (n, m), after post-processing and augmentation
    saved: Neighbors  # (n, top_k), written to the run folder
    for_metrics: Neighbors  # (n, max(top_k, evaluation.depth))
    matrix: Path | None  # the file of storage=full
    device: str  # of the comparison: cpu or cuda
    penalty: Tensor | None = None  # (n,) subtracted from an image's scores for the order, by csls
    whiten_from: str = ""  # hash of the post-processing that another run has fitted, if one has

    @property
    def matrix_bytes(self) -> int:
        """Return the size of the matrix, 0 without one, or if another run has grown it since."""
        exists = self.matrix is not None and self.matrix.is_file()
        return self.matrix.stat().st_size if self.matrix and exists else 0

    @property
    def facts(self) -> dict[str, str]:
        """Return how images were compared, for metrics.json."""
        device = {"comparison_device": self.device}
        return device | ({"whiten_from": self.whiten_from} if self.whiten_from else {})


def rank(
    embeddings: Embeddings, cfg: Config, folder: Path, processes: ProcessGroup = SINGLE_PROCESS
) -> Ranking:
    """Rank the neighbors of every image; write them to folder, and the matrix if storage=full.

    The processes share the pairs; all of them get the result, and rank 0 writes it. Raises
    UserError if a feature is not finite, or the disk is too small for the matrix.
    """
    options = cfg.similarity
    source = processes.broadcast_from_rank_zero(lambda: fitted_hash(options))
    matrix = matrix_path(embeddings, options, source)
    device = comparison_device(cfg.trainer.accelerator, processes)
    search = open_search(embeddings, options, device, matrix, folder, processes)
    penalty = None
    if options.ranking is RankedBy.csls:
        penalty = csls_penalties(search, embeddings.folder)
        log.info("similarity: ordering by csls: all images are compared, not only new ones")
    deep = search.nearest(min(max(options.top_k, cfg.evaluation.depth), search.max_k), penalty)
    if deep.fallback_share:
        log.info("similarity: searched %.2f%% of rows exhaustively", 100 * deep.fallback_share)
    k = options.top_k
    top = Neighbors(deep.index[:, :k], deep.score[:, :k], deep.fallback_share)
    if processes.is_rank_zero:
        RunFolder(folder).write_neighbors(top.index, top.score, embeddings.gallery.files)
        if penalty is not None:
            RunFolder(folder).write_penalty(penalty.numpy())
    return Ranking(search.rows, top, deep, matrix, torch.device(device).type, penalty, source)


def open_search(
    embeddings: Embeddings,
    options: Similarity,
    device: str,
    matrix: Path | None,
    folder: Path,
    processes: ProcessGroup,
) -> NeighborSearch:
    """Return the search among the features as they are compared: post-processed and augmented.

    What queries need for that is written to folder. Raises UserError as rank does.
    """
    groups = embeddings.gallery.exclusion_groups(options)
    features = postprocess(embeddings, options, folder, processes)
    processes.broadcast_from_rank_zero(lambda: check_finite(features, embeddings.gallery.files))
    cache, shown = embeddings.folder, processes.is_rank_zero
    if options.augment:
        settings = search_options(options, device, None, cache, shown)
        # not kept in a variable: its copy of the features would stay in memory
        features = augmented(
            NeighborSearch(features, groups, settings, processes), options.augment, folder
        )
    log.info("similarity: comparing %d images, %d numbers each, on %s", *features.shape, device)
    settings = search_options(options, device, matrix, cache, shown)
    return NeighborSearch(features, groups, settings, processes)


def search_options(
    options: Similarity, device: str, matrix: Path | None, cache: Path, shown: bool
) -> SearchOptions:
    """Return the options of a search on device; shown: whether progress bars are printed.

    cache is the folder of the features, beside which checkpoints and lists of neighbors are kept.
    """
    return SearchOptions(
        block_size=options.block,
        device=device,
        precision=options.precision.value,
        matrix=matrix,
        dtype=options.dtype.value,
        checkpoints=cache,
        lists=cache,
        earlier=same_layer(cache),
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


def matrix_path(embeddings: Embeddings, options: Similarity, source: str = "") -> Path | None:
    """Return the path of the matrix of these features, beside them; None unless storage=full.

    source is what fitted_hash returns.
    """
    if options.storage is not Storage.full:
        return None
    name = "similarity_scores"
    if options.postprocess is Postprocess.center:
        name += f"-center{source and f'-from-{source}'}"
    if options.postprocess is Postprocess.whiten:
        fitted = f"from-{source}" if source else f"{options.whiten_power:g}"
        name += f"-whiten-{fitted}-{options.whiten_dim or 'all'}"
    if options.augment:
        name += f"-augment-{options.augment}"
        if options.exclude is not Exclude.none:  # an image's own group is not added to it
            groups = torch.from_numpy(embeddings.gallery.exclusion_groups(options))
            name += f"-{options.exclude.name}-{hash_of(groups)}"
    if options.dtype.value != "float32":
        name += f"-{options.dtype.value}"
    return embeddings.folder / f"{name}.npy"
