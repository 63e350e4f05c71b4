"""When the next request may be sent: one rate for all hosts together, and each host's own."""

import math
import threading
import time
from dataclasses import dataclass

MAX_PAUSE = 3600.0  # seconds; a host that asks for more is not requested again


class Stopped(Exception):
    """The download was stopped while a thread waited."""


class HostBusy(Exception):
    """A host is not to be requested yet. Other hosts may be."""

    def __init__(self, host: str, seconds: float) -> None:
        super().__init__(f"{host} is not to be requested for {seconds:.0f} seconds")
        self.host, self.seconds = host, seconds
        self.url = ""  # of the request that waits, a redirect's target perhaps


@dataclass
class _Pace:
    """When a host may be requested, in seconds of the monotonic clock."""

    interval: float = 0.0  # between two requests
    next: float = 0.0  # after the last request and its interval
    resume: float = 0.0  # after the pauses that the host has asked for

    @property
    def ready(self) -> float:
        """Return the earliest time of the next request."""
        return max(self.next, self.resume)


class RateLimiter:
    """Allow evenly spaced requests, `per_second` for all threads together; 0 = no limit.

    Even spacing rather than a token bucket: no second ever holds more requests than the limit,
    however long the threads were idle before. A host, a text, may have a longer interval and
    pauses, which delay no request to another host.
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second if per_second else 0.0  # seconds
        self._next = time.monotonic()
        self._paces: dict[str, _Pace] = {}  # by host
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def acquire(self, host: str = "", max_wait: float = math.inf) -> None:
        """Wait until the next request to the host is allowed.

        Raises Stopped, and HostBusy if the host itself makes it wait longer than max_wait seconds.
        """
        while True:
            with self._lock:
                now, pace = time.monotonic(), self._paces.setdefault(host, _Pace())
                at, ready = max(now, self._next), pace.ready
                if is_ready := ready <= at:  # else a slot of the common rate would be lost
                    self._next, pace.next = at + self._interval, at + pace.interval
            if not is_ready and ready - now > max_wait:
                raise HostBusy(host, ready - now)
            self.sleep((at if is_ready else ready) - now)
            if is_ready and pace.resume <= time.monotonic():
                return  # else a pause began while this thread slept

    def sleep(self, seconds: float) -> None:
        """Sleep, but at most until the download is stopped. Raises Stopped."""
        if self._stopped.wait(seconds) if seconds > 0 else self._stopped.is_set():
            raise Stopped

    def ready_at(self, host: str) -> float:
        """Return the monotonic time from which the host itself allows its next request."""
        with self._lock:
            return self._paces[host].ready if host in self._paces else 0.0

    def pause(self, seconds: float, host: str = "") -> bool:
        """Allow no request to the host for this many seconds. Return whether it had no pause."""
        with self._lock:
            now, pace = time.monotonic(), self._paces.setdefault(host, _Pace())
            is_new, pace.resume = pace.resume <= now, max(pace.resume, now + seconds)
        return is_new

    def set_min_interval(self, seconds: float, host: str = "") -> bool:
        """Space requests to a host at least this far apart. Return whether that slows it down."""
        with self._lock:
            pace = self._paces.setdefault(host, _Pace())
            is_slower = seconds > max(self._interval, pace.interval)
            pace.interval = max(pace.interval, seconds)
            pace.next = max(pace.next, time.monotonic() + seconds)  # after that of robots.txt
        return is_slower

    def stop(self) -> None:
        """Stop the download: every thread that waits now or later gets Stopped."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Return whether the download was stopped."""
        return self._stopped.is_set()
