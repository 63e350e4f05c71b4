"""Rate limiter shared by all threads of a download."""

import threading
import time

MAX_PAUSE = 3600.0  # seconds; a host that asks for more ends the download


class Stopped(Exception):
    """The download was stopped while a thread waited."""


class RateLimiter:
    """Allow evenly spaced requests, `per_second` for all threads together; 0 = no limit.

    Even spacing rather than a token bucket: no second ever holds more requests than the limit,
    however long the threads were idle before.
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second if per_second else 0.0  # seconds
        self._next = self._resume = time.monotonic()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def acquire(self) -> None:
        """Wait until the next request is allowed. Raises Stopped."""
        while True:
            with self._lock:
                at = max(time.monotonic(), self._next, self._resume)
                self._next = at + self._interval
            self.sleep(at - time.monotonic())
            if self._resume <= time.monotonic():  # else a pause began while this thread slept
                return

    def sleep(self, seconds: float) -> None:
        """Sleep, but at most until the download is stopped. Raises Stopped."""
        if self._stopped.wait(seconds) if seconds > 0 else self._stopped.is_set():
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Allow no request of any thread for this many seconds."""
        with self._lock:
            self._resume = max(self._resume, time.monotonic() + seconds)

    def set_min_interval(self, seconds: float) -> bool:
        """Space requests at least this far apart. Return whether that is slower than before."""
        is_slower, self._interval = seconds > self._interval, max(self._interval, seconds)
        return is_slower

    def stop(self) -> None:
        """Stop the download: every thread that waits now or later gets Stopped."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Return whether the download was stopped."""
        return self._stopped.is_set()
