"""Circuit breaker: request a host no more once it or the network has failed too often in a row."""

import threading
from collections import Counter

from src.downloader.errors import Failure, Outcome
from src.downloader.rate_limiter import MAX_PAUSE

MAX_INITIAL_FAILURES = 50  # in a row while no image has arrived
MAX_LATER_FAILURES = 500  # in a row after that: a network may be down for some minutes
MIN_TOTAL_FAILURES = 10  # of a whole download in which no image of the host has arrived
REFUSING_STATUSES = (None, 401, 403, 429)  # the host does not serve us; None: no response


class HostUnavailable(Exception):
    """The host or the network fails all requests; the message says how."""

    def __init__(self, message: str, host_answered: bool = True) -> None:
        super().__init__(message)
        self.host_answered = host_answered  # by HTTP; else the network may be down


class CircuitBreaker:
    """Count the failures of one host since its last image, for several threads.

    Counts requests that fail with one of REFUSING_STATUSES, and images that fail for any reason
    that is not permanent: a 404 concerns one image only.
    """

    def __init__(self) -> None:
        self._any_image = self._host_answered = False
        self._requests: Counter[str] = Counter()  # failures by reason
        self._images: Counter[str] = Counter()
        self._lock = threading.Lock()

    def image_succeeded(self) -> None:
        """Reset the counts."""
        with self._lock:
            self._any_image = self._host_answered = True
            self._requests.clear()
            self._images.clear()

    def request_failed(self, failure: Failure) -> None:
        """Count a failed request. Raises HostUnavailable if there are too many."""
        if failure.retry_after is not None and failure.retry_after > MAX_PAUSE:
            hours = failure.retry_after / 3600
            raise HostUnavailable(f"the host asks clients to wait {hours:.1f} hours")
        if failure.status is None and failure.outcome is Outcome.permanent:
            return  # it was never sent, because of its URL
        if failure.status in REFUSING_STATUSES:
            self._count(self._requests, failure, "requests")

    def image_failed(self, failure: Failure) -> None:
        """Count a failed image. Raises HostUnavailable if there are too many."""
        if failure.outcome is not Outcome.permanent:
            self._count(self._images, failure, "images")

    def finish(self) -> None:
        """Raise HostUnavailable if the download has ended and all its images failed."""
        for failures, kind in ((self._requests, "requests"), (self._images, "images")):
            if not self._any_image and failures.total() >= MIN_TOTAL_FAILURES:
                self._trip("all", failures, kind)

    def _count(self, failures: Counter[str], failure: Failure, kind: str) -> None:
        """Add a failure to a count. Raises HostUnavailable if that reaches its limit."""
        with self._lock:
            self._host_answered = self._host_answered or failure.status is not None
            failures[failure.reason] += 1
            limit = MAX_LATER_FAILURES if self._any_image else MAX_INITIAL_FAILURES
            if failures.total() == limit:  # once, not for requests that were on their way
                self._trip("the last" if self._any_image else "the first", failures, kind)

    def _trip(self, position: str, failures: Counter[str], kind: str) -> None:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in failures.most_common(3))
        message = f"{position} {failures.total()} {kind} failed: {reasons}"
        raise HostUnavailable(message, self._host_answered)
