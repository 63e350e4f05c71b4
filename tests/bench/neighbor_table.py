"""Time and size of a run's tables as CSV and Parquet:  python -m tests.bench.neighbor_table

Invented titles and neighbors, with all columns that the museum's images have.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from src.gallery import Gallery
from src.reporting.neighbor_table import (
    neighbor_frame,
    write_neighbor_csv,
    write_neighbor_parquet,
)


def invented(n: int) -> Gallery:
    """Return a gallery of n images by 7,000 artists, with titles and addresses of usual length."""
    numbers = range(n)
    ids = [f"{number:08x}-0000-4000-8000-{number:012x}" for number in numbers]
    columns = {
        "file": [f"{image_id[:2]}/{image_id}.jpg" for image_id in ids],
        "image_id": ids,
        "object_id": [str(number) for number in numbers],
        "title": [f"Landscape, with a title of usual length {number}" for number in numbers],
        "artist": [f"Painter {number % 7000}" for number in numbers],
        "date": ["c. 1850"] * n,
        "page": [f"https://www.nga.gov/collection/art-object-page.{n}.html" for n in numbers],
        "iiif": [f"https://api.nga.gov/iiif/{image_id}" for image_id in ids],
        "wikidata": [f"Q{number}" for number in numbers],
    }
    return Gallery("invented", Path(), pd.DataFrame(columns, dtype=object))


def main() -> None:
    """Print seconds and megabytes of each file."""
    parser = argparse.ArgumentParser("python -m tests.bench.neighbor_table")
    parser.add_argument("--n", type=int, default=122_477)
    parser.add_argument("--k", type=int, default=10)
    options = parser.parse_args()
    gallery, draw = invented(options.n), np.random.default_rng(0)
    index = draw.integers(0, options.n, (options.n, options.k)).astype(np.int32)
    score = draw.random((options.n, options.k), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        table, columns = Path(folder, "neighbors.csv"), Path(folder, "neighbors.parquet")
        began = time.perf_counter()
        write_neighbor_csv(table, gallery, index, score)
        between = time.perf_counter()
        write_neighbor_parquet(columns, neighbor_frame(gallery, index, score))
        seconds = between - began, time.perf_counter() - between
        for path, taken in zip((table, columns), seconds, strict=True):
            print(f"{path.name}: {taken:.1f} s, {path.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
