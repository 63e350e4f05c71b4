"""Museums on localhost with small images that misbehave on request, for tests."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from src.config import Config
from src.config.data import Download
from src.demo.server import Handler, Museum, Row
from src.downloader.client import PoliteClient, RetryPolicy
from src.downloader.images import Limits
from src.gallery import museum
from src.gallery.catalog import Catalog
from src.gallery.downloads import Fetched, fetch_missing
from tests.support.faults import FAULTS
from tests.support.processes import Point


def draw_small(folder: Path, images: int, side: int = 24, seed: int = 0) -> list[Row]:
    """Draw small JPEGs below folder, no two with the same bytes; return their records."""
    draw, records = np.random.default_rng(seed), []
    for number in range(images):
        image_id = str(UUID(bytes=draw.bytes(16), version=4))
        file = f"{image_id[:2]}/{image_id}.jpg"
        record = {
            "image_id": image_id,
            "file": file,
            "object_id": str(100 + number),
            "title": f"Work {number}",
            "artist": f"Painter {number % 7}",
            "date": "1650",
            "classification": "Painting",
            "school": "Small",
            "style": f"Style {number % 3}",
            "medium": "oil",
            "view": "primary",
            "width": str(side),
            "height": str(side),
        }
        records.append(record)
        coarse = draw.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / file, "JPEG", quality=85)
    return records


# Four attempts within a few seconds
QUICK = RetryPolicy(
    attempts=4, first_wait=0.01, connect_timeout=2, read_timeout=1, total_timeout=1.5
)


def shorten_timeouts(monkeypatch: pytest.MonkeyPatch, quick: RetryPolicy) -> None:
    """Make clients of museum_gallery give up as early as quick does."""

    def client(*options: Any) -> PoliteClient:
        """Return a client of these options."""
        return PoliteClient(*options, retry_policy=quick)

    monkeypatch.setattr(museum, "PoliteClient", client)


def download_to_be_killed(cfg: Config, point: Point) -> None:
    """Download until the point at which the test kills this process."""
    point.arm()
    museum.museum_gallery(cfg)


LIMITS = Limits(bytes=60_000, pixels=10**6)


def local_client(*args: Any, **options: Any) -> PoliteClient:
    """Return a client whose hosts may be on this machine."""
    return PoliteClient(*args, **options, allow_local=True)


def download_all(
    museum: Museum, folder: Path, retry_policy: RetryPolicy = QUICK, **options: Any
) -> Fetched:
    """Download all images of a museum, without a rate limit unless the options set one."""
    download = Download(**({"requests_per_second": 0} | options))
    client = local_client(
        download.requests_per_second, download.workers, download.contact, retry_policy
    )
    return fetch_missing(catalog_of(museum), folder, download, LIMITS, client)


def catalog_of(museum: Museum, size: int = 256) -> Catalog:
    """Return a catalog of all images of a museum."""
    url = museum.address + "/iiif/{}/full/!{},{}/0/default.jpg"
    rows = [(image_id, url.format(image_id, size, size)) for image_id in museum.files]
    works = pd.DataFrame(rows, columns=["image_id", "url"], dtype=object)
    return Catalog(works, frozenset(museum.files))


@dataclass
class Fault:
    """A fault of an image's URL."""

    name: str  # key of FAULTS
    times: int | None = None  # requests that it affects, None = all


class Misbehaving(Handler):
    """Answer with the faults of a BadMuseum."""

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/robots.txt":
            self.reply(*self.bad.robots, "text/plain")
        else:
            super().do_GET()

    @property
    def bad(self) -> "BadMuseum":
        """Return the server."""
        assert isinstance(self.server, BadMuseum)
        return self.server

    def image(self, image_id: str, width: int, height: int) -> None:
        """Answer with the image, or with its fault."""
        museum = self.bad
        with museum.lock:
            museum.asked[image_id] += 1
            museum.moments.append(time.monotonic())
            museum.log.append(image_id)
            museum.headers.append(dict(self.headers))
            fault, asked = museum.faults.get(image_id, museum.every), museum.asked[image_id]
        time.sleep(museum.delay)
        if fault is None or (fault.times is not None and asked > fault.times):
            super().image(image_id, width, height)
        else:
            FAULTS[fault.name](self, self.picture(image_id, width, height))

    def hang_up(self) -> None:
        """Close the connection."""
        self.wfile.flush()
        self.close_connection = True

    def start(self, *headers: str) -> None:
        """Send the status 200 and headers, without a body."""
        self.wfile.write("\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode())


class BadMuseum(Museum):
    """A museum with faults, which records its requests."""

    handler = Misbehaving

    def __init__(self, records: Sequence[Row], folder: Path, port: int = 0) -> None:
        super().__init__(records, folder, port)
        self.faults: dict[str, Fault] = {}
        self.every: Fault | None = None  # of all images that faults does not name
        self.robots: tuple[int, bytes] = (200, b"")  # status and body of robots.txt
        self.asked: Counter[str] = Counter()  # requests by image_id
        self.moments: list[float] = []  # time of each request for an image, in seconds
        self.log: list[str] = []  # image_id of each request
        self.headers: list[dict[str, str]] = []
        self.silence = 2.5  # seconds without an answer
        self.delay = 0.0  # seconds before each image
        self.redirect = ""  # target of "moved elsewhere"
        self.lock = threading.Lock()

    def handle_error(self, *_: object) -> None:
        """Ignore clients that hang up, which is part of the tests."""


def address(museum: BadMuseum) -> str:
    """Return the URL of the museum's first image."""
    return f"{museum.address}/iiif/{next(iter(museum.files))}/full/!99,99/0/default.jpg"


def get(client: PoliteClient, url: str) -> bytes:
    """Return the body at url, of at most 1 MB."""
    with client.get(url) as response:
        return b"".join(client.iter_body(response, 10**6))
