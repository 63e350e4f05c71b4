"""Sums, lengths and cosines in float64: the same bits for any shapes, threads and processor.

n = images, d = width of a row, q = queries, c = candidates of each.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from src.similarity.parallel import parallel_map

CHUNK = 256  # rows converted to float64 at once, near the cache
PAIRS_PER_STEP = 256  # pairs scored at once: their (256, d) products stay near the cache


def row_norms(rows: Tensor) -> Tensor:
    """Return the length of each row, (n,) float64, bit-identical whatever rows surround it."""
    norms = torch.empty(len(rows), dtype=torch.float64)

    def fill(part: slice) -> None:
        """Fill the lengths of these rows."""
        for at, block in doubles(rows[part]):
            norms[part][at] = lengths(block.square_())

    parallel_map(fill, len(rows), 16 * CHUNK)
    return norms


def normalize(rows: Tensor) -> Tensor:
    """Return rows (n, d) divided by their lengths, float64; a row of zeros stays one."""
    norms = row_norms(rows)[:, None]
    return rows.double() / torch.where(norms == 0, 1, norms)


def doubles(rows: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield the slice and the float64 values of each chunk of CHUNK rows.

    All chunks share one buffer: new memory for each would take ten times as long as the arithmetic.
    """
    buffer = torch.empty(min(CHUNK, len(rows)), rows.shape[1], dtype=torch.float64)
    for start in range(0, len(rows), CHUNK):
        block = rows[start : start + CHUNK]
        yield slice(start, start + len(block)), buffer[: len(block)].copy_(block)


def exact_sum(products: Tensor) -> Tensor:
    """Sum (..., d) to (...); products is overwritten.

    The second half of the numbers is added to the first, and so on: d alone decides the order of
    the additions. PyTorch's own sum has another order on another processor or for long rows.
    """
    width = products.shape[-1]
    while width > 1:
        half = (width + 1) // 2
        products[..., : width - half] += products[..., half:width]
        width = half
    return products[..., 0].clone()


def lengths(squares: Tensor) -> Tensor:
    """Return the root of the sum of squares (..., d) float64, (...); squares is overwritten."""
    # numpy's root is IEEE's; PyTorch's, by MKL, is sometimes another than that of one number alone
    return torch.from_numpy(np.sqrt(exact_sum(squares).numpy()))


def ranking_scores(score: Tensor, penalty: Tensor | None) -> Tensor:
    """Return what neighbors are ordered by: score minus their penalty float64, rounded to float32.

    The penalty is broadcast to the score, and None leaves the score as it is.
    """
    return score if penalty is None else (score.double() - penalty).float()


def exact_scores(rows: Tensor, norms: Tensor, queries: Tensor, candidates: Tensor) -> Tensor:
    """Return the cosines of queries with their candidates, (q, c) float32, from float64.

    rows (n, d) have the lengths norms (n,); queries (q,) and candidates (q, c) are row numbers. A
    pair with a row of zeros scores 0. Computed by an elementwise product and a sum, because matrix
    products change their last bits with the shape of the batch, in float64 too.
    """
    (q, c), d = candidates.shape, rows.shape[1]
    step = min(q, max(1, PAIRS_PER_STEP // c))
    # the same buffers for every step: new memory would take longer than the arithmetic
    gathered = torch.empty(step * c, d, dtype=rows.dtype)
    left, right = (torch.empty(count, d, dtype=torch.float64) for count in (step, step * c))
    dots = torch.empty(q, c, dtype=torch.float64)
    for start in range(0, q, step or 1):
        part = candidates[start : start + step]
        b, pairs = len(part), part.numel()
        torch.index_select(rows, 0, part.flatten(), out=gathered[:pairs])
        products = right[:pairs].copy_(gathered[:pairs]).view(b, c, d)
        products *= left[:b].copy_(rows[queries[start : start + step]])[:, None]
        dots[start : start + b] = exact_sum(products)
    scale = norms[queries][:, None] * norms[candidates]
    return torch.where(scale == 0, 0, dots / scale).float() + 0.0  # never -0
