"""Images of one host into one folder, by several threads at one pace, each image's outcome kept.

The folder holds <first two of the id>/<id>.jpg and journal.csv.
"""

import hashlib
import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.downloader.client import PoliteClient
from src.downloader.errors import Failure, Outcome
from src.downloader.journal import DownloadRecord, Journal, failed
from src.downloader.rate_limiter import LONGEST_PAUSE, Stopped
from src.io.images import Unreadable, check_whole

log = logging.getLogger(__name__)

AT_FIRST = 50  # refusals in a row while nothing has come
LATER = 500  # and after something has: a network may be away for some minutes
OF_ALL = 10  # images, of which not one came
JOIN_SECONDS = 5.0
NOBODY = (None, 401, 403, 429)  # statuses of a host that does not serve us; None: no answer


class HostUnavailable(Exception):
    """Asking on makes no sense; the message says what was seen."""

    def __init__(self, seen: str, host_answered: bool = True) -> None:
        super().__init__(seen)
        self.host_answered = host_answered  # by HTTP; else there may be no network


@dataclass(frozen=True)
class Limits:
    """What an image may be at most."""

    bytes: int
    pixels: int


def path_of(folder: Path, image_id: str) -> Path:
    """The file of an image."""
    return folder / image_id[:2] / f"{image_id}.jpg"


def sizes_on_disk(folder: Path) -> dict[str, int]:
    """The bytes of each image that is there, by id."""
    shelves = folder.glob("[0-9a-f][0-9a-f]")
    files = (entry for shelf in shelves for entry in os.scandir(shelf) if entry.is_file())
    return {file.name[:-4]: file.stat().st_size for file in files if file.name.endswith(".jpg")}


def remove_partial_files(folder: Path) -> None:
    """Remove what killed processes left; to be called while no other process fetches."""
    for part in folder.glob("[0-9a-f][0-9a-f]/*.part"):
        part.unlink()


class ImageDownloader:
    """Threads that fetch images into a folder and journal each one. Good for one fetch, and so is
    its client."""

    def __init__(self, folder: Path, journal: Journal, web: PoliteClient, limits: Limits) -> None:
        self._folder, self._journal, self._web, self._limits = folder, journal, web, limits
        self._refusals = _CircuitBreaker()
        self._decoders = threading.Semaphore(os.cpu_count() or 1)  # a large image takes a GB
        self._waiting: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[DownloadRecord | Exception] = queue.SimpleQueue()

    def fetch(
        self, images: Sequence[tuple[str, str]], workers: int
    ) -> Generator[DownloadRecord, None, None]:
        """The outcome of each (id, address), in the order in which they come.

        Raises HostUnavailable, and OSError when an image cannot be written. However it ends, no
        thread asks on.
        """
        for image in images:
            self._waiting.put(image)
        crew = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in crew:
            thread.start()
        try:
            for _ in images:
                outcome = self._done.get()
                if isinstance(outcome, Exception):
                    self._stop(crew)
                    yield from self._late()
                    raise outcome
                yield outcome
            self._refusals.end()
        finally:
            self._stop(crew)

    def _stop(self, crew: list[threading.Thread]) -> None:
        self._web.pace.stop()
        end = time.monotonic() + JOIN_SECONDS
        for thread in crew:
            thread.join(max(0.0, end - time.monotonic()))

    def _late(self) -> Iterator[DownloadRecord]:
        """What was journaled while an error was on its way to the main thread."""
        while not self._done.empty():
            outcome = self._done.get()
            if isinstance(outcome, DownloadRecord):
                yield outcome

    def _work(self) -> None:
        try:
            while True:
                self._done.put(self._one(*self._waiting.get_nowait()))
        except (queue.Empty, Stopped):
            pass  # all are asked for, or the main thread knows why not
        except Exception as error:
            self._web.pace.stop()  # nobody asks on while the main thread hears of it
            self._done.put(error)

    def _one(self, image_id: str, address: str) -> DownloadRecord:
        try:
            (body, width, height), attempts = self._web.with_retries(lambda: self._ask(address))
        except Failure as failure:
            record = failed(image_id, address, failure)
            self._journal.add(record)
            self._refusals.image_failed(failure)
            return record
        if self._web.pace.stopped:  # whoever called may have let another process in
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
            url=address,
        )
        self._journal.add(record)  # after the image has its name: what is journaled is there
        self._refusals.image_came()
        return record

    def _ask(self, address: str) -> tuple[bytes, int, int]:
        """An image's bytes, width and height."""
        try:
            with self._web.answer(address) as response:
                kind = response.headers.get("Content-Type", "no type").partition(";")[0].strip()
                if not kind.lower().startswith("image/"):
                    raise Failure(Outcome.bad, f"not an image but {kind}", 200)
                body = b"".join(self._web.chunks(response, self._limits.bytes))
            with self._decoders:
                return body, *check_whole(body, self._limits.pixels)
        except Unreadable as error:
            raise Failure(Outcome.bad, str(error), 200) from error
        except Failure as failure:
            self._refusals.request_failed(failure)
            raise

    def _save(self, image_id: str, body: bytes) -> None:
        path = path_of(self._folder, image_id)
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(body)
        os.replace(part, path)


class _CircuitBreaker:
    """Watches for a host, or a network, that gives nothing any more.

    Counted are requests that say so on their own, and images that failed in any other way but for
    good: a 404 says something about one image only.
    """

    def __init__(self) -> None:
        self._came = self._answered = False
        self._requests: Counter[str] = Counter()  # since an image came
        self._images: Counter[str] = Counter()
        self._lock = threading.Lock()

    def image_came(self) -> None:
        """All is well."""
        with self._lock:
            self._came = self._answered = True
            self._requests.clear()
            self._images.clear()

    def request_failed(self, failure: Failure) -> None:
        """Raises HostUnavailable when these are too many."""
        if failure.retry_after is not None and failure.retry_after > LONGEST_PAUSE:
            hours = failure.retry_after / 3600
            raise HostUnavailable(f"the host asks to be left alone for {hours:.1f} hours")
        if failure.status in NOBODY:
            self._count(self._requests, failure, "requests")

    def image_failed(self, failure: Failure) -> None:
        """Raises HostUnavailable when these are too many."""
        if failure.outcome is not Outcome.permanent:
            self._count(self._images, failure, "images")

    def end(self) -> None:
        """All have been asked for. Raises HostUnavailable when not one of some came."""
        for seen, what in ((self._requests, "requests"), (self._images, "images")):
            if not self._came and seen.total() >= OF_ALL:
                self._refuse("all", seen, what)

    def _count(self, seen: Counter[str], failure: Failure, what: str) -> None:
        with self._lock:
            self._answered = self._answered or failure.status is not None
            seen[failure.reason] += 1
            if seen.total() >= (LATER if self._came else AT_FIRST):
                self._refuse("the last" if self._came else "the first", seen, what)

    def _refuse(self, which: str, seen: Counter[str], what: str) -> None:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in seen.most_common(3))
        words = f"{which} {seen.total()} {what} brought nothing: {reasons}"
        raise HostUnavailable(words, self._answered)
