"""Cosine similarity of every image with every other: exact neighbors, and the whole matrix.

A fast pass multiplies the rows tile by tile in float32, each pair once, and only proposes
candidates; a bound on its rounding error proves that none is missing; the candidates are scored
again in float64. So the answer never depends on block size, device, threads or storage.

n = images, d = width of a row, k = neighbors kept, c = candidates of a row, b = rows of a block.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from src.candidates import Candidates
from src.matrix import is_finished, matrix_file
from src.memory import block_rows
from src.resume import Checkpoint, Record, hash_of
from src.settle import settle
from src.spread import ALONE, World
from src.tiles import (
    Centered,
    Precision,
    Sink,
    Watch,
    center,
    row_norms,
    sweep,
    threads,
)

MARGIN = 16  # candidates kept beyond k: the more, the fewer rows have to be searched again
NARROW = 512  # numbers a row, at which two cores take as long for all pairs as reading them does


@dataclass(frozen=True)
class Neighbors:
    """Each image's k best others, best first: by score, or less a penalty; equal ones by row."""

    index: NDArray[np.int32]  # (n, k)
    score: NDArray[np.float32]  # (n, k)
    unproven: float  # share of rows that the fast pass left open and that were searched again


def top_k(
    features: ArrayLike | Tensor,
    k: int = 10,
    *,
    block_size: int | None = None,
    device: str = "auto",
    precision: Literal["auto"] | Precision = "auto",
    groups: ArrayLike | None = None,
    penalty: ArrayLike | Tensor | None = None,
    matrix: Path | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    watch: Watch = iter,
    world: World = ALONE,
    resume: Path | None = None,
) -> Neighbors:
    """Each row's k nearest others by cosine; a row itself is left out by its place, never by rank.

    The score is float32(float64 dot / float64 norms) of the rows given, 0 where one is zero; order
    is by score descending, then row ascending; with a penalty (n,), by float32(score - that of the
    neighbor). Rows of one group (n,) are no neighbors of each other. With matrix, the same pass
    writes the (n, n) cosines there, as write_matrix does, or takes candidates from one that is
    there. precision is that of the fast pass; it changes no result. Several processes (world) share
    out the tiles, and all get the result. A call that was killed is gone on with from resume.
    Raises ValueError for features or a penalty that are not finite, or for k out of range.
    """
    rows = checked(features)
    group = _grouped(groups, len(rows), k)
    where = _device(device)
    # one for all: candidates of one process are settled by the bound of another
    centered = center(rows, where, world.from_first(lambda: _precision(precision, where, matrix)))
    found = Candidates(group, min(k + MARGIN, len(rows) - 1), centered, _finite(penalty, len(rows)))
    size = block_rows(centered.rows.shape[1], where) if block_size is None else block_size
    wanted = _record(rows, found, centered, size)
    matrix = world.from_first(lambda: _of_use(matrix, rows, dtype, wanted, where))
    kept = None if matrix or resume is None else Checkpoint(resume, found, wanted, world)
    slack = _propose(centered, found, wanted, matrix, dtype, kept, watch, world)
    index, score, unproven = settle(rows, centered, found, k, slack, world)
    if kept is not None:
        kept.remove()
    return Neighbors(index.numpy(), score.numpy(), unproven)


def _grouped(groups: ArrayLike | Tensor | None, n: int, k: int) -> Tensor:
    """(n,) the group of each row, its own where none are given. Raises ValueError for such k."""
    group = torch.arange(n) if groups is None else as_tensor(groups)
    if group.shape != (n,):
        raise ValueError(f"groups must be ({n},), got {tuple(group.shape)}")
    most = n - int(group.unique(return_counts=True)[1].max())
    if not 1 <= k <= most:
        raise ValueError(f"k must be between 1 and {most} for these {n} rows, got {k}")
    return group


def _finite(penalty: ArrayLike | Tensor | None, n: int) -> Tensor | None:
    """(n,) float64. Raises ValueError for what is not."""
    if penalty is None:
        return None
    numbers = as_tensor(penalty).double()
    if numbers.shape != (n,) or not numbers.float().isfinite().all():
        raise ValueError(f"penalty must be ({n},) finite numbers, got {tuple(numbers.shape)}")
    return numbers


def _propose(
    centered: Centered,
    found: Candidates,
    wanted: Record,
    matrix: Path | None,
    dtype: Literal["float32", "float16"],
    kept: Checkpoint | None,
    watch: Watch,
    world: World,
) -> float:
    """Every tile once, for the candidates and the matrix; what the matrix's rounding admits."""
    with ExitStack() as files:
        sinks: list[Sink] = [found]
        record, stored = wanted if kept is None else kept.record, None
        if matrix is not None:
            stored = files.enter_context(matrix_file(matrix, centered, dtype, wanted, world))
            sinks.append(stored)
            record = stored.record
            files.enter_context(threads(record.threads))
        size = world.from_first(lambda: record.block)
        between = (lambda: None) if kept is None else kept.tick
        sweep(centered, sinks, size, watch, world, stored, between)
    return stored.rounding if stored is not None and stored.readable else 0.0


def write_matrix(
    features: ArrayLike | Tensor,
    path: str | Path,
    dtype: Literal["float32", "float16"] = "float32",
    block_size: int | None = None,
    device: str = "auto",
) -> None:
    """The (n, n) cosines as a .npy: symmetric to the bit, 1 on the diagonal, 0 for a zero row.

    A matrix that is already there is left alone. Raises UserError when the disk is too small.
    """
    rows = checked(features)
    centered = center(rows, _device(device))
    size = block_rows(centered.rows.shape[1], centered.device) if block_size is None else block_size
    wanted = _record(rows, None, centered, size)
    with (
        matrix_file(Path(path), centered, dtype, wanted, ALONE) as sink,
        threads(sink.record.threads),
    ):
        sweep(centered, [sink], sink.record.block)


def _record(rows: Tensor, found: Candidates | None, centered: Centered, size: int) -> Record:
    parts = [] if found is None else [found.groups.cpu()]
    parts += [found.penalty] if found is not None and found.penalty is not None else []
    return Record(
        hash_of(rows),
        hash_of(*parts),
        centered.precision,
        _processor(centered.device),
        torch.__version__,
        size,
        torch.get_num_threads(),
    )


def _of_use(
    matrix: Path | None, rows: Tensor, dtype: str, wanted: Record, device: torch.device
) -> Path | None:
    """The matrix to write or to read; None where a finished one is read slower than computed."""
    if matrix is None or not is_finished(matrix, len(rows), dtype, wanted):
        return matrix
    computed_sooner = device.type == "cuda" or rows.shape[1] < NARROW
    return None if computed_sooner else matrix


def _processor(device: torch.device) -> str:
    """What the last bit of a product may depend on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {torch.backends.cpu.get_cpu_capability()}"


def _precision(name: str, device: torch.device, matrix: Path | None) -> Precision:
    """Of the fast pass: halves where a GPU multiplies them fast, float32 for a matrix that stays.

    Raises ValueError for a matrix with less.
    """
    if matrix is not None and name not in ("auto", "float32"):
        raise ValueError(f"precision={name} proposes candidates only: a matrix needs float32")
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0)
        return "float16" if fast and matrix is None else "float32"
    return cast(Precision, name)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def checked(features: ArrayLike | Tensor) -> Tensor:
    """features as a CPU tensor. Raises ValueError unless it is (n, d), n > 1, of finite floats."""
    rows = as_tensor(features)
    if rows.ndim != 2 or len(rows) < 2 or not rows.shape[1] or not rows.is_floating_point():
        raise ValueError(
            "features must be (n, d) floats with at least 2 rows, got"
            f" {tuple(rows.shape)} {rows.dtype}"
        )
    bad = (~row_norms(rows).isfinite()).nonzero().flatten().tolist()
    if bad:
        raise ValueError(
            f"{len(bad)} rows hold NaN or infinity, or are too long for float64, the first is"
            f" row {bad[0]}"
        )
    return rows


def as_tensor(values: ArrayLike | Tensor) -> Tensor:
    """values on the CPU, copied only where PyTorch takes no such array (read-only, reversed)."""
    if isinstance(values, Tensor):
        return values.detach().cpu()
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))
