"""Asking one host for many things as it would like to be asked: under an honest name, at one pace
for all threads, by its robots.txt, and waiting when it says so.
"""

import logging
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from src import __version__
from src.config.validation import is_address
from src.downloader.errors import Failure, Outcome, from_status, invalid_url, why
from src.downloader.rate_limiter import LONGEST_PAUSE, RateLimiter, Stopped
from src.downloader.robots import Robots
from src.errors import UserError

log = logging.getLogger(__name__)

AGENT = "painting-similarity"
REDIRECTS = 5
MOVED = (301, 302, 303, 307, 308)
CHUNK = 65_536
LOGGED_WAIT = 5.0  # seconds; a longer pause is logged
LOCAL = ("127.0.0.1", "localhost", "::1")
T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a host is waited for; seconds."""

    attempts: int = 5  # for one thing
    first_wait: float = 1.0  # before the second attempt, on average; doubled for each after it
    longest_wait: float = 60.0
    connect: float = 10.0
    silence: float = 30.0  # while an answer is read
    body: float = 600.0  # for the whole of it


class PoliteClient:
    """A client for many threads, done with once its pace is stopped.

    requests' adapter stands in for its sessions, which are not made for threads, keep cookies, and
    follow redirects on their own.
    """

    def __init__(
        self,
        requests_per_second: float = 0,
        workers: int = 1,
        contact: str | None = None,
        patience: RetryPolicy | None = None,
    ) -> None:
        self.pace, self.patience = RateLimiter(requests_per_second), patience or RetryPolicy()
        about = f" ({contact})" if contact else ""
        name = f"{AGENT}/{__version__}{about} python-requests/{requests.__version__}"
        self._headers = {"User-Agent": name, "Connection": "keep-alive", "Accept": "*/*"}
        self._adapter = HTTPAdapter(pool_maxsize=workers)
        self._settings: dict[str, dict[str, Any]] = {}
        self._robots = Robots(AGENT, self.pace, self._beginning)

    def with_retries(self, ask: Callable[[], T], attempts: int | None = None) -> tuple[T, int]:
        """What ask returns, and after how many attempts; raises its last Failure.

        Passing failures are asked again after a wait that doubles, drawn at random around its mean
        so that threads do not come back together. Content that makes no sense is asked for once
        more, since error pages pass too.
        """
        last = attempts or self.patience.attempts
        again = {Outcome.transient: last, Outcome.bad: min(last, 2)}
        for attempt in range(1, last + 1):
            try:
                return ask(), attempt
            except Failure as failure:
                failure.attempts = attempt
                if failure.once or attempt >= again.get(failure.outcome, 1):
                    raise
                wait = self.patience.first_wait * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
                self.pace.sleep(min(wait, self.patience.longest_wait))
        raise AssertionError("no attempt was made")

    @contextmanager
    def answer(
        self, address: str, headers: dict[str, str] | None = None, robots: bool = True
    ) -> Iterator[requests.Response]:
        """One request, redirects followed, with the answer's body still to be read.

        Raises Failure for every status but 200, and 304 where the headers make that condition.
        """
        wanted = (200, 304) if headers and "If-None-Match" in headers else (200,)
        status = None
        for _ in range(REDIRECTS + 1):
            if not is_address(address):
                raise invalid_url(address, status)
            if robots:
                self._robots.check(address)
            self.pace.turn()
            response = self._send(address, headers or {})
            try:
                if response.status_code in wanted:
                    yield response
                    return
                _finish(response)
                address, status = self._next(address, response), response.status_code
            finally:
                response.close()
        raise Failure(Outcome.permanent, f"more than {REDIRECTS} redirects", status)

    def chunks(
        self,
        response: requests.Response,
        limit: int,
        within: float | None = None,
        packed: bool = False,
    ) -> Iterator[bytes]:
        """The body of an answer, as it was sent if packed.

        Raises Failure when it is cut off, stalls or exceeds the limit.
        """
        size, end = 0, time.monotonic() + (self.patience.body if within is None else within)
        reason = f"larger than {limit} bytes"
        too_large = Failure(Outcome.bad, reason, response.status_code, once=True)
        if (length(response) or 0) > limit:
            raise too_large
        while chunk := _read(response, packed):
            size += len(chunk)
            if size > limit:
                raise too_large
            if time.monotonic() > end:
                raise Failure(Outcome.transient, "time-out of a slow body", response.status_code)
            if self.pace.stopped:
                raise Stopped
            yield chunk

    def _send(self, address: str, headers: dict[str, str]) -> requests.Response:
        request = requests.PreparedRequest()
        try:
            request.prepare("GET", address, headers=self._headers | headers)
        except (ValueError, UnicodeError, urllib3.exceptions.LocationParseError) as error:
            raise invalid_url(address) from error
        times = (self.patience.connect, self.patience.silence)
        try:
            settings = self._environment(address)
            return self._adapter.send(request, stream=True, timeout=times, **settings)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise Failure(Outcome.transient, why(error)) from error
        except OSError as error:  # requests' word for a REQUESTS_CA_BUNDLE that is not there
            raise UserError(str(error)) from error

    def _next(self, address: str, response: requests.Response) -> str:
        """Where a redirect leads. Raises the Failure that any other answer is."""
        target, status = response.headers.get("Location"), response.status_code
        if status in MOVED and target:
            try:
                # headers come as latin-1; what stands in them is UTF-8, or quoted
                sent = target.encode("latin-1").decode("utf-8", "replace")
                return urljoin(address, requests.utils.requote_uri(sent))
            except (ValueError, requests.exceptions.InvalidURL) as error:
                raise Failure(Outcome.permanent, "redirected to no address", status) from error
        failure = from_status(status, response.headers.get("Retry-After", ""))
        if (wait := failure.retry_after) is not None:
            failure.once = wait > LONGEST_PAUSE
            self.pace.pause(0 if failure.once else wait)
            if wait > LOGGED_WAIT and not failure.once:
                log.info("%s: asked to wait %.0f seconds", failure.reason, wait)
        raise failure

    def _environment(self, address: str) -> dict[str, Any]:
        """Proxies and certificates as the environment has them; none between local programs."""
        parts = urlsplit(address)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._settings:
            with requests.Session() as session:
                session.trust_env = parts.hostname not in LOCAL
                found = session.merge_environment_settings(origin, {}, True, None, None)
            self._settings[origin] = {k: found[k] for k in ("proxies", "verify", "cert")}
        return self._settings[origin]

    def _beginning(self, address: str, limit: int) -> bytes:
        """What an address gives, cut off where it is longer."""
        text = bytearray()
        with self.answer(address, robots=False) as response:
            for chunk in self.chunks(response, sys.maxsize):
                text += chunk
                if len(text) > limit:
                    break
        return bytes(text)


def length(response: requests.Response) -> int | None:
    """The bytes that an answer announces, None where that is not known."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _read(response: requests.Response, packed: bool) -> bytes:
    """What has arrived of the body, nothing at its end; read1 so that a trickle is noticed."""
    try:
        return response.raw.read1(CHUNK, decode_content=not packed) or b""
    except urllib3.exceptions.DecodeError as error:
        raise Failure(Outcome.bad, "cannot be unpacked", response.status_code) from error
    except urllib3.exceptions.HTTPError as error:
        timed_out = isinstance(error, urllib3.exceptions.TimeoutError)
        reason = "time-out" if timed_out else "body cut off"
        raise Failure(Outcome.transient, reason, response.status_code) from error


def _finish(response: requests.Response) -> None:
    """Read what little is left, so that the connection can be used again."""
    if (length(response) or CHUNK) < CHUNK:
        response.raw.drain_conn()
