"""Museums on localhost with small images that misbehave on request, for tests."""

import gzip
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
from PIL import Image

from src.config.data import Download
from src.demo.server import Handler, Museum, Row
from src.downloader.client import PoliteClient, RetryPolicy
from src.downloader.images import Limits
from src.gallery.catalog import Catalog
from src.gallery.downloads import Fetched, fetch_missing


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
    attempts=4, first_wait=0.01, connect_timeout=2, read_timeout=1, body_timeout=1.5
)
LIMITS = Limits(bytes=60_000, pixels=10**6)


def download_all(
    museum: Museum, folder: Path, retry_policy: RetryPolicy = QUICK, **options: Any
) -> Fetched:
    """Download all images of a museum, without a rate limit unless the options set one."""
    download = Download(**({"requests_per_second": 0} | options))
    client = PoliteClient(
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
        self.every: Fault | None = None  # of all images without their own
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


def reset(self: Misbehaving, body: bytes) -> None:
    """Reset the connection after half of the body."""
    self.start("Content-Type: image/jpeg", f"Content-Length: {len(body)}")
    self.wfile.write(body[: len(body) // 2])
    self.wfile.flush()
    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    self.connection.close()
    self.close_connection = True


def cut(self: Misbehaving, body: bytes) -> None:
    """Send less than Content-Length announces."""
    self.start("Content-Type: image/jpeg", f"Content-Length: {len(body)}")
    self.wfile.write(body[:-20])
    self.hang_up()


def cut_chunks(self: Misbehaving, body: bytes) -> None:
    """Send a chunked body without its last chunk."""
    self.start("Content-Type: image/jpeg", "Transfer-Encoding: chunked")
    self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
    self.hang_up()


def cut_unannounced(self: Misbehaving, body: bytes) -> None:
    """Close the connection early, without a Content-Length."""
    self.start("Content-Type: image/jpeg", "Connection: close")
    self.wfile.write(body[:-20])
    self.hang_up()


def silent(self: Misbehaving, body: bytes) -> None:
    """Send nothing for a while."""
    time.sleep(self.bad.silence)
    self.hang_up()


def trickle(self: Misbehaving, body: bytes) -> None:
    """Send single bytes slowly."""
    self.start("Content-Type: image/jpeg", f"Content-Length: {len(body)}")
    for byte in body:
        self.wfile.write(bytes([byte]))
        self.wfile.flush()
        time.sleep(self.bad.silence / 10)


def endless(self: Misbehaving, body: bytes) -> None:
    """Send a body that is far too long, without a Content-Length."""
    self.start("Content-Type: image/jpeg", "Connection: close")
    for _ in range(10_000):
        self.wfile.write(body)
    self.hang_up()


def vast(self: Misbehaving, body: bytes) -> None:
    """Send a small PNG with very many pixels."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    chunk = b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    idat = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    self.reply(200, b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + idat, "image/png")


def zipped(self: Misbehaving, body: bytes) -> None:
    """Send the image with Content-Encoding gzip."""
    self.reply(200, gzip.compress(body), "image/jpeg", Content_Encoding="gzip")


def garbage(self: Misbehaving, body: bytes) -> None:
    """Send something that is not HTTP."""
    self.wfile.write(b"\x00\x01 what?\r\n\r\n")
    self.hang_up()


def no_content(self: Misbehaving, body: bytes) -> None:
    """Send the status 204, which has no body."""
    self.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")


def wait_until(self: Misbehaving, body: bytes) -> None:
    """Send a Retry-After date two seconds from now."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    self.reply(503, b"", "text/html", Retry_After=date)


def moved_elsewhere(self: Misbehaving, body: bytes) -> None:
    """Redirect to the museum's `redirect`."""
    self.reply(301, b"", "text/plain", Location=self.bad.redirect.encode().decode("latin-1"))


def moved(target: str) -> Callable[[Misbehaving, bytes], None]:
    """Return a fault that redirects; {} stands for the requested path."""

    def answer(self: Misbehaving, body: bytes) -> None:
        self.reply(302, b"", "text/plain", Location=target.format(self.path))

    return answer


def status(code: int, **headers: str) -> Callable[[Misbehaving, bytes], None]:
    """Return a fault that answers with this status."""
    return lambda self, body: self.reply(code, b"<html>no</html>", "text/html", **headers)


def content(body: bytes, kind: str) -> Callable[[Misbehaving, bytes], None]:
    """Return a fault that answers with this body and content type."""
    return lambda self, _: self.reply(200, body, kind)


FAULTS: dict[str, Callable[[Misbehaving, bytes], None]] = {
    "404": status(404),
    "410": status(410),
    "400": status(400),
    "401": status(401),
    "403": status(403),
    "429": status(429),
    "429 wait": status(429, Retry_After="1"),
    "500": status(500),
    "503": status(503),
    "503 wait until": wait_until,
    "503 for hours": status(503, Retry_After="7200"),
    "204": no_content,
    "reset": reset,
    "cut": cut,
    "cut chunks": cut_chunks,
    "cut unannounced": cut_unannounced,
    "silent": silent,
    "trickle": trickle,
    "garbage": garbage,
    "html": content(b"<html>Please log in</html>", "text/html"),
    "html as jpeg": content(b"<html>Please log in</html>", "image/jpeg"),
    "empty": content(b"", "image/jpeg"),
    "svg": content(b"<svg/>", "image/svg+xml"),
    "noise": content(b"\xff\xd8\xff\xe0" + bytes(range(256)), "image/jpeg"),
    "endless": endless,
    "announced too large": content(bytes(70_000), "image/jpeg"),
    "vast": vast,
    "zipped": zipped,
    "moved elsewhere": moved_elsewhere,
    "moved round": moved("{}"),
    "moved to ftp": moved("ftp://127.0.0.1/x.jpg"),
    "moved to file": moved("file:///etc/hostname"),
    "moved nowhere": moved("http://[::1"),
}
