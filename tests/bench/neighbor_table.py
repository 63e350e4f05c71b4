"""Time and size of a run's tables as CSV and Parquet:  python -m tests.bench.neighbor_table

Invented titles and neighbors, with all columns that the museum's images have.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from src.gallery import Gallery
from src.reporting import neighbor_table, painting_table
from src.reporting.compared import Compared, principal_components
from tests.support.peak import peak_kilobytes, reset_peak


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


def measured(what: str, work: Callable[[], object], *paths: Path) -> None:
    """Print the time of some work, the memory that it adds, and the sizes of its files."""
    reset_peak()
    before, began, computed = peak_kilobytes(), time.perf_counter(), time.process_time()
    work()
    seconds, computing = time.perf_counter() - began, time.process_time() - computed
    added = (peak_kilobytes() - before) / 1e6
    sizes = [f"{path.name} {path.stat().st_size / 1e6:.0f} MB" for path in paths]
    times = f"{what}: {seconds:.1f} s ({computing:.1f} s of processors)"
    print(", ".join([times, f"{added:.2f} GB of memory", *sizes]))


def main() -> None:
    """Print time, memory and sizes of each table."""
    parser = argparse.ArgumentParser("python -m tests.bench.neighbor_table")
    parser.add_argument("--n", type=int, default=122_477)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--d", type=int, default=2048)
    options = parser.parse_args()
    gallery, draw = invented(options.n), np.random.default_rng(0)
    lists = (
        draw.integers(0, options.n, (options.n, options.k)).astype(np.int32),
        draw.random((options.n, options.k), dtype=np.float32),
    )
    features = draw.random((options.n, options.d), dtype=np.float32)
    places = np.zeros((options.n, 2), np.float32)

    def place() -> None:
        """Compute where each image lies on the map."""
        places[:] = principal_components(Compared(features), 2)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs = folder / "neighbors.csv", folder / "neighbors.parquet"
        images = folder / "paintings.csv", folder / "paintings.parquet"

        measured(
            "neighbors",
            lambda: neighbor_table.write_neighbor_table(folder, gallery, *lists, True),
            *pairs,
        )
        measured("places on the map", place)
        measured(
            "paintings",
            lambda: painting_table.write_painting_table(folder, gallery, *lists, places, True),
            *images,
        )


if __name__ == "__main__":
    main()
