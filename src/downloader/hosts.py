"""The images that wait for one host, and how it has behaved."""

import heapq
import math
from collections import deque
from dataclasses import dataclass, field

from src.downloader.circuit_breaker import CircuitBreaker, HostUnavailable
from src.downloader.journal import DownloadRecord


@dataclass
class Task:
    """An image that is still to be downloaded."""

    image_id: str
    row_url: str  # in the museum's tables
    url: str  # of the next request: the row's, or that of another host it was redirected to
    attempt: int = 1
    hops: int = 0  # redirects to other hosts


@dataclass(eq=False)
class Host:
    """A host of images. Guarded by the lock of its Schedule, but for the breaker and refused."""

    name: str  # as of origin()
    most_connections: int
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    closed: HostUnavailable | None = None  # why it is not requested any more
    is_proven: bool = False  # it has sent an image since its last failure
    in_flight: int = 0  # images
    fresh: deque[Task] = field(default_factory=deque)
    retries: list[tuple[float, int, Task]] = field(default_factory=list)  # heap by time
    refused: list[DownloadRecord] = field(default_factory=list)  # since its last image

    @property
    def is_queued(self) -> bool:
        """Return whether images of this host are to be requested."""
        return bool(self.fresh or self.retries)

    @property
    def has_images(self) -> bool:
        """Return whether images of this host are to be requested, or being requested."""
        return self.is_queued or self.in_flight > 0

    def next_start(self) -> float:
        """Return when the host may get its next request, apart from its pace; inf without one.

        A retry that waits keeps its connection, so that a failing host gets fewer requests.
        """
        limit = self.most_connections if self.is_proven else 1
        if self.fresh and self.in_flight + len(self.retries) < limit:
            return 0.0
        return self.retries[0][0] if self.retries and self.in_flight < limit else math.inf

    def add_retry(self, at: float, number: int, task: Task) -> None:
        """Add an image that is to be requested again at a monotonic time; the number is unique."""
        heapq.heappush(self.retries, (at, number, task))

    def pop(self, now: float) -> Task:
        """Return the next image: one whose retry is due, else one that is not requested yet."""
        if self.retries and (self.retries[0][0] <= now or not self.fresh):
            return heapq.heappop(self.retries)[2]
        return self.fresh.popleft()

    def drop(self) -> None:
        """Forget the images that are still to be requested."""
        self.fresh.clear()
        self.retries.clear()
