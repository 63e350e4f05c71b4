"""From embeddings to the features that are compared: post-processed and augmented.

n = images, m = width after post-processing, k = neighbors of each.
"""

import logging
from pathlib import Path

import torch
from torch import Tensor

from src.config import Similarity
from src.config.enums import Postprocess
from src.embedding.cache import Embeddings
from src.errors import UserError
from src.pipeline.whiten_from import read_fitted
from src.reporting.run_folder import RunFolder
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import progress
from src.similarity import NeighborSearch
from src.similarity.augment import MAX_NEIGHBORS, augment
from src.similarity.numerics import row_norms
from src.similarity.postprocess import fit_center, fit_whiten

log = logging.getLogger(__name__)


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
    """Return the post-processed features, (n, m) float32; save the fitted transform for queries.

    Rank 0 computes them for all: the last bit of a product may differ between machines.
    """
    features = torch.from_numpy(embeddings.features)
    if options.postprocess is Postprocess.none:
        return features
    return processes.broadcast_tensor(lambda: _postprocessed(features, options, folder))


def _postprocessed(features: Tensor, options: Similarity, folder: Path) -> Tensor:
    """Fit the transform, write it to folder, and apply it."""
    log.info("similarity: post-processing the features: %s", options.postprocess.name)
    if options.whiten_from is not None:
        fitted = read_fitted(options, features.shape[1])
    elif options.postprocess is Postprocess.center:
        fitted = fit_center(features, progress)
    else:
        fitted = fit_whiten(features, options.whiten_power, options.whiten_dim, progress)
    arrays = {"mean": fitted.mean.numpy()}
    if fitted.axes is not None:
        arrays["axes"] = fitted.axes.numpy()
    RunFolder(folder).write_postprocess(arrays)
    return fitted(features, progress)


def augmented(search: NeighborSearch, k: int, folder: Path) -> Tensor:
    """Return the rows of search, each with its k nearest added, (n, m) float32.

    The nearest and the lengths of the sums are saved in folder for queries. Rank 0 computes the
    sums for all. As many nearest as an augmentation may add are searched, so that the lists that
    are kept serve later runs.
    """
    log.info("similarity: augmenting the features of each image by its %d nearest", k)
    found = search.nearest(min(MAX_NEIGHBORS, search.max_k))
    index, score = found.index[:, :k], found.score[:, :k]

    def make() -> Tensor:
        """Write the lists that are used, and add them."""
        rows, length = augment(search.rows, index, score, watch=search.options.watch)
        RunFolder(folder).write_augmentation(index, score, length.numpy())
        return rows

    return search.processes.broadcast_tensor(make)
