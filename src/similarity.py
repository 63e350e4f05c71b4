"""Cosine similarity of every image with every other: exact neighbors, and the whole matrix.

A fast pass multiplies the rows tile by tile in float32, each pair once, and only proposes
candidates; a bound on its rounding error proves that none is missing; the candidates are scored
again in float64. So the answer never depends on block size, device, threads or storage.

n = images, d = width of a row, k = neighbors kept, c = candidates of a row, b = rows of a block.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from src.candidates import Candidates
from src.files import create_npy, replacing
from src.tiles import Centered, Sink, Watch, center, exact_sum, full_precision, row_norms, sweep

MARGIN = 16  # candidates kept beyond k: the more, the fewer rows have to be searched again
EXACT = 256  # pairs scored at once in float64: (256, d) products stay near the cache


@dataclass(frozen=True)
class Neighbors:
    """Each image's k most similar others, best first, equal scores in row order."""

    index: NDArray[np.int32]  # (n, k)
    score: NDArray[np.float32]  # (n, k)
    unproven: float  # share of rows that the fast pass left open and that were searched again


def top_k(
    features: ArrayLike | Tensor,
    k: int = 10,
    *,
    block_size: int | None = None,
    device: str = "auto",
    groups: ArrayLike | None = None,
    matrix: Path | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    watch: Watch = iter,
) -> Neighbors:
    """Each row's k nearest others by cosine; a row itself is left out by its place, never by rank.

    The score is float32(float64 dot / float64 norms) of the rows given, 0 where one is zero; order
    is by that score descending, then row ascending. Rows of one group (n,) are no neighbors of each
    other. With matrix, the same pass writes the (n, n) cosines there, as write_matrix does.
    Raises ValueError for features that are not (n, d) finite floats, or for k out of range.
    """
    rows = checked(features)
    group = torch.arange(len(rows)) if groups is None else as_tensor(groups)
    if group.shape != (len(rows),):
        raise ValueError(f"groups must be ({len(rows)},), got {tuple(group.shape)}")
    most = len(rows) - int(group.unique(return_counts=True)[1].max())
    if not 1 <= k <= most:
        raise ValueError(f"k must be between 1 and {most} for these {len(rows)} rows, got {k}")
    centered = center(rows, _device(device))
    found = Candidates(group, min(k + MARGIN, len(rows) - 1), centered)
    with ExitStack() as files:
        sinks: list[Sink] = [found]
        if matrix is not None:
            sinks.append(files.enter_context(matrix_file(matrix, centered, dtype)))
        sweep(centered, sinks, block_size, watch)
    return settle(rows, centered, found, k)


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
    if not Path(path).exists():
        centered = center(checked(features), _device(device))
        with matrix_file(Path(path), centered, dtype) as sink:
            sweep(centered, [sink], block_size, iter)


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


def settle(rows: Tensor, centered: Centered, found: Candidates, k: int) -> Neighbors:
    """Score the candidates exactly; search again the rows that the bound leaves open."""
    norms = row_norms(rows)
    key, candidates = found.key.cpu(), found.index.cpu()
    n = len(rows)
    index, score = torch.empty(n, k, dtype=torch.int64), torch.empty(n, k)
    # A candidate further below the k-th than both errors together is not among the k best; a step
    # of float32 more, because rounded scores may tie.
    possible = key.double() >= (key[:, k - 1].double() - 2 * centered.bound - 2.0**-23)[:, None]
    need = possible.sum(1).clamp(min=k)  # the first ones: keys descend
    for at in (slice(start, start + EXACT) for start in range(0, n, EXACT)):
        some = candidates[at, : int(need[at].max())]
        exact = exact_scores(rows, norms, torch.arange(n)[at], some)
        exact[key[at, : some.shape[1]].isinf()] = -torch.inf  # places that no image has filled
        score[at], index[at] = ranked(exact, some, k)
    # A row left out of the candidates scores at most this. It must lose, not merely tie.
    rest = key[:, -1] if found.c < n - 1 else torch.full((n,), -torch.inf)
    limit = (rest.double() + centered.offset + centered.bound).float()
    unproven = (limit >= score[:, -1]).nonzero().flatten()
    for some in unproven.split(256):
        search_again(rows, norms, centered, found.groups.cpu(), some, index, score)
    return Neighbors(index.int().numpy(), score.numpy(), len(unproven) / n)


def search_again(
    rows: Tensor,
    norms: Tensor,
    centered: Centered,
    groups: Tensor,
    some: Tensor,
    index: Tensor,
    score: Tensor,
) -> None:
    """Fill in index and score of some rows from every image that the bound cannot rule out."""
    with full_precision():
        keys = centered.tile(some.to(centered.rows.device), slice(None)).cpu()
    k = score.shape[1]
    # the score found for the k-th is a lower limit of the true one; one float32 step for rounding
    worst = torch.nextafter(score[some, -1], torch.tensor(-torch.inf)).double()
    floor = worst - centered.offset - centered.bound[some]
    for row, key, low in zip(some.tolist(), keys, floor, strict=True):
        possible = ((key.double() >= low) & (groups != groups[row])).nonzero().T  # (1, c)
        query = torch.tensor([row])
        parts = [exact_scores(rows, norms, query, part) for part in possible.split(EXACT, dim=1)]
        score[row], index[row] = (x[0] for x in ranked(torch.cat(parts, dim=1), possible, k))


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


def ranked(score: Tensor, index: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best of (q, c) scores and their index, by score descending, then index ascending."""
    index, order = index.sort(dim=1)
    score, best = score.gather(1, order).sort(dim=1, descending=True, stable=True)
    return score[:, :k], index.gather(1, best)[:, :k]


class MatrixSink:
    """Writes tiles and their mirror images into an (n, n) array."""

    def __init__(self, array: NDArray[Any], centered: Centered):
        self.array, self.offset, self.zero = array, centered.offset, centered.zero

    def add(self, rows: slice, columns: slice, tile: Tensor) -> None:
        """Write a tile twice; on the diagonal, its upper triangle."""
        cosine = (tile + self.offset).clamp_(-1, 1)
        cosine[self.zero[rows]] = 0
        cosine[:, self.zero[columns]] = 0
        if rows == columns:
            cosine = cosine.triu(1) + cosine.triu(1).T
            cosine.diagonal().copy_(~self.zero[rows])
        values = cosine.cpu().numpy().astype(self.array.dtype)
        self.array[rows, columns] = values
        self.array[columns, rows] = values.T


@contextmanager
def matrix_file(path: Path, centered: Centered, dtype: str) -> Iterator[MatrixSink]:
    """A sink into a .npy that appears at path when all is written."""
    n = len(centered.rows)
    with replacing(path) as part, part.open("w+b") as file:
        start = create_npy(file, (n, n), dtype)
        array = np.memmap(file, dtype, "r+", start, (n, n))
        yield MatrixSink(array, centered)
        array.flush()
