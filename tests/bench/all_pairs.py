"""What the measures of whole rankings cost, beside one plain product and the search:

    python -m tests.bench.all_pairs [--n 32768] [--d 2048] [--bands 20] [--whole]

Four label columns, each alone, without the same object and, but for the artist, without the same
artist: eleven tasks. Lines are computed from the best of some bands, which alternate in one
process; with --whole the product, the search and the measures also run to their end.
"""

import argparse
import time

import numpy as np
import torch
from torch import Tensor

from src.evaluation.all_pairs import Task, WholeRankings, all_pairs
from src.evaluation.relevance import Relevance
from src.similarity import top_k
from src.similarity.all_scores import AllScores
from src.similarity.exact_tiles import SIDE
from tests.bench.metrics import CLASSES
from tests.bench.similarity import features, measured, product

COLUMNS = ("artist", "style", "school", "genre")
MUSEUM = 122_477  # images that CLASSES is of


def label_tasks(n: int) -> list[Task]:
    """Four columns with and without filters; a tenth of the images has no label."""
    draw, alone = np.random.default_rng(0), np.arange(n)
    objects = np.where(alone % 5 > 0, n + alone, alone // 3)
    tasks: list[Task] = []
    artists = alone
    for column in COLUMNS:
        classes = CLASSES[column] * n // MUSEUM if column == "artist" else CLASSES[column]
        values = draw.integers(classes, size=n)
        if column == "artist":
            artists = values
        labels = np.where(draw.random(n) < 0.1, -1, values)
        tasks.append(Task(column, Relevance(labels, [alone])))
        tasks.append(Task(f"{column}-no_same_object", Relevance(labels, [objects])))
        if column != "artist":
            tasks.append(Task(f"{column}-no_same_artist", Relevance(labels, [alone, artists])))
    return tasks


def bands(rows: Tensor, tasks: list[Task], times: int) -> dict[str, float]:
    """The seconds of the whole comparison by its parts, each from its best band of so many.

    Half of the scores are the transposes of others.
    """
    n = len(rows)
    unit, scores, rankings = torch.nn.functional.normalize(rows), AllScores(rows), {}
    for count in (0, 1, len(tasks)):
        rankings[count] = WholeRankings(tasks[:count])
    size = SIDE["cpu"]
    out = torch.empty(size, n)
    best: dict[str, float] = {}

    def note(line: str, began: float, share: float = 1) -> None:
        seconds = (time.perf_counter() - began) * share * n / size
        best[line] = min(best.get(line, seconds), seconds)

    for _ in range(times):  # one after the other, so that a noisy second hits all
        began = time.perf_counter()
        torch.mm(unit[:size], unit.T, out=out)
        note("product", began)
        began = time.perf_counter()
        at, band = next(scores.bands())
        note("scores", began, 1 / 2)
        for count, measures in rankings.items():
            began = time.perf_counter()
            measures.add(at, band)
            note(f"ranks and {count} tasks", began)
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m tests.bench.all_pairs")
    parser.add_argument("--n", type=int, default=32_768)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument(
        "--bands", type=int, default=20, help="of 256 rows, the best of which counts"
    )
    parser.add_argument("--whole", action="store_true", help="also all of it, and the search")
    options = parser.parse_args()
    rows, tasks = features(options.n, options.d), label_tasks(options.n)
    lines = {line: (seconds, 0.0) for line, seconds in bands(rows, tasks, options.bands).items()}
    if options.whole:
        lines["all of product"] = measured(lambda: product(rows))
        lines["all of top_k of 100"] = measured(lambda: top_k(rows, 100) and None)
        lines["all of all_pairs"] = measured(lambda: all_pairs(rows, tasks) and None)
    print(f"n = {options.n}, d = {options.d}, {torch.get_num_threads()} threads")
    print(f"{'':22} {'seconds':>8} {'product = 1':>12} {'memory, GB':>11}")
    for line, (seconds, above) in lines.items():
        plain = lines["all of product" if line.startswith("all") else "product"][0]
        print(f"{line:22} {seconds:8.1f} {seconds / plain:12.2f} {above:11.2f}")


if __name__ == "__main__":
    main()
