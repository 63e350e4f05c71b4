"""Download JSON documents into one folder with several threads.

The folder holds <first two characters of the id>/<id>.json, the ETag of each that has one beside
it, and journal.csv.
"""

import hashlib
from pathlib import Path

import requests

from src.downloader.body import decoded
from src.downloader.client import PoliteClient
from src.downloader.connections import current
from src.downloader.downloader import Arrival, Downloader, write_whole
from src.downloader.errors import Failure, Outcome
from src.downloader.hosts import Task
from src.downloader.images import path_of
from src.downloader.journal import Journal
from src.downloader.tables import ATTEMPTS, etag_path, peer_path, read_note
from src.downloader.x_robots_tag import FOLLOWING, check_tags
from src.errors import UserError
from src.io.json_text import NotJson, parse_object
from src.io.sources import read_source

SUFFIX = ".json"
HEADERS = {"Accept": "application/json, application/ld+json;q=0.9, */*;q=0.5"}
HEADERS["Accept-Encoding"] = "gzip"
ADVICE = "give the address of a IIIF collection or manifest, or save it as a file and name that"
MAX_BYTES = 64_000_000  # of a document, unpacked: a manifest of 10,000 canvases has about 20 MB


def document_id(url: str) -> str:
    """Return the name under which a document is kept: 32 hexadecimal digits."""
    return hashlib.sha256(url.encode()).hexdigest()[:32]


class DocumentDownloader(Downloader):
    """Threads that download JSON objects; with `refresh`, those on disk only if they changed."""

    def __init__(
        self, folder: Path, journal: Journal, client: PoliteClient, refresh: bool = False
    ) -> None:
        super().__init__(folder, journal, client)
        self._refresh = refresh

    def request(self, task: Task) -> Arrival:
        """Send the next request for a document; return it. Raises Failure, HostBusy."""
        path = path_of(self._folder, task.image_id, SUFFIX)
        etag = read_note(etag_path(path)) if self._refresh and path.exists() else ""
        headers = HEADERS | ({"If-None-Match": etag} if etag else {})
        with self._client.get(task.url, headers, same_host=True) as response:
            check_tags(response, FOLLOWING)
            if response.status_code == 304:
                return Arrival(read_source(path, MAX_BYTES), etag=etag)
            arrival = _receive(response, self._client)
        with self._decoders:  # what is parsed takes ten times its bytes
            _check(arrival, response)
        return arrival

    def save(self, image_id: str, arrival: Arrival) -> None:
        """Write a document, then its ETag, which marks it as current."""
        _write(path_of(self._folder, image_id, SUFFIX), arrival)


def fetch_named(url: str, path: Path, refresh: bool, client: PoliteClient) -> None:
    """Download the document that the user names to path, unless it is there.

    `refresh` asks whether it has changed. Its sender's address is kept beside it, as that of a
    table is. robots.txt and X-Robots-Tag are ignored: they are for programs that follow links.
    Raises UserError if it cannot be had.
    """
    if path.exists() and not refresh:
        return
    etag = read_note(etag_path(path)) if path.exists() else ""
    headers = HEADERS | ({"If-None-Match": etag} if etag else {})

    def request() -> None:
        """Send one request; write the document unless it has not changed."""
        with client.get(url, headers, robots=False, named=True) as response:
            if response.status_code != 304:
                _check(arrival := _receive(response, client), response)
                _write(path, arrival)
                write_whole(peer_path(path), current().peer.encode())

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        client.with_retries(request, ATTEMPTS)
    except Failure as failure:
        advice = "data.refresh=false uses the existing one" if path.exists() else ADVICE
        raise UserError(f"data.manifest={url}: {failure.reason}; {advice}") from failure


def _receive(response: requests.Response, client: PoliteClient) -> Arrival:
    """Read the body of a response. Raises Failure."""
    content = bytearray()
    body = client.iter_body(response, MAX_BYTES, raw=True)
    for piece in decoded(body, response.headers.get("Content-Encoding", "")):
        content += piece
        if len(content) > MAX_BYTES:
            reason = f"unpacks to more than {MAX_BYTES} bytes"
            raise Failure(Outcome.bad, reason, 200, retryable=False)
    return Arrival(bytes(content), etag=response.headers.get("ETag", ""))


def _check(arrival: Arrival, response: requests.Response) -> None:
    """Raise Failure unless what arrived is a JSON object."""
    try:
        parse_object(arrival.body)
    except NotJson as error:
        kind = response.headers.get("Content-Type", "no Content-Type").partition(";")[0]
        raise Failure(Outcome.bad, f"{error}: {kind.strip()}", 200) from error


def _write(path: Path, arrival: Arrival) -> None:
    """Write a document, then its ETag, which marks it as current."""
    write_whole(path, arrival.body)
    if arrival.etag:
        write_whole(etag_path(path), arrival.etag.encode())
    else:
        etag_path(path).unlink(missing_ok=True)
