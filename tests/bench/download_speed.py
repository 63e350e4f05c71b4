"""Images a second of src.download beside a loop that only saves bytes:

    python -m tests.bench.download_speed [--images 2000] [--workers 8] [--rounds 3]

The host is a process of its own on 127.0.0.1 that gives JPEGs of 256 pixels; there is no limit of
requests. Both sides take turns, and the median of the rounds' ratios is what counts.
"""

import argparse
import logging
import multiprocessing
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import requests

from src.config.data import Download, Nga
from src.demo.server import Museum
from src.downloader.client import PoliteClient
from src.downloader.images import Limits
from src.downloader.tables import fetch_tables
from src.gallery.downloads import fetch_missing
from src.gallery.nga import read_catalog
from src.gallery.nga_tables import SCHEMA
from tests.support.hosts import draw_small


def host(folder: Path, images: int, pipe: Connection) -> None:
    """Serve until the pipe closes."""
    with Museum(draw_small(folder, images, side=256), folder) as museum:
        threading.Thread(target=museum.serve_forever, daemon=True).start()
        pipe.send(museum.address)
        pipe.recv()


def bare(addresses: list[str], folder: Path, workers: int) -> float:
    """Seconds of a pool of threads that saves what it is given."""
    own = threading.local()

    def save(numbered: tuple[int, str]) -> None:
        number, address = numbered
        if not hasattr(own, "session"):
            own.session = requests.Session()
        (folder / f"{number}.jpg").write_bytes(own.session.get(address).content)

    folder.mkdir()
    began = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(save, enumerate(addresses)))
    return time.perf_counter() - began


def polite(address: str, folder: Path, workers: int) -> tuple[float, list[str]]:
    """Seconds of src.download, and the addresses asked for."""
    web = PoliteClient(workers=workers, allow_local=True)
    fetch_tables(f"{address}/data", SCHEMA, folder / "tables", False, web)
    catalog = read_catalog(folder / "tables", Nga(), 0)
    began = time.perf_counter()
    options = Download(workers=workers, requests_per_second=0)
    fetched = fetch_missing(catalog, folder / "images", options, Limits(10**7, 10**8), web)
    assert len(fetched.present) == len(catalog.works), "not every image came"
    return time.perf_counter() - began, list(catalog.works["url"])


def main() -> None:
    """Print both rates and their ratio."""
    parser = argparse.ArgumentParser("python -m tests.bench.download_speed")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    here, there = multiprocessing.get_context("spawn").Pipe()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        args = (folder / "host", options.images, there)
        process = multiprocessing.get_context("spawn").Process(target=host, args=args)
        process.start()
        address, ratios = here.recv(), []
        for number in range(options.rounds):
            seconds, addresses = polite(address, folder / f"polite-{number}", options.workers)
            plain = bare(addresses, folder / f"bare-{number}", options.workers)
            ratios.append(plain / seconds)
            rates = [len(addresses) / each for each in (seconds, plain)]
            print(f"src.download {rates[0]:.0f} images/s, bare loop {rates[1]:.0f} images/s")
        here.send("end")
        process.join()
    print(f"ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
