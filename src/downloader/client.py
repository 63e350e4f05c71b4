"""Polite HTTP client: identifying User-Agent, one rate limit for all threads, robots.txt,
Retry-After, and retries with exponential backoff.
"""

import logging
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from src import __version__
from src.config.addresses import origin
from src.downloader.body import check_encoding, content_length, drain, read_chunk
from src.downloader.connections import Exchange, GuardedAdapter, check_host, current, serving
from src.downloader.deadline import Deadline, Watchdog
from src.downloader.environment import environment_settings, netrc_header
from src.downloader.errors import Failure, Outcome, from_status, invalid_url, root_cause
from src.downloader.rate_limiter import HostBusy, RateLimiter
from src.downloader.redirects import check_url, redirect_target
from src.downloader.robots import Robots
from src.errors import UserError

log = logging.getLogger(__name__)

AGENT = "painting-similarity"
MAX_REDIRECTS = 5
REDIRECT_STATUSES = (301, 302, 303, 307, 308)
LOGGED_WAIT = 5.0  # seconds; a longer pause is logged
MAX_WAIT = 0.5  # seconds for one host's own pause and pace; beyond it a request is put off
T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is repeated, and its timeouts in seconds."""

    attempts: int = 5
    first_wait: float = 1.0  # mean wait before the second attempt; doubled for each further one
    max_wait: float = 60.0
    connect_timeout: float = 10.0
    read_timeout: float = 30.0  # without a byte
    total_timeout: float = 300.0  # from the name of the host to the last byte, redirects included


class PoliteClient:
    """HTTP client for several threads. Once it is stopped, it sends no request.

    With `allow_local`, addresses of tables and redirects may lead to this machine and its network.
    Built on requests' adapter instead of its sessions, which are not thread-safe, keep cookies and
    follow redirects without asking robots.txt.
    """

    def __init__(
        self,
        requests_per_second: float = 0,
        workers: int = 1,
        contact: str | None = None,
        retry_policy: RetryPolicy | None = None,
        allow_local: bool = False,
    ) -> None:
        self.allow_local = allow_local
        self.rate_limiter = RateLimiter(requests_per_second)
        self.retry_policy = retry_policy or RetryPolicy()
        about = f" ({contact})" if contact else ""
        agent = f"{AGENT}/{__version__}{about} python-requests/{requests.__version__}"
        self._headers = {"User-Agent": agent, "Connection": "keep-alive", "Accept": "*/*"}
        self._headers["Accept-Encoding"] = "identity"
        self._secrets: dict[str, dict[str, str]] = {}  # headers by origin
        self._adapter = GuardedAdapter(pool_maxsize=workers)
        self._watchdog = Watchdog()
        self._settings: dict[str, dict[str, Any]] = {}  # by origin: proxies, verify, cert
        self._robots = Robots(AGENT, self.rate_limiter, self._read_prefix)

    def authorize(self, url: str) -> None:
        """Send the host of a URL what ~/.netrc has for it. Raises UserError if that is nothing."""
        self._secrets[origin(url)] = netrc_header(url)

    def stop(self) -> None:
        """End every request and every wait, those that begin later too, with Stopped."""
        self.rate_limiter.stop()
        self._watchdog.stop()

    def with_retries(self, request: Callable[[], T], attempts: int | None = None) -> tuple[T, int]:
        """Call request with retries; return its result and the number of attempts.

        Transient failures are retried after a wait that doubles each time; it is drawn at random
        around its mean, so that threads do not retry in step. Invalid content is requested once
        more, because it may be a temporary error page. Raises the last Failure.
        """
        attempt = 1
        while True:
            try:
                return request(), attempt
            except HostBusy as busy:
                self.rate_limiter.sleep(busy.seconds)
            except Failure as failure:
                wait = self.retry_wait(failure, attempt, attempts)
                if wait is None:
                    raise replace(failure, attempts=attempt) from failure
                self.rate_limiter.sleep(wait)
                attempt += 1

    def retry_wait(
        self, failure: Failure, attempt: int, attempts: int | None = None
    ) -> float | None:
        """Return the seconds before the attempt that follows a failed one, None if none does."""
        last = attempts or self.retry_policy.attempts
        max_attempts = {Outcome.transient: last, Outcome.bad: min(last, 2)}
        if not failure.retryable or attempt >= max_attempts.get(failure.outcome, 1):
            return None
        wait: float = self.retry_policy.first_wait * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
        return min(wait, self.retry_policy.max_wait)

    @contextmanager
    def get(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        robots: bool = True,
        same_host: bool = False,
        named: bool = False,
        timeout: float | None = None,
    ) -> Iterator[requests.Response]:
        """Send one GET request, follow redirects, and yield the response, its body unread.

        `robots=False` skips robots.txt. `named`: the user gave this URL, so its host may be local,
        and if it is, those of redirects too. `timeout` replaces total_timeout; waits before do not
        count. Raises Failure for every status but 200 (304 if headers contain If-None-Match), and
        HostBusy for a host that has to wait, any other one if `same_host`.
        """
        accepted = (200, 304) if headers and "If-None-Match" in headers else (200,)
        status, first, allow_local = None, origin(url), self.allow_local or named
        deadline = Deadline(timeout or self.retry_policy.total_timeout)
        try:
            for _ in range(MAX_REDIRECTS + 1):
                check_url(url, status)
                self._wait_for_turn(url, robots, only=first if same_host else "")
                exchange = Exchange(deadline, allow_local)
                with (
                    self._watchdog.limit(deadline),
                    serving(exchange),
                    self._send(url, headers or {}) as response,
                ):
                    if response.status_code in accepted:
                        yield response
                        return
                    drain(response)
                    url, status = self._next_url(url, response), response.status_code
                allow_local = self.allow_local or (named and exchange.is_local)
            raise Failure(Outcome.permanent, f"more than {MAX_REDIRECTS} redirects", status)
        except HostBusy as busy:
            busy.url = url
            raise

    def _wait_for_turn(self, url: str, robots: bool, only: str) -> None:
        """Wait until a URL may be requested. Raises Failure if robots.txt disallows it.

        Raises HostBusy if it would take long, or the URL is of another host than `only`.
        """
        if only and origin(url) != only:
            raise HostBusy(origin(url), 0)
        if robots:
            self._robots.check(url)
        self.rate_limiter.acquire(origin(url), MAX_WAIT)

    def iter_body(
        self,
        response: requests.Response,
        max_bytes: int,
        raw: bool = False,
        min_rate: float | None = None,
    ) -> Iterator[bytes]:
        """Yield the body of a response in chunks, as it was sent; compressed only if `raw`.

        `min_rate`: every so many bytes give the request another second. Raises Failure if the body
        is cut off, stalls, exceeds max_bytes or the time of the request.
        """
        size, status, deadline = 0, response.status_code, current().deadline
        too_large = Failure(Outcome.bad, f"larger than {max_bytes} bytes", status, retryable=False)
        if not raw:
            check_encoding(response)
        if (content_length(response) or 0) > max_bytes:
            raise too_large
        if min_rate:
            deadline.reason = f"slower than {min_rate / 1000:g} kB a second"
        while chunk := read_chunk(response):
            deadline.check()
            size += len(chunk)
            if size > max_bytes:
                raise too_large
            if min_rate:
                deadline.extend(len(chunk) / min_rate)
            yield chunk
        deadline.check()  # a connection that is shut down may look like the end of the body

    def _send(self, url: str, headers: dict[str, str]) -> requests.Response:
        """Send one request, without redirects. Raises Failure if there is no response."""
        request, secrets = requests.PreparedRequest(), self._secrets.get(origin(url), {})
        try:
            request.prepare("GET", url, headers=self._headers | headers | secrets)
        except (ValueError, UnicodeError, urllib3.exceptions.LocationParseError) as error:
            raise invalid_url(url) from error
        timeout = (self.retry_policy.connect_timeout, self.retry_policy.read_timeout)
        settings, host = self._environment_settings(url), urlsplit(url).hostname or ""
        check_host(host)  # a proxy resolves names
        try:
            response = self._adapter.send(request, stream=True, timeout=timeout, **settings)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise Failure(Outcome.transient, root_cause(error)) from error
        except OSError as error:  # raised by requests if REQUESTS_CA_BUNDLE does not exist
            raise UserError(str(error)) from error
        current().deadline.status = response.status_code
        return response

    def _next_url(self, url: str, response: requests.Response) -> str:
        """Return the URL that a redirect leads to. Raises Failure for any other response."""
        location, status = response.headers.get("Location"), response.status_code
        if status in REDIRECT_STATUSES and location:
            return redirect_target(url, location, status)
        failure = from_status(status, response.headers.get("Retry-After", ""))
        if failure.retry_after is not None and failure.retryable:
            host, wait = origin(url), failure.retry_after
            if self.rate_limiter.pause(wait, host) and wait > LOGGED_WAIT:
                log.info("%s: %s: waiting %.0f seconds (Retry-After)", host, failure, wait)
        raise failure

    def _environment_settings(self, url: str) -> dict[str, Any]:
        """Return what environment_settings does, asked once for each host."""
        host = origin(url)
        if host not in self._settings:
            self._settings[host] = environment_settings(url)
        return self._settings[host]

    def _read_prefix(self, url: str, max_bytes: int) -> bytes:
        """Return the content of a URL, at least its first max_bytes bytes if it is longer."""
        text = bytearray()
        with self.get(url, robots=False) as response:
            for chunk in self.iter_body(response, sys.maxsize):
                text += chunk
                if len(text) > max_bytes:
                    break
        return bytes(text)
