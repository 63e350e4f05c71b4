"""Rules of robots.txt (RFC 9309)."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from protego import Protego

from src.downloader.errors import Failure, Outcome
from src.downloader.rate_limiter import MAX_PAUSE, RateLimiter

log = logging.getLogger(__name__)

MAX_BYTES = 512_000  # RFC 9309, 2.5: at least 500 KiB must be parsed


class Robots:
    """Rules of all requested hosts. Each robots.txt is fetched once, by `fetch(url, max_bytes)`."""

    def __init__(
        self, agent: str, rate_limiter: RateLimiter, fetch: Callable[[str, int], bytes]
    ) -> None:
        self._agent, self._rate_limiter, self._fetch = agent, rate_limiter, fetch
        self._rules: dict[str, Protego | None] = {}  # by origin; None = everything is allowed
        self._locks: dict[str, threading.Lock] = {}
        self._failures: dict[str, tuple[float, Failure]] = {}  # by origin, with the time of it

    def check(self, url: str) -> None:
        """Raise Failure if the host disallows the URL, or its rules cannot be fetched.

        RFC 9309, 2.3.1: without a response everything is disallowed, with a 4xx status allowed.
        """
        parts, began = urlsplit(url), time.monotonic()
        origin = f"{parts.scheme}://{parts.netloc}"
        with self._locks.setdefault(origin, threading.Lock()):
            if origin not in self._rules:
                at, failure = self._failures.get(origin, (0.0, None))
                if failure and at > began:  # another thread asked while this one waited
                    raise Failure(failure.outcome, failure.reason)
                self._rules[origin] = self._fetch_rules(origin)
        rules = self._rules[origin]
        if rules and not rules.can_fetch(url, self._agent):
            raise Failure(Outcome.permanent, f"disallowed by robots.txt of {parts.netloc}")

    def _fetch_rules(self, origin: str) -> Protego | None:
        """Return the rules of a host, None if it has none."""
        try:
            text = self._fetch(f"{origin}/robots.txt", MAX_BYTES)
        except Failure as error:
            if error.outcome is Outcome.permanent:
                return None
            reason = f"robots.txt: {error.reason}"
            failure = replace(error, outcome=Outcome.transient, reason=reason)
            self._failures[origin] = time.monotonic(), failure
            raise failure from error
        rules = Protego.parse(text.decode("utf-8-sig", "replace"))
        self._apply_rate(rules, origin)
        return rules

    def _apply_rate(self, rules: Protego, origin: str) -> None:
        """Slow down to the rate that the rules ask for. Raises Failure if it is extremely low."""
        delay, rate = rules.crawl_delay(self._agent) or 0.0, rules.request_rate(self._agent)
        if rate and rate.requests > 0:
            delay = max(delay, rate.seconds / rate.requests)
        if delay > MAX_PAUSE:
            reason = f"robots.txt asks for {delay:.3g} seconds between requests"
            raise Failure(Outcome.transient, reason, retryable=False, retry_after=delay)
        if delay > 0 and self._rate_limiter.set_min_interval(delay):
            log.warning("%s/robots.txt asks for %.3g seconds between requests", origin, delay)
