"""A stand-in for the museum's servers, so that demo and tests exercise the real download code.

It serves the drawn collection: the museum's five tables, and images by IIIF URLs.
"""

import csv
import hashlib
import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

from PIL import Image

from src.demo.collection import draw_collection

# All columns of the tables, in the schema of 2026
HEADERS = {
    "published_images.csv": "uuid,iiifurl,iiifthumburl,viewtype,sequence,width,height,maxpixels,"
    "openaccess,created,modified,depictstmsobjectid,assistivetext",
    "objects.csv": "objectid,uuid,accessioned,accessionnum,locationid,title,displaydate,beginyear,"
    "endyear,visualbrowsertimespan,medium,dimensions,inscription,markings,attributioninverted,"
    "attribution,provenancetext,creditline,classification,subclassification,"
    "visualbrowserclassification,parentid,isvirtual,departmentabbr,portfolio,series,volume,"
    "watermarks,lastdetectedmodification,wikidataid,customprinturl",
    "objects_constituents.csv": "objectid,constituentid,displayorder,roletype,role,prefix,suffix,"
    "displaydate,beginyear,endyear,country,zipcode",
    "constituents.csv": "constituentid,uuid,ulanid,preferreddisplayname,forwarddisplayname,"
    "lastname,displaydate,artistofngaobject,beginyear,endyear,visualbrowsertimespan,nationality,"
    "visualbrowsernationality,constituenttype,wikidataid",
    "objects_terms.csv": "termid,objectid,termtype,term,visualbrowsertheme,visualbrowserstyle",
}
ROBOTS = b"User-agent: *\nDisallow:\n"
IMAGE = re.compile(r"/iiif/([0-9a-f-]+)/full/!(\d+),(\d+)/0/default\.jpg")
Row = dict[str, str]


def tables(records: Sequence[Row], address: str) -> dict[str, bytes]:
    """Return the contents of the museum's five tables for works described by records.

    `address` is the URL of the server, without a path.
    """
    artists = sorted({record["artist"] for record in records})
    rows: dict[str, list[Row]] = {name: [] for name in HEADERS}
    for number, artist in enumerate(artists):
        rows["constituents.csv"].append(
            {"constituentid": str(number), "forwarddisplayname": artist, "nationality": "Invented"}
        )
    for record in records:
        object_id = record["object_id"]
        rows["published_images.csv"].append(_image(record, f"{address}/iiif/{record['image_id']}"))
        if record["view"] == "primary":
            rows["objects.csv"].append(_object(record))
            person = str(artists.index(record["artist"]))
            role = {"objectid": object_id, "constituentid": person, "displayorder": "1"}
            rows["objects_constituents.csv"].append(role | {"roletype": "artist"})
            for kind in ("School", "Style"):
                term = {"objectid": object_id, "termtype": kind, "term": record[kind.lower()]}
                rows["objects_terms.csv"].append(term)
    return {name: _csv(name, rows[name]) for name in HEADERS}


def _image(record: Row, url: str) -> Row:
    """Return a row of published_images.csv."""
    return {
        "uuid": record["image_id"],
        "iiifurl": url,
        "viewtype": record["view"],
        "iiifthumburl": f"{url}/full/!200,200/0/default.jpg",
        "sequence": "0",
        "width": record["width"],
        "height": record["height"],
        "openaccess": "1",
        "depictstmsobjectid": record["object_id"],
        "assistivetext": record.get("assistive_text", ""),
    }


def _object(record: Row) -> Row:
    """Return a row of objects.csv."""
    year = record["date"]
    return {
        "objectid": record["object_id"],
        "title": record["title"],
        "displaydate": year,
        "beginyear": year,
        "endyear": year,
        "medium": record["medium"],
        "classification": record["classification"],
    }


def _csv(name: str, rows: list[Row]) -> bytes:
    """Return the content of a table with all its columns, empty where a row lacks one."""
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADERS[name].split(","), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


class Handler(BaseHTTPRequestHandler):
    """Answer requests as the museum's two hosts do."""

    protocol_version = "HTTP/1.1"  # keeps connections open
    wbufsize = -1  # buffered: header and body are sent together
    disable_nagle_algorithm = True
    timeout = 60

    @property
    def museum(self) -> "Museum":
        """Return the server."""
        return cast("Museum", self.server)

    def do_GET(self) -> None:
        """Answer one request."""
        name = self.path.removeprefix("/data/")
        if name in self.museum.tables:
            self.table(self.museum.tables[name])
        elif (match := IMAGE.fullmatch(self.path)) and match[1] in self.museum.files:
            self.image(match[1], int(match[2]), int(match[3]))
        elif self.path == "/robots.txt":
            self.reply(200, ROBOTS, "text/plain")
        else:
            self.reply(404, b"not found", "text/plain")

    def table(self, body: bytes) -> None:
        """Answer with a table, or with 304 if the client has it."""
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.headers.get("If-None-Match") == etag:
            self.reply(304, b"", "text/csv", ETag=etag)
        else:
            self.reply(200, body, "text/csv; charset=utf-8", ETag=etag)

    def image(self, image_id: str, width: int, height: int) -> None:
        """Answer with an image that fits into width by height pixels."""
        self.reply(200, self.picture(image_id, width, height), "image/jpeg")

    def picture(self, image_id: str, width: int, height: int) -> bytes:
        """Return the bytes of an image, of the file itself if it fits into width by height."""
        path = self.museum.files[image_id]
        with Image.open(path) as image:
            if image.width <= width and image.height <= height:
                return path.read_bytes()
            image.thumbnail((width, height), Image.Resampling.LANCZOS)
            body = io.BytesIO()
            image.save(body, "JPEG", quality=90)
            return body.getvalue()

    def reply(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        """Send a complete response; names of extra headers have _ for -."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: clients have their own logs."""


class Museum(ThreadingHTTPServer):
    """Server on 127.0.0.1 for works described by records, whose files are below folder."""

    daemon_threads = True
    request_queue_size = 128

    handler: type[Handler] = Handler

    def __init__(self, records: Sequence[Row], folder: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), self.handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.files = {record["image_id"]: folder / record["file"] for record in records}
        self.tables = tables(records, self.address)


def open_museum(folder: Path, seed: int, port: int = 0) -> Museum:
    """Return a server of the drawn collection, not yet serving. Draws missing paintings.

    Paintings are stored in folder/seed-<seed>; port 0 takes any free port.
    """
    paintings = folder / f"seed-{seed}"
    records = draw_collection(paintings, seed)
    for record in records:
        with Image.open(paintings / record["file"]) as image:
            record["width"], record["height"] = map(str, image.size)
    return Museum(records, paintings, port)


@contextmanager
def served(museum: Museum) -> Iterator[str]:
    """Serve in a thread for the block; yield the URL of the tables."""
    thread = threading.Thread(target=museum.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"{museum.address}/data"
    finally:
        museum.shutdown()
        museum.server_close()
        thread.join()
