"""What images that are added cost, beside a run over all that starts anew:

    python -m tests.bench.growing [--n 20000] [--new 1000] [--d 2048] [--k 100] [--rounds 3] [--run]

Searches alternate in one process, the best of the rounds counts, and the neighbors are compared bit
by bit. New images are spread over the collection, as new files are in a folder. With --run the
stages rank and evaluate of a run with two labels follow, with and without whole rankings.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from src.config import Config, Evaluation
from src.config.enums import AllPairs
from src.embedding.cache import Embeddings
from src.gallery import Gallery
from src.pipeline.evaluate import evaluate
from src.pipeline.rank import rank
from src.runtime.progress import Clock
from src.similarity import Neighbors, NeighborSearch, SearchOptions
from src.similarity.centering import center
from src.similarity.digests import earlier_rows, row_digests
from src.similarity.record import hash_of
from tests.bench.similarity import features
from tests.support.ranked_run import works_of


class Steps:
    """A Watch that adds up the seconds of each long step of a search."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, items, step: str, _: int):  # type: ignore[no-untyped-def]
        """Yield the items."""
        began = time.perf_counter()
        yield from items
        self.seconds[step] = self.seconds.get(step, 0) + time.perf_counter() - began


def search(
    rows: Tensor, k: int, steps: Steps, lists: Path | None, earlier: tuple[Path, ...] = ()
) -> Neighbors:
    """The neighbors of all rows, kept in the folder lists, with those of other folders' help."""
    options = SearchOptions(lists=lists, earlier=earlier, watch=steps)
    return NeighborSearch(rows, options=options).nearest(k)


class Timed(NamedTuple):
    """The seconds of a search."""

    wall: float
    processor: float  # of all threads together
    steps: dict[str, float]


def alternated(rows: Tensor, old: Tensor, k: int, rounds: int, folder: Path) -> None:
    """Search in all ways, one after the other; print the best of each, and assert equal bits."""
    before = folder / "before"
    search(old, k, Steps(), before)
    best: dict[str, Timed] = {}
    for number in tqdm(range(rounds), leave=False):
        fresh, grown = folder / f"fresh-{number}", folder / f"grown-{number}"
        ways: dict[str, tuple[Path | None, tuple[Path, ...]]] = {
            "all, nothing kept": (None, ()),
            "all": (fresh, ()),
            "grown": (grown, (before,)),
            "again": (grown, ()),
        }
        found = dict[str, Neighbors]()
        for way, where in ways.items():
            steps, wall, processor = Steps(), time.perf_counter(), time.process_time()
            found[way] = search(rows, k, steps, *where)
            spent = time.perf_counter() - wall, time.process_time() - processor
            best[way] = min(
                best.get(way, Timed(*spent, steps.seconds)), Timed(*spent, steps.seconds)
            )
        for each in found.values():
            assert np.array_equal(each.index, found["all"].index)
            assert np.array_equal(each.score.view("i4"), found["all"].score.view("i4"))
    print(f"{'':18} {'seconds':>8} {'all = 1':>8} {'of processors':>14} {'all = 1':>8}")
    for way, (wall, processor, by_step) in best.items():
        parts = ", ".join(f"{step} {value:.2f}" for step, value in by_step.items() if value > 0.005)
        whole = best["all"]
        print(f"{way:18} {wall:8.2f} {wall / whole.wall:8.3f}", end=" ")
        print(f"{processor:14.2f} {processor / whole.processor:8.3f}  {parts}")


def stages(rows: Tensor, old: Tensor) -> None:
    """What is in proportion to all rows: hashes, and the centered copy."""
    digests, earlier = row_digests(rows), row_digests(old)
    works: dict[str, Callable[[], object]] = {
        "hash of all": lambda: hash_of(rows),
        "hash of each row": lambda: row_digests(rows),
        "matching": lambda: earlier_rows(digests, earlier),
        "centering": lambda: center(rows, torch.device("cpu")),
    }
    for name, work in works.items():
        began = time.perf_counter()
        work()
        print(f"{name:18} {time.perf_counter() - began:8.2f} s")


def run_stages(rows: np.ndarray, is_new: np.ndarray, folder: Path) -> None:
    """What ranking and metrics of a run take over all images, from nothing and grown."""
    n, draw = len(rows), np.random.default_rng(0)
    works = works_of(n)
    works["artist"] = draw.integers(n // 15, size=n).astype(str)
    works["style"] = draw.integers(30, size=n).astype(str)
    gallery = Gallery("all", folder, works)
    lists = Config(evaluation=Evaluation(all_pairs=AllPairs.never, labels=["artist", "style"]))
    whole = replace(lists, evaluation=replace(lists.evaluation, all_pairs=AllPairs.always))
    old = gallery.subset(np.flatnonzero(~is_new))
    before = Embeddings(folder / "earlier" / "before" / "x-0" / "layer", old, rows[~is_new], {})
    after = {
        way: Embeddings(folder / way / "x-1" / "layer", gallery, rows, {})
        for way in ("outputs/all", "earlier/all")
    }
    for each in (before, *after.values()):
        each.folder.mkdir(parents=True)
    rank(before, lists, folder / "run")
    found = list[dict[str, Any]]()
    for way, embeddings in after.items():
        clock = Clock()
        with clock("rank"):
            ranking = rank(embeddings, lists, folder / "run")
        with clock("evaluate"):
            evaluate(ranking, gallery, lists, folder / "run")
        with clock("evaluate, whole rankings"):
            found.append(evaluate(ranking, gallery, whole, folder / "run"))
        print(way, {name: round(value, 2) for name, value in clock.seconds.items()})
    assert found[0] == found[1]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser("python -m tests.bench.growing")
    parser.add_argument("--n", type=int, default=20_000, help="images in the end")
    parser.add_argument("--new", type=int, default=1000)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", action="store_true", help="also rank and evaluate")
    options = parser.parse_args()
    rows = features(options.n, options.d)
    is_new = np.zeros(options.n, dtype=bool)
    is_new[np.random.default_rng(0).choice(options.n, options.new, replace=False)] = True
    old = rows[torch.from_numpy(~is_new)]
    print(f"n = {options.n}, {options.new} new, d = {options.d}, k = {options.k},", end=" ")
    print(f"{torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as folder:
        if options.rounds:
            alternated(rows, old, options.k, options.rounds, Path(folder))
            stages(rows, old)
        if options.run:
            run_stages(rows.numpy(), is_new, Path(folder))


if __name__ == "__main__":
    main()
