"""All metrics of a collection's size: seconds and memory, by stage.

python -m tests.bench.metrics            # invented features, neighbors and six label columns
"""

import argparse
import cProfile
import pstats
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch

from src.config import Config
from src.config.data import Folder
from src.gallery import Gallery
from src.pipeline.evaluate import evaluate
from src.pipeline.rank import Ranking
from src.similarity import Neighbors

CLASSES = {"artist": 8000, "style": 60, "school": 25, "medium": 900, "decade": 55, "genre": 12}


def invented(n: int, d: int, depth: int, k: int) -> tuple[Ranking, Gallery]:
    """Neighbors that share labels more often than chance, three images an object at most."""
    draw = np.random.default_rng(0)
    features = torch.rand(n, d, generator=torch.Generator().manual_seed(0))
    far = np.minimum((draw.pareto(0.5, (n, depth)) * 3 + 1).astype(np.int64), n // 2)
    index = ((np.arange(n)[:, None] + far) % n).astype(np.int32)
    score = -np.sort(-draw.random((n, depth), dtype="f4"), axis=1)
    deep = Neighbors(index, score, 0)
    works = {"image_id": np.arange(n), "file": [f"{row}.jpg" for row in range(n)]}
    works["object_id"] = np.arange(n) // 3 + n * (np.arange(n) % 5 > 0)
    for column, classes in CLASSES.items():
        blocks = np.arange(n) * classes // n  # images near in order are alike
        mixed = np.where(draw.random(n) < 0.5, blocks, draw.integers(classes, size=n))
        works[column] = np.where(draw.random(n) < 0.1, "", mixed.astype(str))
    top = Neighbors(index[:, :k], score[:, :k], 0)
    frame = pd.DataFrame({name: np.asarray(values).astype(str) for name, values in works.items()})
    return Ranking(features, top, deep, None, "cpu"), Gallery("invented", Path(), frame)


def watched(peak: list[int], done: threading.Event) -> None:
    """Keep the most memory of this process in peak[0]."""
    process = psutil.Process()
    while not done.wait(0.02):
        peak[0] = max(peak[0], process.memory_info().rss)


def main() -> None:
    """Print seconds, memory above the features and neighbors, and where the time went."""
    parser = argparse.ArgumentParser("python -m tests.bench.metrics")
    parser.add_argument("--n", type=int, default=122_477)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    ranking, gallery = invented(options.n, options.d, 100, 10)
    before = psutil.Process().memory_info().rss
    peak, done = [before], threading.Event()
    threading.Thread(target=watched, args=(peak, done)).start()
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        if options.profile:
            profile.enable()
        metrics = evaluate(ranking, gallery, Config(data=Folder(images=".")), Path(folder))
        profile.disable()
        seconds = time.perf_counter() - began
    done.set()
    print(f"n = {options.n}, {len(CLASSES)} label columns, {len(metrics)} metrics:"
          f" {seconds:.1f} s, {(peak[0] - before) / 1e9:.2f} GB")  # fmt: skip
    if options.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)


if __name__ == "__main__":
    main()
