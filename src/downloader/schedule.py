"""Which image is requested next, so that no host holds up the images of another.

The main host is that of most images. Other hosts, which a row or a redirect names, get at most half
of the connections while the main host has images left, one connection until they have sent an
image, and no more time than PATIENCE once nothing else is left to do.
"""

import itertools
import math
import threading
import time
from collections import Counter
from collections.abc import Sequence

from src.config.addresses import origin
from src.downloader.circuit_breaker import HostUnavailable
from src.downloader.errors import Outcome
from src.downloader.hosts import Host, Task
from src.downloader.rate_limiter import RateLimiter, Stopped

PATIENCE = 60.0  # seconds without any image, once the images of the main host are done
MAX_HOSTS = 2000  # that are requested in one download
KEPT_FOR_REDIRECTS = 100  # of these


class Schedule:
    """Hands the images of one download to its threads. All methods may be called by any thread."""

    def __init__(
        self,
        images: Sequence[tuple[str, str]],
        workers: int,
        limiter: RateLimiter,
        is_open: bool = False,
    ) -> None:
        self._is_open = is_open  # whether more images may be added
        self._workers, self._limiter = workers, limiter
        self._changed = threading.Condition()  # guards everything below, and all hosts
        self._numbers = itertools.count()  # of retries, to order those of the same time
        surplus = HostUnavailable(f"the images have more than {MAX_HOSTS} hosts")
        self._surplus = Host("other hosts", workers, closed=surplus)
        self._in_flight = self._others_in_flight = 0  # images; those not of the main host
        self._progress = time.monotonic()  # when the last image arrived
        self._is_stopped = False
        self._hosts: dict[str, Host] = {}
        rows = Counter(origin(url) for _, url in images)
        for name, _ in rows.most_common(MAX_HOSTS - KEPT_FOR_REDIRECTS):
            self._host(name)
        self.main = next(iter(self._hosts.values()), self._surplus)
        self.main.is_proven = True
        # Hosts with images to request, by priority: targets of redirects, the main host, others
        self._queued: tuple[dict[str, Host], ...] = ({}, {}, {})
        with self._changed:
            for image_id, url in images:
                host = self._hosts.get(origin(url), self._surplus)
                self._add(Task(image_id, url, url), host)
            for host in self._hosts.values():
                if limiter.ready_at(host.name) == math.inf:  # by an earlier download
                    self._close(host, HostUnavailable("the host was given up before"))

    def add(self, images: Sequence[tuple[str, str]]) -> None:
        """Add (id, URL) pairs to those of an open schedule."""
        with self._changed:
            for image_id, url in images:
                self._add(Task(image_id, url, url), self._host(origin(url)))

    def finish(self) -> None:
        """Say that no image will be added."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    @property
    def hosts(self) -> list[Host]:
        """Return all hosts that were named so far."""
        return list(self._hosts.values())

    def take(self) -> Task | None:
        """Wait for the next image to request; return None once all are done. Raises Stopped."""
        with self._changed:
            while not self._is_stopped:
                now = time.monotonic()
                start, host = self._choose(now)
                if host is None:
                    if not self._in_flight and not self._is_open:
                        return None
                    self._changed.wait()
                elif self._is_given_up(host, start):
                    reason = f"no image arrived for {PATIENCE:.0f} seconds"
                    self._close(host, HostUnavailable(reason))
                elif start > now:
                    self._changed.wait(start - now)
                else:
                    self._count(host, 1)
                    return host.pop(now)
        raise Stopped

    def _choose(self, now: float) -> tuple[float, Host | None]:
        """Return the host that may be requested first, and from when; None if there is none."""
        best: tuple[float, Host | None] = (math.inf, None)
        for hosts in self._queued:
            for host in list(hosts.values()):
                start = self._start(host)
                if not host.is_queued:
                    del hosts[host.name]
                elif start < best[0]:
                    best = (start, host)
                    if start <= now:
                        return best
        return best

    def _start(self, host: Host) -> float:
        """Return when a host may be requested, inf if only after another image is done."""
        if host.closed:
            return 0.0
        limit = max(1, self._workers // 2) if self.main.has_images else self._workers
        if host is not self.main and self._others_in_flight >= limit:
            return math.inf
        return max(host.next_start(), self._limiter.ready_at(host.name))

    def _is_given_up(self, host: Host, start: float) -> bool:
        """Return whether a host would get its next request later than others are worth."""
        waited_for = host is self.main or self.main.has_images or host.closed
        return not waited_for and max(start, time.monotonic()) > self._progress + PATIENCE

    def host_of(self, url: str) -> Host:
        """Return the host of a URL."""
        with self._changed:
            return self._host(origin(url))

    def move(self, task: Task, url: str) -> None:
        """Put a taken image back: it is requested at url once the host of that may be requested."""
        with self._changed:
            self._count(self._host(origin(task.url)), -1)
            task.hops += url != task.url
            task.url = url
            self._add(task, self._host(origin(url)))

    def retry(self, task: Task, seconds: float) -> None:
        """Put a taken image back, to be requested again after that many seconds."""
        with self._changed:
            host = self._host(origin(task.url))
            self._count(host, -1)
            host.is_proven = host is self.main
            task.attempt += 1
            host.add_retry(time.monotonic() + seconds, next(self._numbers), task)
            self._enqueue(host, task)

    def done(self, task: Task, outcome: Outcome) -> None:
        """Count a taken image as done."""
        with self._changed:
            host, arrived = self._host(origin(task.url)), outcome is Outcome.ok
            self._count(host, -1)
            if outcome is not Outcome.permanent:  # a 404, say, concerns one image only
                host.is_proven = arrived or host is self.main
            if arrived or host is self.main:
                self._progress = time.monotonic()

    def close(self, host: Host, reason: HostUnavailable) -> None:
        """Allow no further request to a host: its images fail.

        Those of the main host are dropped, unless the schedule is open.
        """
        with self._changed:
            self._close(host, reason)

    def stop(self) -> None:
        """Make every thread that takes an image now or later get Stopped."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _host(self, name: str) -> Host:
        if name not in self._hosts:
            if len(self._hosts) >= MAX_HOSTS:
                return self._surplus
            self._hosts[name] = Host(name, self._workers)
        return self._hosts[name]

    def _add(self, task: Task, host: Host) -> None:
        host.fresh.append(task)
        self._enqueue(host, task)

    def _enqueue(self, host: Host, task: Task) -> None:
        """Make a host known as one with images to request."""
        priority = 1 if host is self.main else 0 if task.hops else 2
        self._queued[priority][host.name] = host
        self._changed.notify_all()

    def _count(self, host: Host, change: int) -> None:
        """Add to the number of images in flight."""
        host.in_flight += change
        self._in_flight += change
        self._others_in_flight += change * (host is not self.main)
        self._changed.notify_all()

    def _close(self, host: Host, reason: HostUnavailable) -> None:
        host.closed = host.closed or reason
        self._limiter.pause(math.inf, host.name)
        if host is self.main and not self._is_open:  # else each of its images fails: some wait
            host.drop()
        self._changed.notify_all()
