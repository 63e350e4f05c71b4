"""Decisions made once, on rank 0, before a search: precision, block, use of a matrix.

n = images, d = width of a row.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor

from src.runtime.memory import block_rows, fits_on_device, free_memory
from src.runtime.progress import Watch, unwatched
from src.similarity.centering import Precision, operand_dtype, operand_width
from src.similarity.matrix_files import MatrixDtype, is_finished
from src.similarity.record import SearchRecord, hash_of

# Row width from which reading a stored matrix of float32 beats searching (two cores)
MIN_WIDTH_TO_READ = 512


@dataclass(frozen=True)
class SearchOptions:
    """How a search runs and what it stores. No option changes a neighbor or a score."""

    block_size: int | None = None  # rows of a tile; None: as many as suit device and free memory
    device: str = "auto"  # of the fast pass: cpu, cuda, cuda:1; auto: a GPU if there is one
    precision: Literal["auto"] | Precision = "auto"  # of the fast pass
    matrix: Path | None = None  # file of the (n, n) scores: written, or read once complete
    dtype: MatrixDtype = "float32"  # of the matrix
    checkpoints: Path | None = None  # folder from which an interrupted search resumes
    lists: Path | None = None  # folder in which the neighbors by cosine are kept for later searches
    earlier: tuple[Path, ...] = ()  # folders of lists and matrices, perhaps of a part of the rows
    watch: Watch = unwatched  # goes through the items of each long step: tqdm shows them


@dataclass(frozen=True)
class SearchPlan:
    """Decisions of rank 0, followed by all ranks."""

    precision: Precision  # one for all: a rank verifies what another rank proposes
    record: SearchRecord  # without groups, which are of one search
    matrix: Path | None  # to write unless it is complete
    readable: Path | None  # the matrix, if reading neighbors from it is faster than searching


def make_plan(rows: Tensor, device: torch.device, options: SearchOptions) -> SearchPlan:
    """Decide how rows (n, d) are compared on device.

    Raises UserError if options.matrix is the file of something else.
    """
    (n, d), matrix = rows.shape, options.matrix
    precision = choose_precision(options.precision, device)
    stored = not (matrix is options.checkpoints is options.lists is None)
    record = SearchRecord(
        features=hash_of(rows) if stored else "",
        groups="",
        precision=precision,
        block=options.block_size
        if options.block_size is not None
        else auto_block(n, d, device, precision),
    )
    if matrix is not None:
        is_finished(matrix, n, options.dtype, record.features)  # or it is refused, before the work
    reads = device.type != "cuda" and d >= MIN_WIDTH_TO_READ and options.dtype == "float32"
    return SearchPlan(precision, record, matrix, matrix if reads else None)


def auto_block(n: int, d: int, device: torch.device, precision: Precision) -> int:
    """Return the rows of a block that fit the memory left by the centered rows on device."""
    width, free = operand_width(d), free_memory(device)
    size = n * width * operand_dtype(precision, device).itemsize
    return block_rows(width, device, free - size if fits_on_device(size, device, free) else free)


def choose_device(name: str) -> torch.device:
    """Return the device of that name; auto is a GPU if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> Precision:
    """Return the precision of the fast pass; auto: float16 on tensor cores, else float32."""
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0)
        return "float16" if fast else "float32"
    return cast(Precision, name)
