"""Ranking: from embeddings to the neighbor files of a run."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.config import Config, Similarity
from src.config.enums import Accelerator, Postprocess, RankedBy, Storage
from src.embedding.cache import Embeddings
from src.errors import UserError
from src.gallery.gallery import max_neighbors
from src.io.files import atomic_write
from src.runtime.devices import device_of
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import progress
from src.similarity import Neighbors, top_k
from src.similarity.checkpoint import hash_of
from src.similarity.csls import NEAREST, csls_penalty
from src.similarity.numerics import row_norms
from src.similarity.postprocess import fit_center, fit_whiten

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ranking:
    """What was compared, and what came of it."""

    features: Tensor  # (n, m), after post-processing
    saved: Neighbors  # top_k of each image, which are saved
    for_metrics: Neighbors  # evaluation.depth of each image, for the metrics
    matrix: Path | None  # of storage=full
    device: str  # that compared: cpu or cuda


def rank(
    embeddings: Embeddings, cfg: Config, folder: Path, processes: ProcessGroup = SINGLE_PROCESS
) -> Ranking:
    """The neighbors of every image, written to folder; with storage=full the matrix as well.

    Several processes share out the pairs; all of them get the result, the first one writes it.

    Raises UserError when top_k is more than there are, or the disk too small for the matrix.
    """
    options, groups = cfg.similarity, embeddings.gallery.exclusion_groups(cfg.similarity)
    features = postprocess(embeddings, options, folder, processes)
    matrix = matrix_path(embeddings, options)
    if matrix and matrix.exists():
        log.info("similarity: the matrix is already in %s", matrix)
    processes.broadcast_from_rank_zero(lambda: check_finite(features, embeddings.gallery.files))
    device = comparison_device(cfg.trainer.accelerator, processes)
    search = partial(
        top_k,
        features,
        block_size=options.block,
        precision=options.precision.value,
        device=device,
        groups=groups,
        matrix=matrix,
        dtype=options.dtype.value,
        watch=lambda tiles: progress(
            tiles, "comparing", len(tiles), " tiles", processes.is_rank_zero
        ),
        processes=processes,
        resume=embeddings.folder,
    )
    penalty = None
    if options.ranking is RankedBy.csls:
        penalty = csls_penalties(features, groups, search, embeddings.folder, processes)
    depth = min(max(options.top_k, cfg.evaluation.depth), max_neighbors(groups))
    deep = search(depth, penalty=penalty)
    if deep.fallback_share:
        log.info("similarity: %.2f%% of rows searched again", 100 * deep.fallback_share)
    k = options.top_k
    top = Neighbors(deep.index[:, :k], deep.score[:, :k], deep.fallback_share)
    if processes.is_rank_zero:
        save(top, embeddings.gallery.files, folder)
    return Ranking(features, top, deep, matrix, torch.device(device).type)


def comparison_device(accelerator: Accelerator, processes: ProcessGroup = SINGLE_PROCESS) -> str:
    """Return the device that multiplies: the one that embeds, but the CPU in place of Apple's MPS.

    MPS has no float64, which the offsets of the fast pass need. That is said in the log.
    """
    device = device_of(accelerator, processes.device)
    if device.type == "mps":
        log.info("similarity: compared on the CPU, since MPS has no float64")
        return "cpu"
    return str(device)


def csls_penalties(
    features: Tensor,
    groups: NDArray[np.int64],
    search: Callable[[int], Neighbors],
    folder: Path,
    processes: ProcessGroup = SINGLE_PROCESS,
) -> Tensor:
    """(n,) what csls takes from each image's scores; kept in folder for other runs of these rows.

    The neighbors that it is made of cost as much again as those that are ranked by it.
    """
    path = folder / f"csls-{NEAREST}-{hash_of(features)}-{hash_of(torch.from_numpy(groups))}.npy"
    kept = processes.broadcast_from_rank_zero(lambda: np.load(path) if path.exists() else None)
    if kept is not None:
        return torch.from_numpy(kept)
    log.info("similarity: the scores of each image's %d nearest first, for csls", NEAREST)
    penalty = csls_penalty(search(min(NEAREST, max_neighbors(groups))).score)
    if processes.is_rank_zero:
        with atomic_write(path) as part, part.open("wb") as file:
            np.save(file, penalty.numpy())
    return penalty


def check_finite(features: Tensor, files: list[str]) -> None:
    """Raises UserError naming the first image whose row holds NaN or infinity."""
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
    """The features that are compared; what was fitted is saved for queries with new images.

    The first process makes them for all: the last bit of a product may differ between machines.
    """
    features = torch.from_numpy(embeddings.features)
    if options.postprocess is Postprocess.none:
        return features
    return processes.broadcast_tensor(lambda: _postprocessed(features, options, folder))


def _postprocessed(features: Tensor, options: Similarity, folder: Path) -> Tensor:
    if options.postprocess is Postprocess.center:
        fitted = fit_center(features)
    else:
        fitted = fit_whiten(features, options.whiten_power, options.whiten_dim)
    arrays = {"mean": fitted.mean.numpy()}
    if fitted.axes is not None:
        arrays["axes"] = fitted.axes.numpy()
    with atomic_write(folder / "postprocess.npz") as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return fitted(features)


def matrix_path(embeddings: Embeddings, options: Similarity) -> Path | None:
    """Where storage=full keeps the matrix of these features, beside them."""
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


def save(neighbors: Neighbors, files: list[str], folder: Path) -> None:
    """neighbors.npz (index and score) and top_<k>_similar.npy (name and score), each (n, k)."""
    index, score = neighbors.index, neighbors.score
    with atomic_write(folder / "neighbors.npz") as part, part.open("wb") as file:
        np.savez(file, index=index, score=score)
    names = np.array(files)[index]  # (n, k)
    named = np.empty(index.shape, [("name", names.dtype), ("score", np.float32)])
    named["name"], named["score"] = names, score
    with (
        atomic_write(folder / f"top_{index.shape[1]}_similar.npy") as part,
        part.open("wb") as file,
    ):
        np.save(file, named)
