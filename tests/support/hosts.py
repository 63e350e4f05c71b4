"""Museums on localhost with small images, which can be told to misbehave; for tests."""

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
from src.gallery.museum import Fetched, fetch_missing
from src.gallery.nga import Catalog


def draw_small(folder: Path, images: int, side: int = 24, seed: int = 0) -> list[Row]:
    """Records of as many small JPEGs, drawn below folder; no two have the same bytes."""
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


# of waiting: four attempts in a few seconds at most
QUICK = RetryPolicy(attempts=4, first_wait=0.01, connect=2, silence=1, body=1.5)
LIMITS = Limits(bytes=60_000, pixels=10**6)


def download_all(
    museum: Museum, folder: Path, patience: RetryPolicy = QUICK, **options: Any
) -> Fetched:
    """Download all that the museum has once, at full speed but for the options."""
    chosen = Download(**({"requests_per_second": 0} | options))
    web = PoliteClient(chosen.requests_per_second, chosen.workers, chosen.contact, patience)
    return fetch_missing(catalog_of(museum), folder, chosen, LIMITS, web)


def catalog_of(museum: Museum, size: int = 256) -> Catalog:
    """All images of a museum, as its tables would give them."""
    url = museum.address + "/iiif/{}/full/!{},{}/0/default.jpg"
    rows = [(image_id, url.format(image_id, size, size)) for image_id in museum.files]
    works = pd.DataFrame(rows, columns=["image_id", "url"], dtype=object)
    return Catalog(works, frozenset(museum.files))


@dataclass
class Fault:
    """What an image's address does instead, the first times it is asked for; None = always."""

    name: str
    times: int | None = None


class Misbehaving(Handler):
    """Answers as its museum was told to."""

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/robots.txt":
            self.reply(*self.bad.robots, "text/plain")
        else:
            super().do_GET()

    @property
    def bad(self) -> "BadMuseum":
        """The server."""
        assert isinstance(self.server, BadMuseum)
        return self.server

    def image(self, image_id: str, width: int, height: int) -> None:
        """The image, or its fault."""
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
        """Close the connection after what was sent."""
        self.wfile.flush()
        self.close_connection = True

    def start(self, *headers: str) -> None:
        """A status of 200 and headers, no body yet."""
        self.wfile.write("\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode())


class BadMuseum(Museum):
    """A museum that can be told to misbehave, and remembers what it was asked."""

    handler = Misbehaving

    def __init__(self, records: Sequence[Row], folder: Path, port: int = 0) -> None:
        super().__init__(records, folder, port)
        self.faults: dict[str, Fault] = {}
        self.every: Fault | None = None  # of all images
        self.robots: tuple[int, bytes] = (200, b"")
        self.asked: Counter[str] = Counter()  # requests by image_id
        self.moments: list[float] = []  # of requests for images, in seconds
        self.log: list[str] = []  # image_ids, a request each
        self.headers: list[dict[str, str]] = []
        self.silence = 2.5  # seconds of a host that does not answer
        self.delay = 0.0  # seconds before an image
        self.redirect = ""  # where "moved elsewhere" leads
        self.lock = threading.Lock()

    def handle_error(self, *_: object) -> None:
        """Nothing: clients that hang up are part of the test."""


def reset(self: Misbehaving, body: bytes) -> None:
    """Half an answer, then a reset connection."""
    self.start("Content-Type: image/jpeg", f"Content-Length: {len(body)}")
    self.wfile.write(body[: len(body) // 2])
    self.wfile.flush()
    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    self.connection.close()
    self.close_connection = True


def cut(self: Misbehaving, body: bytes) -> None:
    """Less than was announced."""
    self.start("Content-Type: image/jpeg", f"Content-Length: {len(body)}")
    self.wfile.write(body[:-20])
    self.hang_up()


def cut_chunks(self: Misbehaving, body: bytes) -> None:
    """A chunk without the last one."""
    self.start("Content-Type: image/jpeg", "Transfer-Encoding: chunked")
    self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
    self.hang_up()


def cut_unannounced(self: Misbehaving, body: bytes) -> None:
    """A body that ends with the connection, too early."""
    self.start("Content-Type: image/jpeg", "Connection: close")
    self.wfile.write(body[:-20])
    self.hang_up()


def silent(self: Misbehaving, body: bytes) -> None:
    """Nothing for a while."""
    time.sleep(self.bad.silence)
    self.hang_up()


def trickle(self: Misbehaving, body: bytes) -> None:
    """A byte now and then."""
    self.start("Content-Type: image/jpeg", f"Content-Length: {len(body)}")
    for byte in body:
        self.wfile.write(bytes([byte]))
        self.wfile.flush()
        time.sleep(self.bad.silence / 10)


def endless(self: Misbehaving, body: bytes) -> None:
    """More and more."""
    self.start("Content-Type: image/jpeg", "Connection: close")
    for _ in range(10_000):
        self.wfile.write(body)
    self.hang_up()


def vast(self: Misbehaving, body: bytes) -> None:
    """Few bytes, many pixels."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    chunk = b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    idat = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    self.reply(200, b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + idat, "image/png")


def zipped(self: Misbehaving, body: bytes) -> None:
    """The image, compressed once more."""
    self.reply(200, gzip.compress(body), "image/jpeg", Content_Encoding="gzip")


def garbage(self: Misbehaving, body: bytes) -> None:
    """Not HTTP."""
    self.wfile.write(b"\x00\x01 what?\r\n\r\n")
    self.hang_up()


def no_content(self: Misbehaving, body: bytes) -> None:
    """A status that has no body."""
    self.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")


def wait_until(self: Misbehaving, body: bytes) -> None:
    """Come back at the second after the next."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    self.reply(503, b"", "text/html", Retry_After=date)


def moved_elsewhere(self: Misbehaving, body: bytes) -> None:
    """A redirect to where the museum says."""
    self.reply(301, b"", "text/plain", Location=self.bad.redirect.encode().decode("latin-1"))


def moved(target: str) -> Callable[[Misbehaving, bytes], None]:
    """A redirect; {} stands for the address asked for."""

    def answer(self: Misbehaving, body: bytes) -> None:
        self.reply(302, b"", "text/plain", Location=target.format(self.path))

    return answer


def status(code: int, **headers: str) -> Callable[[Misbehaving, bytes], None]:
    """An answer of this status."""
    return lambda self, body: self.reply(code, b"<html>no</html>", "text/html", **headers)


def content(body: bytes, kind: str) -> Callable[[Misbehaving, bytes], None]:
    """An answer of status 200."""
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
