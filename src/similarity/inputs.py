"""Checks of what a caller passes: features, groups, penalties.

n = images, d = width of a row.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from src.similarity.numerics import row_norms


def as_tensor(values: ArrayLike | Tensor) -> Tensor:
    """Return values as a CPU tensor; copies arrays PyTorch cannot share (read-only, reversed)."""
    if isinstance(values, Tensor):
        return values.detach().cpu()
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


def checked_rows(features: ArrayLike | Tensor) -> tuple[Tensor, Tensor]:
    """Return features (n, d) as a CPU tensor, and the length of each row, (n,) float64.

    Raises ValueError unless features are (n, d) finite floats with n > 1.
    """
    rows = as_tensor(features)
    if rows.ndim != 2 or len(rows) < 2 or not rows.shape[1] or not rows.is_floating_point():
        raise ValueError(
            "features must be (n, d) floats with at least 2 rows, got"
            f" {tuple(rows.shape)} {rows.dtype}"
        )
    norms = row_norms(rows)
    bad = (~norms.isfinite()).nonzero().flatten().tolist()
    if bad:
        raise ValueError(
            f"{len(bad)} rows hold NaN or infinity, or have a length beyond float64; the first is"
            f" row {bad[0]}"
        )
    return rows, norms


def group_ids(groups: ArrayLike | Tensor | None, n: int) -> Tensor:
    """Return the group of each row, (n,); without groups each row has its own.

    Raises ValueError unless groups are (n,).
    """
    if groups is None:
        return torch.arange(n)
    ids = as_tensor(groups)
    if ids.shape != (n,):
        raise ValueError(f"groups must be ({n},), got {tuple(ids.shape)}")
    return ids


def finite_penalty(penalty: ArrayLike | Tensor | None, n: int) -> Tensor | None:
    """Return penalty as (n,) float64. Raises ValueError unless it is (n,) and finite in float32."""
    if penalty is None:
        return None
    numbers = as_tensor(penalty).double()
    if numbers.shape != (n,) or not numbers.float().isfinite().all():
        raise ValueError(f"penalty must be ({n},) finite numbers, got {tuple(numbers.shape)}")
    return numbers
