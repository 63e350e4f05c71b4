"""What the matrix of a collection that has grown costs, beside one that is written from nothing:

    python -m tests.bench.growing_matrix [--n 20000] [--new 1000] [--d 2048] [--rounds 2]

Both alternate in one process, the best of the rounds counts, and their bytes are compared. New
images are spread over the collection. Writing as many bytes to disk is the lower bound of both.
"""

import argparse
import filecmp
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from src.similarity import NeighborSearch, SearchOptions, write_matrix
from tests.bench.growing import Steps
from tests.bench.similarity import disk, features


def written(rows: torch.Tensor, folder: Path, dtype: str, earlier: tuple[Path, ...]) -> Steps:
    """Write the matrix of rows to folder; return the seconds of its steps."""
    steps = Steps()
    options = SearchOptions(
        matrix=folder / "m.npy",
        dtype=dtype,
        earlier=earlier,
        watch=steps,  # type: ignore[arg-type]
    )
    NeighborSearch(rows, options=options).complete()
    return steps


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m tests.bench.growing_matrix")
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--new", type=int, default=1000)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--folder", type=Path, help="of the matrices; default: a temporary one")
    options = parser.parse_args()
    rows = features(options.n, options.d)
    is_new = np.zeros(options.n, bool)
    is_new[np.random.default_rng(0).choice(options.n, options.new, replace=False)] = True
    best: dict[str, tuple[float, float, dict[str, float]]] = {}

    def note(line: str, began: float, processor: float, steps: dict[str, float]) -> None:
        spent = time.perf_counter() - began, time.process_time() - processor, steps
        best[line] = min(best.get(line, spent), spent)

    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for number in tqdm(range(options.rounds), leave=False):
            before, grown, fresh = (Path(name, f"{way}-{number}") for way in ("b", "g", "f"))
            write_matrix(rows[torch.from_numpy(~is_new)], before / "m.npy", options.dtype)
            for line, folder, earlier in (("grown", grown, (before,)), ("all", fresh, ())):
                began = time.perf_counter(), time.process_time()
                steps = written(rows, folder, options.dtype, earlier)
                note(line, *began, steps.seconds)
            assert filecmp.cmp(grown / "m.npy", fresh / "m.npy", shallow=False)
            size = (fresh / "m.npy").stat().st_size
            for folder in (before, grown, fresh):
                (folder / "m.npy").unlink(missing_ok=True)
            began = time.perf_counter(), time.process_time()
            disk(size, Path(name))
            note("as many bytes", *began, {})
    print(f"n = {options.n}, {options.new} of them new, d = {options.d}, {options.dtype}")
    whole = best["all"]
    for line, (wall, processor, steps) in best.items():
        parts = ", ".join(f"{step} {seconds:.1f}" for step, seconds in steps.items())
        ratio = f"{wall / whole[0]:.2f} of all, {processor / whole[1]:.2f} in processor time"
        print(f"{line:15} {wall:7.1f} s {processor:7.1f} s  {ratio}; {parts}")


if __name__ == "__main__":
    main()
