"""Sums and cosines in float64 whose bits do not depend on shapes, threads or devices.

n = images, d = width of a row, q = queries, c = candidates of each.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

CHUNK = 256  # rows handled at once in float64, near the cache
PIECE = 16384  # numbers summed at once
T = TypeVar("T")
Precision = Literal["float32", "tf32", "float16"]


def row_norms(rows: Tensor) -> Tensor:
    """(n,) float64 lengths, each equal to the bit whatever rows stand around it."""
    norms = torch.empty(len(rows), dtype=torch.float64)

    def fill(part: slice) -> None:
        for at, block in doubles(rows[part]):
            norms[part][at] = exact_sum(block.square_()).sqrt()

    side_by_side(fill, len(rows), 16 * CHUNK)
    return norms


def doubles(rows: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Some rows after the others in float64, always in the same memory: new memory for each would
    take ten times as long as the arithmetic."""
    memory = torch.empty(min(CHUNK, len(rows)), rows.shape[1], dtype=torch.float64)
    for start in range(0, len(rows), CHUNK):
        block = rows[start : start + CHUNK]
        yield slice(start, start + len(block)), memory[: len(block)].copy_(block)


def exact_sum(products: Tensor) -> Tensor:
    """(..., d) -> (...): the same bits whatever the shape in front, or the number of threads.

    PyTorch spreads a lone sum of 32,768 numbers or more over the threads, so none may be as long.
    """
    sums: list[Tensor] = [part.sum(-1) for part in products.split(PIECE, dim=-1)]
    return sum(sums[1:], sums[0])


@contextmanager
def exact_products(precision: Precision = "float32") -> Iterator[None]:
    """No TF32 or bfloat16 inside float32 products, unless the rows are rounded to TF32 already,
    and no sums in 16 bits: the bound counts on that."""
    before = torch.get_float32_matmul_precision()
    matmul = torch.backends.cuda.matmul
    reduced = matmul.allow_fp16_reduced_precision_reduction
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    matmul.allow_fp16_reduced_precision_reduction = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        matmul.allow_fp16_reduced_precision_reduction = reduced


def side_by_side(work: Callable[[slice], T], n: int, step: int) -> list[T]:
    """Return work(part) for slices of step out of n, in order, from as many threads as torch has.

    For work of many small operations, each of which then runs on one thread: an operation that
    torch spreads over its threads ends with the slowest of them, and beside other programs that
    is one that waits for a core.
    """
    parts = [slice(start, min(start + step, n)) for start in range(0, n, step)]
    count = min(torch.get_num_threads(), len(parts))
    with threads(1):
        if count < 2:
            return [work(part) for part in parts]
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(work, parts))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """As many threads: last bits may depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def unit(rows: Tensor) -> Tensor:
    """Rows of length 1 in float64; a row of zeros stays one."""
    norms = row_norms(rows)[:, None]
    return rows.double() / torch.where(norms == 0, 1, norms)


EXACT = 256  # pairs scored at once in float64: (256, d) products stay near the cache


def exact_scores(rows: Tensor, norms: Tensor, queries: Tensor, others: Tensor) -> Tensor:
    """(q, c) float32: the cosine of each query (q,) with its others (q, c), from float64.

    An elementwise product and a sum, because products of matrices, in float64 too, change their
    last bits with the shape of the batch.
    """
    (q, c), d = others.shape, rows.shape[1]
    step = max(1, EXACT // c)
    # the same memory for every step: new memory would take longer than the arithmetic
    near, left = torch.empty(step * c, d, dtype=rows.dtype), torch.empty(step, d).double()
    right, dots = torch.empty(step * c, d).double(), torch.empty(q, c).double()
    for start in range(0, q, step):
        some = others[start : start + step]
        b, pairs = len(some), some.numel()
        torch.index_select(rows, 0, some.flatten(), out=near[:pairs])
        products = right[:pairs].copy_(near[:pairs]).view(b, c, d)
        products *= left[:b].copy_(rows[queries[start : start + step]])[:, None]
        dots[start : start + b] = exact_sum(products)
    scale = norms[queries][:, None] * norms[others]
    return torch.where(scale == 0, 0, dots / scale).float()


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
