"""Post-processing of features before they are compared: centering and whitening.

n = images, d = width of a row, m = width after whitening.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from src.errors import UserError
from src.runtime.progress import Watch, unwatched
from src.similarity.numerics import CHUNK, normalize
from src.similarity.parallel import thread_count

log = logging.getLogger(__name__)

MIN_VARIANCE_SHARE = 1e-10  # of the largest; principal axes with less are noise


@dataclass(frozen=True)
class FittedPostprocess:
    """A post-processing fitted on a gallery, applied to its rows and to those of any query."""

    mean: Tensor  # (d,) float64, of the gallery's unit rows
    axes: Tensor | None = None  # (d, m) float64, scaled principal axes; None: only centering

    def __call__(self, features: Tensor, watch: Watch = unwatched) -> Tensor:
        """Return features (n, d) as (n, m) float32 rows of length 1; a row of zeros stays one."""
        blocks = _blocks(features, "applying", watch)
        return torch.cat([normalize(self.project(block)).float() for block in blocks])

    def project(self, features: Tensor) -> Tensor:
        """Return features (b, d) as (b, m) float64 rows before they are given length 1."""
        moved = normalize(features) - self.mean
        moved[features.any(dim=1).logical_not()] = 0
        return moved if self.axes is None else moved @ self.axes


def fit_center(features: Tensor, watch: Watch = unwatched) -> FittedPostprocess:
    """Return the post-processing that subtracts the mean of the unit rows of features (n, d).

    watch goes through the blocks of rows.

    Example:
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, 0.6]])
        >>> center = fit_center(rows)
        >>> center.mean
        tensor([0.6000, 0.6000], dtype=torch.float64)
        >>> center(rows)[2].isclose(torch.tensor([0.0, 1.0]), atol=1e-6)
        tensor([True, True])
    """
    return FittedPostprocess(_mean(features, watch))


def fit_whiten(
    features: Tensor, power: float = 0.5, dim: int | None = None, watch: Watch = unwatched
) -> FittedPostprocess:
    """Return the post-processing that whitens features (n, d): subtracts the mean of the unit rows,
    rotates them to their principal axes and divides each axis by its variance^(power / 2).

    power 0 rotates only, 1 is full whitening (Jegou and Chum, 2012). Axes with less than 1e-10 of
    the largest variance are dropped, and with dim all but the first dim. watch goes through the
    blocks of rows. Raises UserError if dim is more than the remaining axes, or if all features are
    equal.

    Example:
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, 0.6]])
        >>> whiten = fit_whiten(rows, dim=1)
        >>> whiten(rows)
        tensor([[ 1.],
                [-1.],
                [-1.],
                [ 1.]])
    """
    mean = _mean(features, watch)
    values, axes = _principal_axes(features, mean, watch)
    num_axes = int((values > MIN_VARIANCE_SHARE * values[0]).sum())
    if not num_axes or values[0] < MIN_VARIANCE_SHARE:
        raise UserError(
            "similarity.postprocess=whiten needs images that differ, but all features are equal:"
            " use similarity.postprocess=none"
        )
    if dim is not None and dim > num_axes:
        raise UserError(
            f"similarity.whiten_dim must be at most {num_axes} for these features, got {dim}"
        )
    values, axes = values[: dim or num_axes], axes[:, : dim or num_axes]
    # the sign of an axis is arbitrary: its largest entry becomes positive
    strongest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    return FittedPostprocess(mean, axes * strongest.sign() * values ** (-power / 2))


def _principal_axes(features: Tensor, mean: Tensor, watch: Watch) -> tuple[Tensor, Tensor]:
    """Return the variances (d,) of the unit rows of features, largest first, and the axes (d, d).

    Each column is an axis.
    """
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for block in _blocks(features, "covariance", watch):
        moved = normalize(block) - mean
        covariance += moved.T @ moved / len(features)
    log.info("similarity: computing the principal axes of %d numbers", len(mean))
    with thread_count(1):  # with more, the last bits would differ
        values, axes = torch.linalg.eigh(covariance)
    return values.flip(-1), axes.flip(-1)


def _mean(features: Tensor, watch: Watch) -> Tensor:
    blocks = _blocks(features, "averaging", watch)
    return torch.stack([normalize(block).sum(0) for block in blocks]).sum(0) / len(features)


def _blocks(features: Tensor, description: str, watch: Watch) -> Iterable[Tensor]:
    """Return features (n, d) in blocks of CHUNK rows, watched."""
    blocks = features.split(CHUNK)
    return watch(blocks, description, len(blocks))
