"""Exact search among the images of a run, opened at the first question. Imports no torch before.

n = images.
"""

from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from src.browser.opened import OpenRun
from src.errors import UserError
from src.gallery.exclusion import SHARED_COLUMN
from src.reporting.run_checks import told_if_deleted

if TYPE_CHECKING:
    from src.similarity.queries import QuerySearch

KEPT = 4  # runs whose lengths of rows, and axes, stay in memory
# Held by a request while it uses torch, from its first use on: see thread_count
COMPUTING = RLock()


@lru_cache(KEPT)
def run_search(run: OpenRun) -> "QuerySearch":
    """Return what finds the run's images nearest to any features, by its own order and scores.

    nearest takes features (q, d) of new images as the network gives them, nearest_to_rows the rows
    of images of the run; the image itself is found, too, unless it is left out by `others`. The
    first call takes seconds for a large collection: one to load torch, and one for each GB of
    features, five if they are whitened. Callers in several threads must hold COMPUTING. Raises
    UserError or OSError if the features are gone.
    """
    import torch

    from src.similarity.postprocess import FittedPostprocess
    from src.similarity.queries import QuerySearch
    from src.similarity.stored_rows import Augmentation

    with told_if_deleted("features"):
        features = run.files.features()
    fitted = None
    if run.settings.get("similarity.postprocess", "none") != "none":
        mean, axes = run.files.postprocess()
        if len(mean) != features.shape[1]:
            raise UserError(f"{run.files.path}: postprocess.npz does not fit the features")
        whitening = None if axes is None else torch.from_numpy(axes).double()
        fitted = FittedPostprocess(torch.from_numpy(mean).double(), whitening)
    penalty = run.files.penalty() if run.settings.get("similarity.ranking") == "csls" else None
    added = Augmentation(*run.files.augmentation()) if is_augmented(run) else None
    try:
        return QuerySearch(features, fitted, penalty, added)
    except ValueError as error:
        raise UserError(f"the run's features cannot be compared: {error}") from error


def is_augmented(run: OpenRun) -> bool:
    """Return whether neighbors were added to the features before they were compared."""
    return bool(run.settings.get("similarity.augment"))


def others(run: OpenRun, row: int) -> NDArray[np.bool_]:
    """Return (n,) which images may be neighbors of one by the run's own similarity.exclude."""
    groups = exclusion_groups(run)
    differs: NDArray[np.bool_] = groups != groups[row]
    return differs


@lru_cache(KEPT)
def exclusion_groups(run: OpenRun) -> NDArray[np.int64]:
    """Return (n,) numbers: images with equal ones are no neighbors of each other."""
    column = SHARED_COLUMN.get(str(run.settings.get("similarity.exclude")))
    return run.gallery.label_ids(column) if column in run.columns else np.arange(len(run))
