"""Threads that download what images and JSON documents have in common: pace, retries, journal."""

import hashlib
import itertools
import os
import queue
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from src.downloader.circuit_breaker import HostUnavailable
from src.downloader.client import MAX_REDIRECTS, PoliteClient
from src.downloader.errors import Failure, Outcome
from src.downloader.hosts import Host, Task
from src.downloader.journal import DownloadRecord, Journal, failure_record
from src.downloader.rate_limiter import HostBusy, Stopped
from src.downloader.schedule import Schedule

JOIN_SECONDS = 5.0
REFUSED_STATUSES = (401, 403)  # may concern the client rather than the image


@dataclass(frozen=True)
class Arrival:
    """A file that has come whole and was checked."""

    body: bytes
    width: str = ""  # pixels, of an image
    height: str = ""
    etag: str = ""  # of a document


def write_whole(path: Path, body: bytes) -> None:
    """Write a file under a name that nobody can guess, and rename it. Raises OSError."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(f".{secrets.token_hex(8)}.part")
    with part.open("xb") as file:
        file.write(body)
    os.replace(part, path)


class Downloader(ABC):
    """Threads that download files into a folder and add each outcome to the journal.

    An instance serves one call of `fetch`; its client serves others once that has come to its end.
    Subclasses say what a file is: how it is requested, checked and written.
    """

    def __init__(self, folder: Path, journal: Journal, client: PoliteClient) -> None:
        self._folder, self._journal, self._client = folder, journal, client
        self._decoders = threading.Semaphore(os.cpu_count() or 1)  # a large image takes 1 GB
        self._results: queue.SimpleQueue[DownloadRecord | Exception | None] = queue.SimpleQueue()

    @abstractmethod
    def request(self, task: Task) -> Arrival:
        """Send the next request of a task; return what came, checked. Raises Failure, HostBusy."""

    @abstractmethod
    def save(self, image_id: str, arrival: Arrival) -> None:
        """Write what came, whole or not at all. Raises OSError."""

    def fetch(
        self, images: Sequence[tuple[str, str]], workers: int, is_open: bool = False
    ) -> Generator[DownloadRecord, None, None]:
        """Download (id, URL) pairs; yield the record of each as soon as it is done.

        With `is_open`, `add` may name more until `finish`. No thread sends requests after the end,
        whatever its cause. Raises HostUnavailable once nothing is left to do if the main host
        refuses requests: some of its images then have no record. Images of any other host that does
        fail. Raises OSError if an image cannot be written.
        """
        limiter = self._client.rate_limiter
        self._schedule = schedule = Schedule(images, workers, limiter, is_open)
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        refusing, has_ended = None, False
        try:
            yield from self._records(workers)
            has_ended = True  # and the client can serve others
            if schedule.main.closed:
                raise schedule.main.closed
            schedule.main.breaker.finish()
            refusing = [host for host in schedule.hosts if host.closed]
        finally:
            if not has_ended:
                self._halt()
            self._join(threads)
            self._mark_retryable(schedule.hosts if refusing is None else refusing)

    def add(self, images: Sequence[tuple[str, str]]) -> None:
        """Download further (id, URL) pairs: between two records of an open fetch."""
        self._schedule.add(images)

    def finish(self) -> None:
        """Let an open fetch end once all that it was given is done."""
        self._schedule.finish()

    def _records(self, running: int) -> Iterator[DownloadRecord]:
        """Yield records until all running threads have ended. Raises a thread's exception."""
        while running:
            result = self._results.get()
            if isinstance(result, Exception):
                raise result
            if result is None:
                running -= 1
            else:
                yield result

    def _join(self, threads: list[threading.Thread]) -> None:
        """Wait some seconds for the threads to end."""
        end = time.monotonic() + JOIN_SECONDS
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _halt(self) -> None:
        """End all threads that wait."""
        self._client.stop()
        self._schedule.stop()

    def _mark_retryable(self, hosts: Sequence[Host]) -> None:
        """Journal refused images as transient failures, so that the next call requests them."""
        for record in itertools.chain.from_iterable(host.refused for host in hosts):
            self._journal.add(replace(record, outcome=Outcome.transient.value))

    def _work(self) -> None:
        """Download images until none is left; the body of a thread."""
        try:
            while task := self._schedule.take():
                self._advance(task, self._schedule.host_of(task.url))
        except Stopped:
            pass
        except Exception as error:
            self._halt()  # before the main thread reads the error
            self._results.put(error)
        finally:
            self._results.put(None)

    def _advance(self, task: Task, host: Host) -> None:
        """Send the next request for an image, and say in the schedule what comes after it."""
        try:
            if host.closed:
                raise Failure(Outcome.transient, f"{host.name}: {host.closed}", retryable=False)
            if task.hops > MAX_REDIRECTS:
                raise Failure(Outcome.permanent, f"more than {MAX_REDIRECTS} redirects")
            arrival = self.request(task)
        except HostBusy as busy:
            self._schedule.move(task, busy.url)
        except Failure as failure:
            if not self._is_retried(task, host, failure):
                self._fail(task, host, replace(failure, attempts=task.attempt))
        else:
            self._arrive(task, host, arrival)

    def _is_retried(self, task: Task, host: Host, failure: Failure) -> bool:
        """Return whether an image whose request failed is requested again, as scheduled here."""
        if not host.closed:
            with self._closing(host):
                host.breaker.request_failed(failure)
        wait = self._client.retry_wait(failure, task.attempt)
        if wait is None or host.closed:
            return False
        self._schedule.retry(task, wait)
        return True

    def _fail(self, task: Task, host: Host, failure: Failure) -> None:
        """Record that an image cannot be had."""
        record = failure_record(task.image_id, task.row_url, failure)
        self._journal.add(record)
        if failure.status in REFUSED_STATUSES:
            host.refused.append(record)
        # Where one host sends images to another that refuses requests, it counts as its failure
        blamed = self._schedule.host_of(task.row_url) if host.closed else host
        if not blamed.closed:
            with self._closing(blamed):
                blamed.breaker.image_failed(failure)
        self._schedule.done(task, failure.outcome)
        self._results.put(record)

    @contextmanager
    def _closing(self, host: Host) -> Iterator[None]:
        """Close the host if its circuit breaker trips in the block."""
        try:
            yield
        except HostUnavailable as reason:
            self._schedule.close(host, reason)

    def _arrive(self, task: Task, host: Host, arrival: Arrival) -> None:
        """Save what came and record it."""
        if self._client.rate_limiter.stopped:  # another process may hold the folder's lock by now
            raise Stopped
        self.save(task.image_id, arrival)
        record = DownloadRecord(
            task.image_id,
            Outcome.ok.value,
            status="200",
            attempts=str(task.attempt),
            bytes=str(len(arrival.body)),
            sha256=hashlib.sha256(arrival.body).hexdigest(),
            width=arrival.width,
            height=arrival.height,
            url=task.row_url,
        )
        self._journal.add(record)  # after the file: an image in the journal exists
        for served in (host, self._schedule.host_of(task.row_url)):
            served.breaker.image_succeeded()
            served.refused.clear()
        self._schedule.done(task, Outcome.ok)
        self._results.put(record)
