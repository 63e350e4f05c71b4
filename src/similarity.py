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
from src.matrix import matrix_file
from src.memory import block_rows
from src.resume import Checkpoint, Record, hash_of
from src.spread import ALONE, World
from src.tiles import (
    Centered,
    Precision,
    Sink,
    Watch,
    center,
    exact_products,
    exact_sum,
    row_norms,
    sweep,
    threads,
)

MARGIN = 16  # candidates kept beyond k: the more, the fewer rows have to be searched again
NARROW = 512  # numbers a row, at which two cores take as long for all pairs as reading them does
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
    precision: Literal["auto"] | Precision = "auto",
    groups: ArrayLike | None = None,
    matrix: Path | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    watch: Watch = iter,
    world: World = ALONE,
    resume: Path | None = None,
) -> Neighbors:
    """Each row's k nearest others by cosine; a row itself is left out by its place, never by rank.

    The score is float32(float64 dot / float64 norms) of the rows given, 0 where one is zero; order
    is by that score descending, then row ascending. Rows of one group (n,) are no neighbors of each
    other. With matrix, the same pass writes the (n, n) cosines there, as write_matrix does, or
    takes candidates from a matrix that is there. precision is that of the fast pass; it changes
    the time, never the result. Several processes (world) share out the tiles, and all get the
    result. In the folder resume, a call that was killed leaves what the next one goes on from.
    Raises ValueError for features that are not (n, d)
    finite floats, or for k out of range.
    """
    rows = checked(features)
    group = torch.arange(len(rows)) if groups is None else as_tensor(groups)
    if group.shape != (len(rows),):
        raise ValueError(f"groups must be ({len(rows)},), got {tuple(group.shape)}")
    most = len(rows) - int(group.unique(return_counts=True)[1].max())
    if not 1 <= k <= most:
        raise ValueError(f"k must be between 1 and {most} for these {len(rows)} rows, got {k}")
    where = _device(device)
    if matrix is not None and matrix.exists() and _computed_sooner(rows, where):
        matrix = None
    centered = center(rows, where, _precision(precision, where, matrix))
    found = Candidates(group, min(k + MARGIN, len(rows) - 1), centered)
    size = block_rows(centered.rows.shape[1], where) if block_size is None else block_size
    wanted = _record(rows, group, centered, size)
    with ExitStack() as files:
        sinks: list[Sink] = [found]
        stored = kept = None
        if matrix is not None:
            stored = files.enter_context(matrix_file(matrix, centered, dtype, wanted, world))
            sinks.append(stored)
            size = stored.record.block
            files.enter_context(threads(stored.record.threads))
        elif resume is not None:
            kept = Checkpoint(resume, found, wanted, world)
            size = kept.record.block
        size = world.from_first(lambda: size)
        between = (lambda: None) if kept is None else kept.tick
        sweep(centered, sinks, size, watch, world, stored, between)
    slack = stored.rounding if stored is not None and stored.readable else 0.0
    neighbors = settle(rows, centered, found, k, slack, world)
    if kept is not None:
        kept.remove()
    return neighbors


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
    wanted = _record(rows, torch.arange(len(rows)), centered, size)
    with (
        matrix_file(Path(path), centered, dtype, wanted, ALONE) as sink,
        threads(sink.record.threads),
    ):
        sweep(centered, [sink], sink.record.block)


def _record(rows: Tensor, group: Tensor, centered: Centered, size: int) -> Record:
    return Record(
        hash_of(rows),
        hash_of(group),
        centered.precision,
        _processor(centered.device),
        torch.__version__,
        size,
        torch.get_num_threads(),
    )


def _computed_sooner(rows: Tensor, device: torch.device) -> bool:
    """Whether all pairs are multiplied before a disk has given them."""
    return device.type == "cuda" or rows.shape[1] < NARROW


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


def settle(
    rows: Tensor,
    centered: Centered,
    found: Candidates,
    k: int,
    slack: float = 0,
    world: World = ALONE,
) -> Neighbors:
    """Score the candidates exactly; search again the rows that the bound leaves open.

    slack is how much more than the bound the candidates' keys may be off. Each process does its own
    part of the rows, from what all of them found.
    """
    n = len(rows)
    own = world.part(n)
    keys, indices = world.exchange(found.key.cpu()), world.exchange(found.index.cpu())
    key, best = torch.cat(keys, dim=1).topk(found.c, dim=1)  # (b, c)
    candidates = torch.cat(indices, dim=1).gather(1, best).long()
    number = torch.arange(n)[own]
    bound = centered.bound[own] + slack
    norms = row_norms(rows)
    b = len(number)
    index, score = torch.empty(b, k, dtype=torch.int64), torch.empty(b, k)
    # A candidate further below the k-th than both errors together is not among the k best; a step
    # of float32 more, because rounded scores may tie.
    possible = key.double() >= (key[:, k - 1].double() - 2 * bound - 2.0**-23)[:, None]
    need = possible.sum(1).clamp(min=k)  # the first ones: keys descend
    for at in (slice(start, start + EXACT) for start in range(0, b, EXACT)):
        some = candidates[at, : int(need[at].max())]
        exact = exact_scores(rows, norms, number[at], some)
        exact[key[at, : some.shape[1]].isinf()] = -torch.inf  # places that no image has filled
        score[at], index[at] = ranked(exact, some, k)
    # A row left out of the candidates scores at most this. It must lose, not merely tie.
    rest = key[:, -1] if found.c < n - 1 else torch.full((b,), -torch.inf)
    limit = (rest.double() + centered.offset + bound).float()
    unproven = (limit >= score[:, -1]).nonzero().flatten()
    for some in unproven.split(256) if len(unproven) else ():
        index[some], score[some] = search_again(
            rows, norms, centered, found.groups.cpu(), number[some], score[some, -1], k
        )
    share = sum(world.gathered(len(unproven))) / n
    index, score = world.joined(index.int(), n), world.joined(score, n)
    return Neighbors(index.numpy(), score.numpy(), share)


def search_again(
    rows: Tensor,
    norms: Tensor,
    centered: Centered,
    groups: Tensor,
    some: Tensor,
    worst: Tensor,
    k: int,
) -> tuple[Tensor, Tensor]:
    """Index and score (b, k) of some rows (b,) from every image that the bound cannot rule out.

    worst (b,) are scores that k images of each row are known to reach.
    """
    n = len(rows)
    step = n if centered.streamed is None else block_rows(centered.rows.shape[1], centered.device)
    with exact_products(centered.precision):
        tiles = [
            centered.tile(some.to(centered.device), slice(start, start + step)).cpu()
            for start in range(0, n, step)
        ]
    # one step of float32 for rounding
    low = torch.nextafter(worst, torch.tensor(-torch.inf)).double()
    floor = low - centered.offset - centered.bound[some]
    index, score = torch.empty(len(some), k, dtype=torch.int64), torch.empty(len(some), k)
    for at, (row, key) in enumerate(zip(some.tolist(), torch.cat(tiles, dim=1), strict=True)):
        possible = ((key.double() >= floor[at]) & (groups != groups[row])).nonzero().T  # (1, c)
        query = torch.tensor([row])
        parts = [exact_scores(rows, norms, query, part) for part in possible.split(EXACT, dim=1)]
        score[at], index[at] = (x[0] for x in ranked(torch.cat(parts, dim=1), possible, k))
    return index, score


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
