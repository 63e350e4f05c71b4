"""Time of a crawl of many manifests on localhost:  python -m tests.bench.iiif FOLDER [MANIFESTS]

They are read three times: from the server, from the disk, and with data.refresh.
"""

import logging
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from src.config.data import Download, Iiif
from src.demo.server import Row, served
from src.downloader.client import PoliteClient
from src.gallery.iiif.catalog import fetch_catalog
from tests.support.iiif_documents import nested
from tests.support.iiif_host import IiifHost

FOREVER = 10**9  # seconds


def serve(count: int, folder: Path, queue: "SimpleQueue[str]") -> None:
    """Serve a collection of count manifests, each of about 1.5 kB; tell its address."""
    host = IiifHost([], folder)
    records = [work(number) for number in range(count)]
    host.documents = {path: node for path, node in nested(host.address, records, 3).items()}
    with served(host):
        queue.put(f"{host.address}/p3/top.json")
        time.sleep(FOREVER)


def work(number: int) -> Row:
    """Return a work whose image is a file without a service."""
    facts = {"image_id": f"{number:08x}", "object_id": str(number), "title": f"Work {number}"}
    facts |= {"artist": f"Painter {number % 500}", "date": "1650", "style": f"Style {number % 9}"}
    return facts | {"width": "4000", "height": "3000"}


def measured(name: str, read: Callable[[], Any]) -> None:
    """Print the seconds of a crawl, and the memory so far."""
    start = time.perf_counter()
    images = len(read().works)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{name}: {images} images, {seconds:.1f} s, {peak:.2f} GB at most so far")


def main() -> None:
    """Crawl from the server, the disk, and the server again."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    queue: SimpleQueue[str] = multiprocessing.SimpleQueue()
    process = multiprocessing.Process(target=serve, args=(count, folder, queue), daemon=True)
    process.start()
    manifest, download = queue.get(), Download(requests_per_second=0)

    def read(refresh: bool) -> Any:
        """Return the catalog, with images of level 2 sampled so that few info.json are read."""
        data = Iiif(manifest=manifest, refresh=refresh, max_manifests=count, limit=100)
        return fetch_catalog(data, download, 0, folder / "manifests", PoliteClient(workers=8))

    for name, refresh in (("from the server", False), ("from disk", False), ("again", True)):
        measured(name, lambda refresh=refresh: read(refresh))
    process.terminate()
    process.join()


if __name__ == "__main__":
    main()
