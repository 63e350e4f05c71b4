"""What hosts ask of programs in their robots.txt (RFC 9309)."""

import logging
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from protego import Protego

from src.downloader.errors import Failure, Outcome
from src.downloader.rate_limiter import LONGEST_PAUSE, RateLimiter

log = logging.getLogger(__name__)

MOST_BYTES = 512_000  # 2.5: at least 500 kiB are read


class Robots:
    """The rules of every host met, each read once by read(address, most bytes)."""

    def __init__(self, agent: str, pace: RateLimiter, read: Callable[[str, int], bytes]) -> None:
        self._agent, self._pace, self._read = agent, pace, read
        self._rules: dict[str, Protego | None] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._failed: dict[str, tuple[float, Failure]] = {}  # when a host was last asked in vain

    def check(self, address: str) -> None:
        """Raises Failure when the host asks to leave the address alone, or its rules are not known.

        2.3.1: without an answer nothing may be asked for; with a 4xx everything may.
        """
        parts, began = urlsplit(address), time.monotonic()
        origin = f"{parts.scheme}://{parts.netloc}"
        with self._locks.setdefault(origin, threading.Lock()):
            if origin not in self._rules:
                at, failure = self._failed.get(origin, (0.0, None))
                if failure and at > began:  # another thread asked while this one waited
                    raise Failure(failure.outcome, failure.reason)
                self._rules[origin] = self._fetch(origin)
        rules = self._rules[origin]
        if rules and not rules.can_fetch(address, self._agent):
            raise Failure(Outcome.permanent, f"robots.txt of {parts.netloc} asks to leave it alone")

    def _fetch(self, origin: str) -> Protego | None:
        try:
            text = self._read(f"{origin}/robots.txt", MOST_BYTES)
        except Failure as failure:
            if failure.outcome is Outcome.permanent:
                return None
            failure.outcome, failure.reason = Outcome.transient, f"robots.txt: {failure.reason}"
            self._failed[origin] = time.monotonic(), failure
            raise
        rules = Protego.parse(text.decode("utf-8-sig", "replace"))
        self._keep_pace(rules, origin)
        return rules

    def _keep_pace(self, rules: Protego, origin: str) -> None:
        delay, rate = rules.crawl_delay(self._agent) or 0.0, rules.request_rate(self._agent)
        if rate and rate.requests > 0:
            delay = max(delay, rate.seconds / rate.requests)
        if delay > LONGEST_PAUSE:
            failure = Failure(Outcome.transient, "robots.txt asks for a very slow pace", once=True)
            failure.retry_after = delay
            raise failure
        if delay > 0 and self._pace.set_min_interval(delay):
            log.warning("%s/robots.txt asks for %.3g seconds between requests", origin, delay)
