"""Whitening of each layer's rows before they are joined, fitted on a gallery.

The fitted parameters are stored beside the joined rows, in whitening.npz: for each layer
<layer>/mean (d,) and <layer>/axes (d, m), to apply to the layer's rows of new images.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from src.errors import UserError
from src.io.arrays import read_npz, write_npz
from src.io.bounded import damaged
from src.runtime.progress import progress
from src.similarity.postprocess import FittedPostprocess, fit_whiten

log = logging.getLogger(__name__)

FILE = "whitening.npz"
POWER = 0.5  # half of whitening, which is similarity.whiten_power's default too


def fit_whitening(layers: Mapping[str, NDArray[np.float32]]) -> list[FittedPostprocess]:
    """Return the whitening of each layer's rows, (n, d) each, by name.

    Raises UserError if the rows of a layer are all equal, as those of a single image are.
    """
    fitted = []
    for layer, rows in layers.items():
        log.info("embedding: whitening %s", layer)
        try:
            fitted.append(fit_whiten(torch.from_numpy(rows), POWER, watch=progress))
        except UserError as error:
            raise UserError(
                "backbone.join=whitened needs at least two images that differ, but the rows of"
                f" {layer} are equal in all {len(rows)}: use backbone.join=rows"
            ) from error
    return fitted


def write_whitening(
    folder: Path, layers: Sequence[str], fitted: Sequence[FittedPostprocess]
) -> None:
    """Write whitening.npz to folder."""
    arrays = {}
    for layer, whitening in zip(layers, fitted, strict=True):
        assert whitening.axes is not None
        arrays[f"{layer}/mean"] = whitening.mean.numpy()
        arrays[f"{layer}/axes"] = whitening.axes.numpy()
    write_npz(folder / FILE, arrays)


def read_whitening(folder: Path, layers: Sequence[str]) -> list[FittedPostprocess]:
    """Return the whitening of each of layers from folder.

    Raises UserError if its file is damaged or gone.
    """
    path, fitted = folder / FILE, []
    try:
        arrays = read_npz(path)
    except FileNotFoundError as error:
        raise UserError(
            f"{path}, which whitens new images, is gone: delete {folder}, and run the command of"
            " the run again"
        ) from error
    for layer in layers:
        mean, axes = (arrays.get(f"{layer}/{name}", np.empty(0)) for name in ("mean", "axes"))
        fits = mean.ndim == 1 and axes.ndim == 2 and len(mean) == len(axes)
        if not fits or not all(a.dtype == "f8" and np.isfinite(a).all() for a in (mean, axes)):
            raise damaged(path, f"no mean (d,) and axes (d, m) of {layer}")
        # a copy, because torch warns of arrays that cannot be written
        fitted.append(FittedPostprocess(torch.tensor(mean), torch.tensor(axes)))
    return fitted
