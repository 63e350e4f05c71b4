"""What the measures of whole rankings cost, beside one plain product and the search:

    python -m tests.bench.all_pairs [--n 32768] [--d 2048] [--rounds 1] [--whole 122477]

Four label columns, each alone, without the same object and, but for the artist, without the same
artist: eleven tasks. One process, the lines alternate, the best of the rounds counts.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from src.evaluation.all_pairs import Task, all_pairs
from src.evaluation.relevance import Relevance
from src.similarity import top_k
from src.similarity.all_scores import AllScores
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


def scores(rows: Tensor) -> None:
    """The scores of all pairs alone."""
    for _ in AllScores(rows).bands():
        pass


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m tests.bench.all_pairs")
    parser.add_argument("--n", type=int, default=32_768)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--whole", type=int, default=MUSEUM, help="images to extrapolate to")
    options = parser.parse_args()
    rows, tasks = features(options.n, options.d), label_tasks(options.n)
    lines: dict[str, Callable[[], object]] = {
        "product": lambda: product(rows),
        "top_k of 100": lambda: top_k(rows, 100),
        "scores of all pairs": lambda: scores(rows),
        "one label": lambda: all_pairs(rows, tasks[:1]),
        f"{len(tasks)} tasks": lambda: all_pairs(rows, tasks),
    }
    best: dict[str, tuple[float, float]] = {}
    for _ in range(options.rounds):  # one after the other, so that a noisy minute hits all
        for line, work in lines.items():
            found = measured(lambda work=work: work() and None)
            best[line] = min(best.get(line, found), found)
    print(f"n = {options.n}, d = {options.d}, {torch.get_num_threads()} threads")
    print(f"{'':20} {'seconds':>8} {'product = 1':>12} {'search = 1':>11} {'memory, GB':>11}"
          f" {'seconds of ' + str(options.whole):>19}")  # fmt: skip
    growth = (options.whole / options.n) ** 2
    for line, (seconds, above) in best.items():
        ratios = [seconds / best[other][0] for other in ("product", "top_k of 100")]
        print(f"{line:20} {seconds:8.1f} {ratios[0]:12.2f} {ratios[1]:11.2f} {above:11.2f}"
              f" {seconds * growth:19.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
