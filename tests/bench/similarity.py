"""How fast all pairs are compared, beside one plain product of the same rows:

    python -m tests.bench.similarity [--n 32768] [--d 2048] [--rounds 2] [--only product,top_k]

Everything runs in one process, the best of the rounds counts, and each line gives its time as a
multiple of the product's. faiss is compared where faiss-cpu is installed. On a GPU, product is one
of float16 there.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from src.similarity import NeighborSearch, top_k, write_matrix
from src.similarity.augment import MAX_NEIGHBORS, augment
from src.similarity.csls import csls_penalty

K = 10
ADDED = 5  # neighbors of each row that augmentation adds
ROWS = 4096  # made at once
PRODUCTS = 2**27  # numbers of the product at once: what fits into memory without crowding it
LOOPED = 50  # rows of the first version's loop that are run; the rest is extrapolated


def features(n: int, d: int) -> Tensor:
    """(n, d) positive rows in a thousand clusters, like a network's output."""
    draw = torch.Generator().manual_seed(0)
    centers = torch.rand(1000, d, generator=draw) ** 4
    own = torch.randint(1000, (n,), generator=draw)
    rows = torch.rand(n, d, generator=draw) ** 4
    for at in range(0, n, ROWS):
        rows[at : at + ROWS] += centers[own[at : at + ROWS]]
    return rows


def product(rows: Tensor) -> None:
    """One n x n product of the unit rows, block by block into the same memory."""
    gpu = torch.cuda.is_available()
    unit = torch.nn.functional.normalize(rows)
    unit = unit.half().cuda() if gpu else unit
    size = max(1, PRODUCTS // len(rows))
    out = unit.new_empty(size, len(rows))
    for block in unit.split(size):
        torch.mm(block, unit.T, out=out[: len(block)])
    if gpu:
        torch.cuda.synchronize()


def first_version(rows: Tensor) -> None:
    """What the first version did for each row: normalize all, multiply one, sort all."""
    for row in range(LOOPED):
        unit = torch.nn.functional.normalize(rows)
        similar = unit[row : row + 1] @ unit.T
        np.argsort(-similar[0].numpy())[1 : K + 1]


def csls(rows: Tensor) -> None:
    """Ten neighbors in the order of csls: those by cosine first."""
    search = NeighborSearch(rows)
    search.nearest(K, csls_penalty(search.nearest(K, keep_tiles=True).score))


def augmentation(rows: Tensor) -> None:
    """The sums of similarity.augment=5 alone; top_k of 20 is the search that finds what is added.

    What is added is anywhere in memory, as real neighbors are.
    """
    draw = torch.Generator().manual_seed(0)
    index = torch.randint(len(rows), (len(rows), ADDED), generator=draw)
    augment(rows, index, torch.rand(index.shape, generator=draw))


def faiss_search(rows: Tensor) -> None:
    """faiss's exact search by inner product, which returns each row itself too."""
    import faiss  # type: ignore[import-not-found]

    unit = torch.nn.functional.normalize(rows).numpy()
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit)
    index.search(unit, K + 1)


def disk(size: int, folder: Path) -> None:
    """Write as many bytes as a matrix has, in pieces, and wait until the disk has them."""
    piece = bytes(2**26)
    with (folder / "zeros").open("wb", buffering=0) as file:
        for _ in range(max(1, size // len(piece))):
            file.write(piece)
        os.fdatasync(file.fileno())


def matrix(rows: Tensor, folder: Path, dtype: str) -> None:
    """storage=full, from nothing."""
    for leftover in folder.glob("matrix.*"):
        leftover.unlink()
    write_matrix(rows, folder / "matrix.npy", dtype)  # type: ignore[arg-type]


def works(rows: Tensor, folder: Path) -> dict[str, tuple[Callable[[], None], float]]:
    """What is measured, and by how much its time is multiplied."""
    n = len(rows)
    return {
        "product": (lambda: product(rows), 1),
        "top_k": (lambda: top_k(rows, K) and None, 1),
        "top_k of half": (lambda: top_k(rows[: n // 2], K) and None, 1),
        "top_k of 100": (lambda: top_k(rows, 100) and None, 1),
        "top_k of 20": (lambda: top_k(rows, MAX_NEIGHBORS) and None, 1),
        "augment": (lambda: augmentation(rows), 1),
        "csls": (lambda: csls(rows), 1),
        "faiss": (lambda: faiss_search(rows), 1),
        "first version": (lambda: first_version(rows), n / LOOPED),
        "disk": (lambda: disk(4 * n**2, folder), 1),
        "matrix": (lambda: matrix(rows, folder, "float32"), 1),
        "disk float16": (lambda: disk(2 * n**2, folder), 1),
        "matrix float16": (lambda: matrix(rows, folder, "float16"), 1),
    }


def measured(work: Callable[[], None]) -> tuple[float, float]:
    """Its seconds, and the most memory above what was there before, in GB."""
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    began = time.perf_counter()
    work()
    return time.perf_counter() - began, memory("VmHWM") - before


def memory(what: str) -> float:
    """A size of this process in GB, as Linux tells it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m tests.bench.similarity")
    parser.add_argument("--n", type=int, default=32_768)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="names of lines, by commas")
    parser.add_argument("--without", default="", help="names of lines, by commas")
    parser.add_argument("--folder", type=Path, help="of the matrix; default: a temporary one")
    options = parser.parse_args()
    rows = features(options.n, options.d)
    best: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        lines = {
            line: work
            for line, work in works(rows, Path(name)).items()
            if (not options.only or line in options.only.split(","))
            and line not in options.without.split(",")
            and (line != "faiss" or find_spec("faiss"))
        }
        for _ in range(options.rounds):  # one after the other, so that a noisy minute hits all
            for line, (work, times) in tqdm(lines.items(), leave=False):
                seconds, above = measured(work)
                found = (seconds * times, above)
                best[line] = min(best.get(line, found), found)
    print(f"n = {options.n}, d = {options.d}, {torch.get_num_threads()} threads; the normalized")
    print(f"copy of the rows takes {rows.nbytes / 1e9:.1f} GB, memory is above the rows themselves")
    print(f"{'':15} {'seconds':>9} {'product = 1':>12} {'memory, GB':>11}")
    plain = best["product"][0] if "product" in best else float("nan")
    for line, (seconds, above) in best.items():
        print(f"{line:15} {seconds:9.1f} {seconds / plain:12.2f} {above:11.2f}")
    conclude({line: seconds for line, (seconds, _) in best.items()}, options.n, options.d)


def conclude(seconds: dict[str, float], n: int, d: int) -> None:
    """How the lines stand to one another."""
    if "product" in seconds:
        print(f"the product runs at {2 * n**2 * d / seconds['product'] / 1e9:.0f} GFLOP/s")
    if {"product", "augment"} <= seconds.keys():
        print(f"augmentation takes {seconds['augment'] / seconds['product']:.3f} of the product")
    if {"top_k", "top_k of half"} <= seconds.keys():
        growth = seconds["top_k"] / seconds["top_k of half"]
        print(f"twice the rows take {growth:.2f} times as long")
    for other in ("faiss", "first version"):
        if {"top_k", other} <= seconds.keys():
            print(f"top_k takes 1/{seconds[other] / seconds['top_k']:.1f} of {other}")
    for dtype in ("", " float16"):
        if {"product", f"disk{dtype}", f"matrix{dtype}"} <= seconds.keys():
            bound = max(seconds["product"], seconds[f"disk{dtype}"])
            share = bound / seconds[f"matrix{dtype}"]
            print(f"matrix{dtype} reaches {share:.2f} of the slower of product and disk")


if __name__ == "__main__":
    main()
