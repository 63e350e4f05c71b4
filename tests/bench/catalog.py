"""Time and memory of the catalog:  python -m tests.bench.catalog FOLDER

FOLDER holds the museum's tables, or those that tests.bench.nga_tables writes.
"""

import logging
import resource
import sys
import time
from pathlib import Path

from src.config.data import Nga
from src.config.enums import View
from src.gallery.nga import read_catalog


def main() -> None:
    """The default selection, then every image."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    tables = Path(sys.argv[1])
    everything = Nga(classification="all", view=View.all, open_access=False)
    for name, options in (("the default", Nga()), ("everything", everything)):
        start = time.perf_counter()
        images = len(read_catalog(tables, options, seed=0).works)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{name}: {images} images, {seconds:.1f} s, {peak:.2f} GB at most so far")


if __name__ == "__main__":
    main()
