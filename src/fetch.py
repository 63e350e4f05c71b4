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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from src.images import Unreadable, check_whole
from src.journal import Journal, Record, failed, now
from src.pace import Stopped
from src.web import Failure, Outcome, Web

log = logging.getLogger(__name__)

REFUSALS_AT_FIRST = 50  # in a row, while nothing has come yet
REFUSALS_OF_ALL = 10  # images, when not one of all comes
REFUSALS_LATER = 500  # in a row, after something has: a network may be away for some minutes
LONGEST_PAUSE = 3600.0  # seconds; a host that asks for more is asked again another day
JOIN_SECONDS = 5.0


class HostRefuses(Exception):
    """Asking on makes no sense; the message says what was seen."""


@dataclass(frozen=True)
class Limits:
    """What an image may be at most."""

    bytes: int
    pixels: int


def path_of(folder: Path, image_id: str) -> Path:
    """The file of an image."""
    return folder / image_id[:2] / f"{image_id}.jpg"


def present(folder: Path) -> dict[str, int]:
    """The bytes of each image that is there, by id."""
    shelves = folder.glob("[0-9a-f][0-9a-f]")
    entries = (entry for shelf in shelves for entry in os.scandir(shelf))
    return {e.name[:-4]: e.stat().st_size for e in entries if e.name.endswith(".jpg")}


def clear(folder: Path) -> None:
    """Remove the half images of killed processes; to be called while no other process fetches."""
    for part in folder.glob("[0-9a-f][0-9a-f]/*.part"):
        part.unlink()


class Crew:
    """Threads that fetch images into a folder and journal each one."""

    def __init__(self, folder: Path, journal: Journal, web: Web, limits: Limits) -> None:
        self._folder, self._journal, self._web, self._limits = folder, journal, web, limits
        self._refusals = _Refusals()
        self._done: queue.SimpleQueue[Record | Exception] = queue.SimpleQueue()

    def fetch(self, images: Iterable[tuple[str, str]], workers: int) -> Iterator[Record]:
        """The outcome of each (id, address), in the order in which they come.

        Raises HostRefuses, and OSError when the disk does not take an image. However it ends, no
        thread goes on.
        """
        waiting = list(images)
        count, lock = len(waiting), threading.Lock()
        waiting.reverse()
        crew = [
            threading.Thread(target=self._work, args=(waiting, lock), daemon=True)
            for _ in range(min(workers, count))
        ]
        for thread in crew:
            thread.start()
        try:
            for _ in range(count):
                outcome = self._done.get()
                if isinstance(outcome, Exception):
                    raise outcome
                yield outcome
            self._refusals.end(count)
        finally:
            self._web.pace.stop()
            end = time.monotonic() + JOIN_SECONDS
            for thread in crew:
                thread.join(max(0.0, end - time.monotonic()))

    def _work(self, waiting: list[tuple[str, str]], lock: threading.Lock) -> None:
        try:
            while True:
                with lock:
                    if not waiting:
                        return
                    image_id, address = waiting.pop()
                self._done.put(self._one(image_id, address))
        except Stopped:
            pass  # the main thread knows why
        except Exception as error:
            self._done.put(error)

    def _one(self, image_id: str, address: str) -> Record:
        try:
            (body, width, height), attempts = self._web.patiently(lambda: self._ask(address))
        except Failure as failure:
            record = failed(image_id, address, failure)
        else:
            self._save(image_id, body)
            digest, size = hashlib.sha256(body).hexdigest(), str(len(body))
            texts = ("", "200", str(attempts), size, digest, str(width), str(height), now())
            record = Record(image_id, Outcome.ok.value, *texts, address)
        self._journal.add(record)  # after the image has its name: what is journaled is there
        return record

    def _ask(self, address: str) -> tuple[bytes, int, int]:
        try:
            with self._web.answer(address) as response:
                kind = response.headers.get("Content-Type", "no type").partition(";")[0]
                if not kind.startswith("image/"):
                    raise Failure(Outcome.bad, f"not an image but {kind}", 200)
                body = b"".join(self._web.chunks(response, self._limits.bytes))
            width, height = check_whole(body, self._limits.pixels)
        except Unreadable as error:
            raise Failure(Outcome.bad, str(error), 200) from error
        except Failure as failure:
            self._refusals.add(failure)
            raise
        self._refusals.clear()
        return body, width, height

    def _save(self, image_id: str, body: bytes) -> None:
        path = path_of(self._folder, image_id)
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(body)
        os.replace(part, path)


class _Refusals:
    """Watches for a host, or a network, that gives nothing any more."""

    def __init__(self) -> None:
        self._came = False
        self._seen: Counter[str] = Counter()  # since an image came
        self._lock = threading.Lock()

    def clear(self) -> None:
        """An image came."""
        with self._lock:
            self._came = True
            self._seen.clear()

    def add(self, failure: Failure) -> None:
        """Raises HostRefuses when these are too many. A 404 says something about one image only."""
        if failure.retry_after is not None and failure.retry_after > LONGEST_PAUSE:
            hours = failure.retry_after / 3600
            raise HostRefuses(f"the host asks to be left alone for {hours:.1f} hours")
        if failure.outcome is Outcome.permanent and failure.status not in (None, 401, 403):
            return
        with self._lock:
            self._seen[failure.reason] += 1
            if self._seen.total() >= (REFUSALS_LATER if self._came else REFUSALS_AT_FIRST):
                self._refuse("last" if self._came else "first")

    def end(self, images: int) -> None:
        """All have been asked for. Raises HostRefuses when not one of them came."""
        if not self._came and self._seen.total() >= max(images, REFUSALS_OF_ALL):
            self._refuse("only")

    def _refuse(self, which: str) -> None:
        seen = ", ".join(f"{count} x {reason}" for reason, count in self._seen.most_common(3))
        total = self._seen.total()
        raise HostRefuses(f"the {which} {total} requests brought nothing: {seen}")
