"""A time limit for a whole request, which also ends one that is blocked.

The timeout of a socket holds for one read: a host that sends a byte now and then never exceeds it.
Here a thread of its own shuts the connection down, wherever the thread of the request waits: for a
name, in a TLS handshake, in headers without end, in a body of empty chunks.
"""

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from src.downloader.errors import Failure, Outcome
from src.downloader.rate_limiter import Stopped


class Deadline:
    """The time that a request has. Only what Watchdog.limit encloses counts."""

    def __init__(self, seconds: float) -> None:
        self.reason = f"timeout: not complete after {seconds:g} seconds"
        self.status: int | None = None  # of the response, once there is one
        self.end = math.inf  # in seconds of the monotonic clock, while it counts
        self._left = seconds
        self._lock = threading.Lock()
        self._error: type[Failure] | type[Stopped] | None = None  # why the request has to end
        self._wake: Callable[[], object] | None = None
        self._handle: socket.socket | None = None

    def start(self) -> None:
        """Count the time from now on."""
        self.end = time.monotonic() + self._left

    def pause(self) -> None:
        """Count no time until the next start, and let go of what was to be woken."""
        self._left = self.end - time.monotonic()
        self.wake_by(None)

    def extend(self, seconds: float) -> None:
        """Give the request more time."""
        self.end += seconds

    def finish(self, error: type[Failure] | type[Stopped]) -> None:
        """End the request: it fails from now on, and wakes if it waits. Called by any thread."""
        with self._lock:
            self._error = self._error or error
            if self._wake:
                self._wake()

    def check(self) -> None:
        """Raise Failure if the time is over, and Stopped if the download was stopped."""
        if self._error is Stopped:
            raise Stopped
        if self._error is Failure:
            raise Failure(Outcome.transient, self.reason, self.status)

    def wake_by(
        self, wake: Callable[[], object] | None, handle: socket.socket | None = None
    ) -> None:
        """Call `wake` when the request has to end, instead of what was to be called before."""
        with self._lock:
            if self._handle:
                self._handle.close()
            self._wake, self._handle = wake, handle
            if wake and self._error:
                wake()

    def watch(self, sock: socket.socket) -> None:
        """Shut a connection down when the request has to end.

        By a duplicate of it, because TLS moves a connection into another object, and http.client
        closes some while their body is read.
        """
        copy = os.dup(sock.fileno())
        handle = socket.socket(sock.family, sock.type, sock.proto, fileno=copy)
        self.wake_by(lambda: _shut_down(handle), handle)


class Watchdog:
    """Ends requests whose time is over, by one thread for all, which runs while there are any."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards everything below
        self._running: set[Deadline] = set()
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf
        self._is_stopped = False

    @contextmanager
    def limit(self, deadline: Deadline) -> Iterator[None]:
        """Count the time of the block; a Failure in it is that of the deadline once this is over.

        Raises what Deadline.check does.
        """
        deadline.start()
        self._add(deadline)
        try:
            deadline.check()
            yield
        except Failure:
            deadline.check()
            raise
        finally:
            with self._changed:
                self._running.discard(deadline)
            deadline.pause()

    def stop(self) -> None:
        """End all requests, those that begin later too."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()  # its thread has nothing more to do
            for deadline in self._running:
                deadline.finish(Stopped)

    def _add(self, deadline: Deadline) -> None:
        with self._changed:
            self._running.add(deadline)
            if self._is_stopped:
                deadline.finish(Stopped)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="watchdog")
                self._thread.start()
            elif deadline.end < self._wakes_at:
                self._changed.notify()

    def _run(self) -> None:
        """Sleep until the earliest end; the body of the thread."""
        with self._changed:
            while self._running and not self._is_stopped:
                now = time.monotonic()
                for deadline in [each for each in self._running if each.end <= now]:
                    self._running.discard(deadline)
                    deadline.finish(Failure)
                self._wakes_at = min((each.end for each in self._running), default=now)
                self._changed.wait(self._wakes_at - now)
            self._thread, self._wakes_at = None, math.inf


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):  # it has ended by itself
        sock.shutdown(socket.SHUT_RDWR)
