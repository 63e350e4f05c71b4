"""How fast a host is asked: one pace for all threads."""

import threading
import time

LONGEST_PAUSE = 3600.0  # seconds; a host that asks for more is asked again another day


class Stopped(Exception):
    """The work was called off while a thread waited its turn."""


class RateLimiter:
    """Turns, evenly spaced, shared by all threads; 0 a second is no limit.

    Spaced turns rather than a bucket of tokens: no second ever holds more than the limit, however
    long the threads were idle before it.
    """

    def __init__(self, per_second: float) -> None:
        self._step = 1 / per_second if per_second else 0.0
        self._next = self._resume = time.monotonic()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def turn(self) -> None:
        """Wait for a turn. Raises Stopped."""
        while True:
            with self._lock:
                at = max(time.monotonic(), self._next, self._resume)
                self._next = at + self._step
            self.sleep(at - time.monotonic())
            if self._resume <= time.monotonic():  # else a pause began while this thread slept
                return

    def sleep(self, seconds: float) -> None:
        """Sleep that ends when the work is called off. Raises Stopped."""
        if self._stopped.wait(seconds) if seconds > 0 else self._stopped.is_set():
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Nobody's turn comes within these seconds."""
        with self._lock:
            self._resume = max(self._resume, time.monotonic() + seconds)

    def set_min_interval(self, seconds: float) -> bool:
        """At least so long between two turns from now on; whether that is slower than before."""
        slower, self._step = seconds > self._step, max(self._step, seconds)
        return slower

    def stop(self) -> None:
        """Call the work off: every thread that waits, or comes to wait, gets Stopped."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Whether the work was called off."""
        return self._stopped.is_set()
