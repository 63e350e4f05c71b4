"""A centering or whitening that another run has fitted: found, checked, and read.

d = width of a feature, m = width after post-processing.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from src.config import Config, Similarity
from src.config.enums import Join, Postprocess
from src.embedding.row_files import read_options
from src.errors import UserError
from src.pipeline.embed import feature_options
from src.reporting.run_checks import read_postprocess
from src.reporting.run_folder import RunFolder
from src.similarity.postprocess import FittedPostprocess
from src.similarity.record import hash_of

log = logging.getLogger(__name__)

# Of options.yaml: what features have to share, so that what was fitted on some suits others
DECISIVE = ("backbone", "weights", "layer", "pooling", "join")
NOTABLE = ("transform", "precision")  # what moves features a little


def check_whiten_from(cfg: Config) -> None:
    """Raise UserError unless similarity.whiten_from suits the features that cfg asks for.

    Called before images are embedded, so the features' width is checked later. If the run's folder
    is there, its network, weights, layer and pooling have to be those of cfg; a difference in size
    or precision is only logged. The layers in cfg have names, not depths.
    """
    path = cfg.similarity.postprocess_file
    if path is None:
        return
    if cfg.backbone.join is Join.whitened:
        raise UserError(
            "similarity.whiten_from needs backbone.join=rows: layers that are whitened have axes of"
            " their own in each collection"
        )
    read_fitted(cfg.similarity)
    theirs, unknown = _recorded(path.parent), "it is in no run's folder with its embeddings"
    if cfg.backbone.is_vectors:
        theirs, unknown = None, "the network of one's own vectors is not known"
    if theirs is None:
        log.warning("similarity: only the features' width tells if %s suits: %s", path, unknown)
        return
    mine = feature_options(cfg)
    if different := _differing(DECISIVE, theirs, mine):
        raise UserError(
            f"similarity.whiten_from={cfg.similarity.whiten_from} was fitted on other features:"
            f" {different}: give a run with the same backbone options, or leave whiten_from out"
        )
    if _differing(NOTABLE, theirs, mine):
        log.warning(
            "similarity: whiten_from was fitted on features of images of another size, shape or"
            " precision"
        )


def _recorded(run: Path) -> dict[str, Any] | None:
    """Return what the features of a run depend on, None if that or the run is not there."""
    try:
        return read_options(run / RunFolder(run).paths()["embeddings"])
    except (UserError, OSError, KeyError):
        return None


def _differing(names: tuple[str, ...], theirs: dict[str, Any], mine: dict[str, Any]) -> str:
    """Return the options that differ, each with both values, "" if none does."""
    return ", ".join(
        f"{name} {theirs.get(name)} instead of {mine.get(name)}"
        for name in names
        if theirs.get(name) != mine.get(name)
    )


def read_fitted(options: Similarity, width: int | None = None) -> FittedPostprocess:
    """Return the post-processing that similarity.whiten_from names, as postprocess asks for it.

    center takes the mean alone; whiten_dim takes the first axes. Raises UserError if the file is
    damaged, lacks axes to whiten with, or is not of features of that width (d).
    """
    path, name = options.postprocess_file, f"similarity.whiten_from={options.whiten_from}"
    assert path is not None
    try:
        found = read_postprocess(path)
    except UserError as error:  # which would have the user's own file deleted
        raise UserError(f"{name}: {path} is no postprocess.npz that a run has written") from error
    mean, axes = (None if a is None else torch.from_numpy(a) for a in found)
    assert mean is not None
    if width not in (None, len(mean)):
        raise UserError(
            f"{name} was fitted on features of {len(mean)} numbers, but these have {width}"
        )
    if options.postprocess is Postprocess.center:
        return FittedPostprocess(mean.double())
    if axes is None:
        raise UserError(f"{name} only centers: use similarity.postprocess=center")
    if options.whiten_dim is not None and options.whiten_dim > axes.shape[1]:
        raise UserError(
            f"similarity.whiten_dim must be at most {axes.shape[1]} for {name}, got"
            f" {options.whiten_dim}"
        )
    return FittedPostprocess(mean.double(), axes[:, : options.whiten_dim].double().contiguous())


def fitted_hash(options: Similarity) -> str:
    """Return a hash of what similarity.whiten_from names, all its axes included, "" without one."""
    if options.whiten_from is None:
        return ""
    fitted = read_fitted(replace(options, whiten_dim=None))
    return hash_of(*[part for part in (fitted.mean, fitted.axes) if part is not None])
