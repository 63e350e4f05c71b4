"""How fast all pairs are compared, beside one plain product of the same rows:

    python -m tests.bench.similarity [--n 32768] [--d 2048] [--rounds 2] [--without product,...]

Everything runs in one process, the best of the rounds counts, and each line gives its time as a
multiple of the product's. faiss is compared where faiss-cpu is installed.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from src.similarity import top_k, write_matrix

K = 10
ROWS = 4096  # of the product at once, so that it fits into memory
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
    unit = torch.nn.functional.normalize(rows)
    out = torch.empty(ROWS, len(rows))
    for block in unit.split(ROWS):
        torch.mm(block, unit.T, out=out[: len(block)])


def first_version(rows: Tensor) -> None:
    """What the first version did for each row: normalize all, multiply one, sort all."""
    for row in range(LOOPED):
        unit = torch.nn.functional.normalize(rows)
        similar = unit[row : row + 1] @ unit.T
        np.argsort(-similar[0].numpy())[1 : K + 1]


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


def best(rounds: int, work: Callable[[], None]) -> float:
    """The shortest of the rounds, in seconds."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m tests.bench.similarity")
    parser.add_argument("--n", type=int, default=32_768)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--without", default="", help="names of lines, by commas")
    parser.add_argument("--folder", type=Path, help="of the matrix; default: a temporary one")
    options = parser.parse_args()
    rows, without = features(options.n, options.d), options.without.split(",")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        works: dict[str, tuple[Callable[[], None], float]] = {
            "product": (lambda: product(rows), 1),
            "top_k": (lambda: top_k(rows, K) and None, 1),
            "faiss": (lambda: faiss_search(rows), 1),
            "first version": (lambda: first_version(rows), options.n / LOOPED),
            "disk": (lambda: disk(4 * options.n**2, folder), 1),
            "matrix": (lambda: matrix(rows, folder, "float32"), 1),
            "matrix float16": (lambda: matrix(rows, folder, "float16"), 1),
        }
        plain = None
        print(f"n = {options.n}, d = {options.d}, {torch.get_num_threads()} threads")
        for line, (work, times) in works.items():
            if line in without or (line == "faiss" and find_spec("faiss") is None):
                continue
            seconds = best(options.rounds, work) * times
            plain = plain or seconds
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(
                f"{line:15} {seconds:10.1f} s {seconds / plain:8.2f}  {peak:.1f} GB at most so far"
            )
        rate = 2 * options.n**2 * options.d / (plain or 1) / 1e9
        print(f"the product runs at {rate:.0f} GFLOP/s")


def matrix(rows: Tensor, folder: Path, dtype: str) -> None:
    """storage=full, from nothing."""
    path = folder / "matrix.npy"
    path.unlink(missing_ok=True)
    write_matrix(rows, path, dtype)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
