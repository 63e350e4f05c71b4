"""Choices made once, before a search: device, precision, exclusion groups, use of a matrix."""

from pathlib import Path
from typing import cast

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from src.similarity.candidates import Candidates
from src.similarity.centering import Centered
from src.similarity.checkpoint import SearchRecord, hash_of
from src.similarity.matrix import is_finished
from src.similarity.numerics import Precision, as_tensor

NARROW = 512  # numbers a row, at which two cores take as long for all pairs as reading them does


def group_ids(groups: ArrayLike | Tensor | None, n: int, k: int) -> Tensor:
    """(n,) the group of each row, its own where none are given. Raises ValueError for such k."""
    group = torch.arange(n) if groups is None else as_tensor(groups)
    if group.shape != (n,):
        raise ValueError(f"groups must be ({n},), got {tuple(group.shape)}")
    most = n - int(group.unique(return_counts=True)[1].max())
    if not 1 <= k <= most:
        raise ValueError(f"k must be between 1 and {most} for these {n} rows, got {k}")
    return group


def finite_error(penalty: ArrayLike | Tensor | None, n: int) -> Tensor | None:
    """(n,) float64. Raises ValueError for what is not."""
    if penalty is None:
        return None
    numbers = as_tensor(penalty).double()
    if numbers.shape != (n,) or not numbers.float().isfinite().all():
        raise ValueError(f"penalty must be ({n},) finite numbers, got {tuple(numbers.shape)}")
    return numbers


def search_record(
    rows: Tensor, found: Candidates | None, centered: Centered, size: int
) -> SearchRecord:
    parts = [] if found is None else [found.groups.cpu()]
    parts += [found.penalty] if found is not None and found.penalty is not None else []
    return SearchRecord(
        hash_of(rows),
        hash_of(*parts),
        centered.precision,
        processor_name(centered.device),
        torch.__version__,
        size,
        torch.get_num_threads(),
    )


def usable_matrix(
    matrix: Path | None, rows: Tensor, dtype: str, wanted: SearchRecord, device: torch.device
) -> Path | None:
    """The matrix to write or to read; None where a finished one is read slower than computed."""
    if matrix is None or not is_finished(matrix, len(rows), dtype, wanted):
        return matrix
    computed_sooner = device.type == "cuda" or rows.shape[1] < NARROW
    return None if computed_sooner else matrix


def processor_name(device: torch.device) -> str:
    """What the last bit of a product may depend on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {torch.backends.cpu.get_cpu_capability()}"


def choose_precision(name: str, device: torch.device, matrix: Path | None) -> Precision:
    """Of the fast pass: halves where a GPU multiplies them fast, float32 for a matrix that stays.

    Raises ValueError for a matrix with less.
    """
    if matrix is not None and name not in ("auto", "float32"):
        raise ValueError(f"precision={name} proposes candidates only: a matrix needs float32")
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0)
        return "float16" if fast and matrix is None else "float32"
    return cast(Precision, name)


def choose_device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
