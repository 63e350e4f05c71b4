"""Rules of robots.txt (RFC 9309)."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from src.config.addresses import origin
from src.downloader.errors import Failure, Outcome
from src.downloader.rate_limiter import MAX_PAUSE, HostBusy, RateLimiter
from src.downloader.robots_rules import MAX_BYTES, MAX_RULES, Rules

log = logging.getLogger(__name__)

MAX_TOTAL = 50_000_000  # characters of the rules of all hosts together


class Robots:
    """Rules of all requested hosts. Each robots.txt is fetched once, by `fetch(url, max_bytes)`."""

    def __init__(
        self, agent: str, rate_limiter: RateLimiter, fetch: Callable[[str, int], bytes]
    ) -> None:
        self._agent, self._rate_limiter, self._fetch = agent, rate_limiter, fetch
        self._rules: dict[str, Rules | None] = {}  # by origin; None = everything is allowed
        self._total = 0  # characters of rules
        self._locks: dict[str, threading.Lock] = {}
        self._failures: dict[str, tuple[float, Failure]] = {}  # by origin, with the time of it

    def check(self, url: str) -> None:
        """Raise Failure if the host disallows the URL, or its rules are not known.

        RFC 9309, 2.3.1: without a response everything is disallowed, with a 4xx status allowed.
        What the known rules allow, those beyond a bound may disallow.
        """
        host, began = origin(url), time.monotonic()
        with self._locks.setdefault(host, threading.Lock()):
            if host not in self._rules:
                at, failure = self._failures.get(host, (0.0, None))
                if failure and at > began:  # another thread asked while this one waited
                    raise Failure(failure.outcome, failure.reason)
                self._rules[host] = self._fetch_rules(host)
        rules, name = self._rules[host], host.partition("://")[2]
        if rules and not rules.allows(url):
            raise Failure(Outcome.permanent, f"disallowed by robots.txt of {name}")
        if rules and not rules.is_complete:
            reason = (
                f"robots.txt of {name} is not read to its end: more than {MAX_BYTES} bytes"
                f" or {MAX_RULES} rules"
            )
            raise Failure(Outcome.transient, reason, retryable=False)

    def _fetch_rules(self, host: str) -> Rules | None:
        """Return the rules of a host, None if it has none."""
        try:
            text = self._fetch(f"{host}/robots.txt", MAX_BYTES)
        except HostBusy as busy:
            if busy.host == host:
                raise
            reason = f"robots.txt: moved to {busy.host}, which is not to be requested yet"
            raise Failure(Outcome.transient, reason) from busy
        except Failure as error:
            if error.outcome is Outcome.permanent:
                return None
            reason = f"robots.txt: {error.reason}"
            failure = replace(error, outcome=Outcome.transient, reason=reason)
            self._failures[host] = time.monotonic(), failure
            raise failure from error
        rules = Rules(text, self._agent)
        self._apply_rate(rules, host)
        if self._total + rules.size > MAX_TOTAL:
            reason = f"robots.txt: the rules of all hosts exceed {MAX_TOTAL} characters"
            raise Failure(Outcome.transient, reason, retryable=False)
        self._total += rules.size
        return rules

    def _apply_rate(self, rules: Rules, host: str) -> None:
        """Slow down to the rate that the rules ask for. Raises Failure if it is extremely low."""
        delay = rules.delay
        if delay > MAX_PAUSE:
            reason = f"robots.txt asks for {delay:.3g} seconds between requests"
            raise Failure(Outcome.transient, reason, retryable=False, retry_after=delay)
        if delay > 0 and self._rate_limiter.set_min_interval(delay, host):
            log.warning("%s/robots.txt asks for %.3g seconds between requests", host, delay)
