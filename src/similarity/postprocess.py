"""What is done to features before they are compared: nothing, centering, whitening.

n = images, d = width of a row, m = width after whitening.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from src.errors import UserError
from src.similarity.numerics import CHUNK, threads, unit

SMALLEST = 1e-10  # principal axes with less than this share of the largest variance are noise


@dataclass(frozen=True)
class FittedPostprocess:
    """Fitted on a gallery; applied to its rows and to those of any query."""

    mean: Tensor  # (d,) float64, of the gallery's unit rows
    axes: Tensor | None = None  # (d, m) float64, scaled principal axes; None: centering alone

    def __call__(self, features: Tensor) -> Tensor:
        """(n, d) -> (n, m) float32 rows of length 1; a row of zeros stays one."""
        return torch.cat([self._apply(block) for block in features.split(CHUNK)])

    def _apply(self, block: Tensor) -> Tensor:
        moved = unit(block) - self.mean
        moved[block.any(dim=1).logical_not()] = 0
        return unit(moved if self.axes is None else moved @ self.axes).float()


def fit_center(features: Tensor) -> FittedPostprocess:
    """Subtract the mean of the unit rows."""
    return FittedPostprocess(_mean(features))


def fit_whiten(features: Tensor, power: float = 0.5, dim: int | None = None) -> FittedPostprocess:
    """Subtract the mean, rotate to the principal axes, divide each by its variance^(power / 2).

    power 0 rotates only, 1 is full whitening (Jegou and Chum, 2012). Axes with less than 1e-10 of
    the largest variance are dropped, and all but the first dim where dim is given. Raises UserError
    when dim is more than there are.
    """
    mean = _mean(features)
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for block in features.split(CHUNK):
        moved = unit(block) - mean
        covariance += moved.T @ moved / len(features)
    with threads(1):  # with more, the last bits would be others
        values, axes = (x.flip(-1) for x in torch.linalg.eigh(covariance))  # largest first
    kept = int((values > SMALLEST * values[0]).sum())
    if not kept or values[0] < SMALLEST:
        raise UserError(
            "similarity.postprocess=whiten needs images that differ, these are all alike: take none"
        )
    if dim is not None and dim > kept:
        raise UserError(
            f"similarity.whiten_dim must be at most {kept} for these features, got {dim}"
        )
    values, axes = values[: dim or kept], axes[:, : dim or kept]
    # an axis has no sign of its own: its largest entry becomes positive
    strongest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    return FittedPostprocess(mean, axes * strongest.sign() * values ** (-power / 2))


def _mean(features: Tensor) -> Tensor:
    total = torch.stack([unit(block).sum(0) for block in features.split(CHUNK)]).sum(0)
    return total / len(features)
