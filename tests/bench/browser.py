"""How fast the browser of runs is over many images, served, written, and in Chromium.

python -m tests.bench.browser [--n 122477] [--d 2048] [--folder FOLDER] [--only start,pages,map]

Titles, labels and pictures are invented. A folder keeps the run for the next time.
"""

import argparse
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from rich import filesize

from src.browser.views import VIEWS
from src.reporting.text import markdown_table
from tests.bench.map_frames import measured_map
from tests.support.big_run import Size, write_big_run

ROUNDS = 20  # requests of a page
STARTS = 3

PICTURES = 600  # thumbnails that are asked for
CONNECTIONS = 6  # of a web browser to a server
LINES = ("start", "pages", "thumbnails", "export", "map")
Line = tuple[str, str, str]  # what was measured, the result, the bound


class Served:
    """A server process."""

    def __init__(self, run: Path, outputs: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        words = [str(run), "--port", str(self.port), "--outputs", str(outputs)]
        began = time.perf_counter()
        command = [sys.executable, "-m", "src.browse", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while True:
            try:
                self.get("/0/gallery.html")
                break
            except OSError:
                assert self.process.poll() is None
                time.sleep(0.005)
        self.seconds = time.perf_counter() - began  # from command to the first page

    def get(self, address: str, connection: HTTPConnection | None = None) -> float:
        """Return the seconds of a request, which must succeed."""
        connection = connection or HTTPConnection("127.0.0.1", self.port)
        began = time.perf_counter()
        connection.request("GET", address)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, (address, answer.status)
        return time.perf_counter() - began

    def memory(self) -> tuple[float, float]:
        """Return the megabytes that the process holds, and those of no file."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return tuple(
            int(re.findall(rf"{name}:\s+(\d+)", text)[0]) / 1000 for name in ("VmRSS", "RssAnon")
        )

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait()


@contextmanager
def served(run: Path, outputs: Path) -> Iterator[Served]:
    """Serve a run for the block."""
    server = Served(run, outputs)
    try:
        yield server
    finally:
        server.close()


def start(run: Path, outputs: Path) -> Iterator[Line]:
    """Time the start, with the operating system's cache warm."""
    seconds = list[float]()
    for _ in range(STARTS):
        with served(run, outputs) as server:
            seconds.append(server.seconds)
    yield "start to first page", f"{statistics.median(seconds):.2f} s", "3 s"


def pages(run: Path, outputs: Path, n: int) -> Iterator[Line]:
    """Time each page, tell the memory, then time what reads the features."""
    with served(run, outputs) as server:
        rows = [number * n // ROUNDS for number in range(ROUNDS)]
        for name in VIEWS:
            yield timed(server, name, [f"/0/{name}.html" + row_of(name, row) for row in rows])
        for what, query in SEARCHES.items():
            addresses = [f"/0/gallery.html?{query.format(number)}" for number in range(1, ROUNDS)]
            yield timed(server, f"gallery: {what}", addresses)
        held, own = server.memory()
        yield "memory without a query", f"{held:.0f} MB, {own:.0f} MB of it private", "1 GB"
        for what, query in FILTERS.items():
            addresses = [f"/0/painting.html?row={row}&{query}" for row in rows]
            yield timed(server, f"painting: {what}", addresses)
        held, own = server.memory()
        yield "memory after filters", f"{held:.0f} MB, {own:.0f} MB of it private", ""


SEARCHES = {
    "a page of it": "page={0}00",
    "a word": "q=Madonna+{0}",
    "with a typo and accents": "q=madona+ete+{0}",
    "by title": "sort=title&page={0}",
    "a value of a label": "f.school=school+{0}",
}
FILTERS = {
    "other artists only": "only=other-artist",
    "a value of a label": "f.school=school+3",
    "a hundred neighbors": "k=100",
}


def row_of(name: str, row: int) -> str:
    """Return the parameters of a page about an image; the query's page is asked nothing."""
    return f"?row={row}" if VIEWS[name].per_row else ""


def timed(server: Served, what: str, addresses: Sequence[str]) -> Line:
    """Time requests, the first of them by itself."""
    connection = HTTPConnection("127.0.0.1", server.port)
    first, *others = [1000 * server.get(address, connection) for address in addresses]
    spread = f"{statistics.median(others):.0f} ms, worst {max(others):.0f}"
    return what, f"{spread}; the first {first:.0f}", "200 ms"


def thumbnails(run: Path, outputs: Path, n: int) -> Iterator[Line]:
    """Time thumbnails that are made, and that are cached."""
    rows = [number * n // PICTURES for number in range(PICTURES)]
    shutil.rmtree(outputs / "browser", ignore_errors=True)
    with served(run, outputs) as server, ThreadPoolExecutor(CONNECTIONS) as pool:
        for what in ("made", "from the cache"):
            addresses = [f"/thumbnails/0/{row // 1000:03d}/{row}.jpg" for row in rows]
            began = time.perf_counter()
            list(pool.map(server.get, addresses))
            rate = PICTURES / (time.perf_counter() - began)
            yield f"thumbnails {what}", f"{rate:.0f} a second", ""


def map_lines(run: Path, outputs: Path) -> Iterator[Line]:
    """Time the map's first paint after its data, and its frames while it is dragged."""
    with served(run, outputs) as server:
        server.get("/0/map.html")
        yield from measured_map(f"http://127.0.0.1:{server.port}/0/map.html")


def export(run: Path, outputs: Path) -> Iterator[Line]:
    """Time an export of all images, without large pictures and with them."""
    for what, words in (("thumbnails", ["--picture", "0"]), ("and large pictures", [])):
        with tempfile.TemporaryDirectory(dir=outputs) as folder:
            began = time.perf_counter()
            target = ["--export", folder, "--outputs", str(outputs / "none"), "--max-gb", "99"]
            command = [sys.executable, "-m", "src.browse", str(run), *target, *words]
            subprocess.run(command, check=True)
            seconds = time.perf_counter() - began
            files = [path for path in Path(folder).rglob("*") if path.is_file()]
            size = filesize.decimal(sum(path.stat().st_size for path in files))
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
        result = f"{seconds:.0f} s, {size} in {len(files):,} files, {peak:.0f} MB of memory"
        yield f"export with {what}", result, "possible"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m tests.bench.browser")
    parser.add_argument("--n", type=int, default=122_477)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--folder", type=Path, help="of the run; default: a temporary one")
    parser.add_argument("--only", default=",".join(LINES), help="names of parts, by commas")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        outputs = options.folder or Path(temporary)
        runs = list(outputs.glob("runs/*/*"))
        size = Size(options.n, options.d)
        run = runs[0] if runs else write_big_run(outputs, size, outputs / "images", 500)
        lines = {
            "start": start(run, outputs),
            "pages": pages(run, outputs, options.n),
            "thumbnails": thumbnails(run, outputs, options.n),
            "export": export(run, outputs),
            "map": map_lines(run, outputs),
        }
        chosen = options.only.split(",")
        found = [line for name in LINES if name in chosen for line in lines[name]]
        print(f"{options.n:,} images, {options.d} numbers each; {os.cpu_count()} cores\n")
        print(markdown_table(["what", "measured", "at most"], found))


if __name__ == "__main__":
    main()
