"""A IIIF institution on localhost that misbehaves on request, for tests."""

import hashlib
import io
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from src.demo.server import Row
from tests.support.faults import FAULTS
from tests.support.hosts import BadMuseum, Misbehaving
from tests.support.iiif_documents import info, nested

IMAGE = re.compile(r"/level([012])/([0-9a-f-]+)/(full|\d+,\d+,\d+,\d+)/([^/]+)/0/default\.jpg")
INFO = re.compile(r"/level([012])/([0-9a-f-]+)/info\.json")
STATIC = re.compile(r"/static/([0-9a-f-]+)\.jpg")


class IiifHandler(Misbehaving):
    """Answer requests for documents, descriptions of services, and images."""

    def do_GET(self) -> None:
        """Answer one request, or with the fault of its path."""
        host, path = self.host, self.path
        with host.lock:
            host.asked[path] += 1
            host.moments.append(time.monotonic())
            host.log.append(path)
            fault, asked = host.faults.get(path), host.asked[path]
        time.sleep(host.delay)
        if path == "/robots.txt":
            self.reply(*host.robots, "text/plain")
            return
        body, kind = host.answer(path)
        if fault is not None and (fault.times is None or asked <= fault.times):
            FAULTS[fault.name](self, body or b"")
        elif body is None:
            self.reply(404, b"not found", "text/plain")
        else:
            self.answer(body, kind)

    def answer(self, body: bytes, kind: str) -> None:
        """Send a document or an image, or the status 304 if the client has it."""
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"ETag": etag} | self.host.headers_of.get(self.path, {})
        if self.headers.get("If-None-Match") == etag:
            self.reply(304, b"", kind, **headers)
        else:
            self.host.sent.append(body)
            self.reply(200, body, kind, **headers)

    @property
    def host(self) -> "IiifHost":
        """Return the server."""
        assert isinstance(self.server, IiifHost)
        return self.server


class IiifHost(BadMuseum):
    """Works in collections of both versions, below /p2 and /p3, with services of three levels."""

    handler = IiifHandler

    def __init__(self, records: Sequence[Row], folder: Path) -> None:
        super().__init__(records, folder)
        self.records = {record["image_id"]: record for record in records}
        self.documents: dict[str, Any] = {}  # JSON by path, or bytes
        for version in (2, 3):
            self.documents |= nested(self.address, records, version)
        self.headers_of: dict[str, dict[str, str]] = {}  # by path
        self.sent: list[bytes] = []  # bodies of answers without a fault

    def answer(self, path: str) -> tuple[bytes | None, str]:
        """Return the body and content type for a path; None if there is nothing."""
        if path in self.documents:
            found = self.documents[path]
            return (found if isinstance(found, bytes) else json.dumps(found).encode()), (
                "application/json"
            )
        if (match := INFO.fullmatch(path)) and match[2] in self.records:
            facts = info(self.address, self.records[match[2]], int(match[1]))
            return json.dumps(facts).encode(), "application/json"
        if (match := STATIC.fullmatch(path)) and match[1] in self.files:
            return self.files[match[1]].read_bytes(), "image/jpeg"
        if (match := IMAGE.fullmatch(path)) and match[2] in self.files:
            return self._image(int(match[1]), *match.groups()[1:]), "image/jpeg"
        return None, ""

    def _image(self, level: int, image_id: str, region: str, size: str) -> bytes | None:
        """Return an image of a size that a service of the level has to offer, None of others."""
        if region != "full" and level == 0:
            return None
        with Image.open(self.files[image_id]) as whole:
            x, y, w, h = (0, 0, *whole.size) if region == "full" else map(int, region.split(","))
            image = whole.crop((x, y, x + w, y + h))
            full = image.width
            widths = {0: [full // 4, full // 2, full], 1: range(1, full + 1)}.get(level, [])
            if size in ("full", "max"):
                width = full
            elif match := re.fullmatch(r"(\d+),(\d*)", size):
                width = int(match[1])
                if width not in widths:
                    return None
            elif (match := re.fullmatch(r"!(\d+),(\d+)", size)) and level == 2:
                width = min(int(match[1]), full)
            else:
                return None
            body = io.BytesIO()
            image.resize((width, width * image.height // full)).save(body, "JPEG", quality=90)
            return body.getvalue()
