"""Download the images of one host into one folder with several threads.

The folder holds <first two characters of the id>/<id>.jpg and journal.csv.
"""

import hashlib
import logging
import os
import queue
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.downloader.circuit_breaker import CircuitBreaker
from src.downloader.client import PoliteClient
from src.downloader.errors import Failure, Outcome
from src.downloader.journal import DownloadRecord, Journal, failure_record
from src.downloader.rate_limiter import Stopped
from src.io.images import check_complete
from src.io.unreadable import Unreadable

log = logging.getLogger(__name__)

JOIN_SECONDS = 5.0


@dataclass(frozen=True)
class Limits:
    """Largest accepted image."""

    bytes: int
    pixels: int


def path_of(folder: Path, image_id: str) -> Path:
    """Return the path of an image."""
    return folder / image_id[:2] / f"{image_id}.jpg"


def sizes_on_disk(folder: Path) -> dict[str, int]:
    """Return the size in bytes of each image in the folder, by id."""
    subfolders = (sub for sub in folder.glob("*") if sub.is_dir())
    files = (file for sub in subfolders for file in os.scandir(sub) if file.is_file())
    return {file.name[:-4]: file.stat().st_size for file in files if file.name.endswith(".jpg")}


def remove_partial_files(folder: Path) -> None:
    """Remove files left by killed processes. The caller must hold the lock of the folder."""
    for part in folder.glob("*/*.part"):
        part.unlink()


class ImageDownloader:
    """Threads that download images into a folder and add each outcome to the journal.

    An instance and its client serve one call of `fetch`, which stops the client's rate limiter.
    """

    def __init__(
        self, folder: Path, journal: Journal, client: PoliteClient, limits: Limits
    ) -> None:
        self._folder, self._journal, self._client = folder, journal, client
        self._limits = limits
        self._breaker = CircuitBreaker()
        self._decoders = threading.Semaphore(os.cpu_count() or 1)  # a large image takes 1 GB
        self._pending: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[DownloadRecord | Exception] = queue.SimpleQueue()

    def fetch(
        self, images: Sequence[tuple[str, str]], workers: int
    ) -> Generator[DownloadRecord, None, None]:
        """Download (id, URL) pairs; yield the record of each as soon as it is done.

        No thread sends requests after the end, whatever its cause. Raises HostUnavailable, and
        OSError if an image cannot be written.
        """
        for image in images:
            self._pending.put(image)
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        try:
            for _ in images:
                result = self._results.get()
                if isinstance(result, Exception):
                    self._stop(threads)
                    yield from self._late_records()
                    raise result
                yield result
            self._breaker.finish()
        finally:
            self._stop(threads)

    def _stop(self, threads: list[threading.Thread]) -> None:
        """Allow no further request, and wait some seconds for the threads to end."""
        self._client.rate_limiter.stop()
        end = time.monotonic() + JOIN_SECONDS
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _late_records(self) -> Iterator[DownloadRecord]:
        """Yield records that threads added between an error and the stop."""
        while not self._results.empty():
            result = self._results.get()
            if isinstance(result, DownloadRecord):
                yield result

    def _work(self) -> None:
        """Download pending images until none is left; the body of a thread."""
        try:
            while True:
                self._results.put(self._download(*self._pending.get_nowait()))
        except (queue.Empty, Stopped):
            pass
        except Exception as error:
            self._client.rate_limiter.stop()  # before the main thread reads the error
            self._results.put(error)

    def _download(self, image_id: str, url: str) -> DownloadRecord:
        """Download one image, save it, and add its record to the journal."""
        try:
            (body, width, height), attempts = self._client.with_retries(lambda: self._request(url))
        except Failure as failure:
            record = failure_record(image_id, url, failure)
            self._journal.add(record)
            self._breaker.image_failed(failure)
            return record
        if self._client.rate_limiter.stopped:  # another process may hold the folder's lock by now
            raise Stopped
        self._save(image_id, body)
        record = DownloadRecord(
            image_id,
            Outcome.ok.value,
            status="200",
            attempts=str(attempts),
            bytes=str(len(body)),
            sha256=hashlib.sha256(body).hexdigest(),
            width=str(width),
            height=str(height),
            url=url,
        )
        self._journal.add(record)  # after the file: an image in the journal exists
        self._breaker.image_succeeded()
        return record

    def _request(self, url: str) -> tuple[bytes, int, int]:
        """Send one request; return an image's bytes, width and height. Raises Failure."""
        try:
            with self._client.get(url) as response:
                content_type = response.headers.get("Content-Type", "no Content-Type")
                kind = content_type.partition(";")[0].strip()
                if not kind.lower().startswith("image/"):
                    raise Failure(Outcome.bad, f"not an image: {kind}", 200)
                body = b"".join(self._client.iter_body(response, self._limits.bytes))
            with self._decoders:
                return body, *check_complete(body, self._limits.pixels)
        except Unreadable as error:
            raise Failure(Outcome.bad, str(error), 200) from error
        except Failure as failure:
            self._breaker.request_failed(failure)
            raise

    def _save(self, image_id: str, body: bytes) -> None:
        """Write an image under a temporary name and rename it."""
        path = path_of(self._folder, image_id)
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(body)
        os.replace(part, path)
