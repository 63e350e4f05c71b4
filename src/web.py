"""Asking one host for many things as it would like to be asked: under an honest name, at one pace
for all threads, by its robots.txt, and waiting when it says so.
"""

import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from protego import Protego
from requests.adapters import HTTPAdapter

from src import __version__
from src.config import is_address
from src.pace import Pace, Stopped

log = logging.getLogger(__name__)

AGENT = "painting-similarity"
REDIRECTS = 5
CHUNK = 65_536
ROBOTS_BYTES = 512_000  # RFC 9309, 2.5: at least 500 kiB are read
LONGEST_PAUSE = 86_400.0  # seconds
MOVED = (301, 302, 303, 307, 308)
PASSING = (408, 425, 429)  # and 500 to 599: worth another attempt
T = TypeVar("T")


class Outcome(Enum):
    """What came of asking for an image."""

    ok = "ok"
    permanent = "permanent"
    transient = "transient"
    bad = "bad content"


class Failure(Exception):
    """Something that was not had; status is None where no answer came."""

    def __init__(
        self, outcome: Outcome, reason: str, status: int | None = None, once: bool = False
    ) -> None:
        super().__init__(reason)
        self.outcome, self.reason, self.status = outcome, reason, status
        self.once = once  # another attempt would bring the same
        self.retry_after: float | None = None
        self.attempts = 1

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Patience:
    """How often and how long a host is waited for; seconds."""

    attempts: int = 5  # for one thing
    first_wait: float = 1.0  # before the second attempt, on average; doubled for each after it
    longest_wait: float = 60.0
    connect: float = 10.0
    silence: float = 30.0  # while an answer is read
    body: float = 600.0  # for the whole of it


class Web:
    """A client for many threads."""

    def __init__(
        self,
        requests_per_second: float = 0,
        workers: int = 1,
        contact: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.pace, self.patience = Pace(requests_per_second), patience or Patience()
        about = f" ({contact})" if contact else ""
        name = f"{AGENT}/{__version__}{about} python-requests/{requests.__version__}"
        self._headers = {"User-Agent": name, "Connection": "keep-alive", "Accept": "*/*"}
        self._adapter = HTTPAdapter(pool_maxsize=workers)
        self._settings: dict[str, dict[str, Any]] = {}
        self._robots: dict[str, Protego | None] = {}
        self._robots_lock = threading.Lock()

    def patiently(self, ask: Callable[[], T], attempts: int | None = None) -> tuple[T, int]:
        """What ask returns, and after how many attempts; raises its last Failure.

        Passing failures are asked again after a wait that doubles, drawn at random around its mean
        so that threads do not come back together. Content that makes no sense is asked for once
        more, since error pages pass too.
        """
        last = attempts or self.patience.attempts
        for attempt in range(1, last + 1):
            try:
                return ask(), attempt
            except Failure as failure:
                failure.attempts = attempt
                again = {Outcome.transient: last, Outcome.bad: min(last, 2)}
                if failure.once or attempt >= again.get(failure.outcome, 1):
                    raise
                wait = min(
                    self.patience.first_wait * 2 ** (attempt - 1), self.patience.longest_wait
                )
                self.pace.sleep(random.uniform(0.5, 1.5) * wait)
        raise AssertionError("no attempt was made")

    @contextmanager
    def answer(
        self, address: str, headers: dict[str, str] | None = None, robots: bool = True
    ) -> Iterator[requests.Response]:
        """One request, redirects followed, with the answer's body still to be read.

        Raises Failure for every status but 200 and, where headers make a condition, 304.
        """
        for _ in range(REDIRECTS + 1):
            self._check(address, robots)
            self.pace.turn()
            response = self._send(address, headers or {})
            try:
                target = response.headers.get("Location")
                if response.status_code in MOVED and target:
                    _finish(response)
                    address = _joined(address, target, response.status_code)
                    continue
                if response.status_code != 200 and not (headers and response.status_code == 304):
                    _finish(response)
                    self._refused(response)
                yield response
                return
            finally:
                response.close()
        raise Failure(Outcome.permanent, f"more than {REDIRECTS} redirects", response.status_code)

    def chunks(
        self, response: requests.Response, limit: int, within: float | None = None
    ) -> Iterator[bytes]:
        """The body of an answer. Raises Failure when it is cut off, stalls or exceeds the limit."""
        size, end = 0, time.monotonic() + (self.patience.body if within is None else within)
        announced = response.headers.get("Content-Length", "")
        reason = f"larger than {limit} bytes"
        too_large = Failure(Outcome.bad, reason, response.status_code, once=True)
        if announced.isdecimal() and int(announced) > limit:
            raise too_large
        while chunk := _read(response):
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
        times = (self.patience.connect, self.patience.silence)
        try:
            request.prepare("GET", address, headers=self._headers | headers)
            settings = self._environment(address)
            return self._adapter.send(request, stream=True, timeout=times, **settings)
        except requests.exceptions.RequestException as error:
            if isinstance(error, ValueError):  # requests' own marker of addresses that are none
                raise Failure(Outcome.permanent, f"not an address: {address}") from error
            raise Failure(Outcome.transient, _why(error)) from error
        except (urllib3.exceptions.LocationParseError, UnicodeError) as error:
            raise Failure(Outcome.permanent, f"not an address: {address}") from error

    def _environment(self, address: str) -> dict[str, Any]:
        """Proxies and certificates as the environment has them; none between local programs."""
        parts = urlsplit(address)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._settings:
            with requests.Session() as session:
                session.trust_env = parts.hostname not in ("127.0.0.1", "localhost", "::1")
                found = session.merge_environment_settings(origin, {}, True, None, None)
            self._settings[origin] = {k: found[k] for k in ("proxies", "verify", "cert")}
        return self._settings[origin]

    def _refused(self, response: requests.Response) -> None:
        status = response.status_code
        passing = status in PASSING or 500 <= status <= 599
        empty = Outcome.bad if status < 300 else Outcome.permanent
        failure = Failure(Outcome.transient if passing else empty, _phrase(status), status)
        wait = seconds(response.headers.get("Retry-After", "")) if passing else None
        if wait is not None:
            failure.retry_after = wait
            self.pace.pause(min(wait, LONGEST_PAUSE))
        raise failure

    def _check(self, address: str, robots: bool) -> None:
        """Raises Failure when the address is not for us."""
        if not is_address(address):
            raise Failure(Outcome.permanent, f"not an http(s) address: {address[:200]}")
        if not robots:
            return
        parts = urlsplit(address)
        rules = self._rules(f"{parts.scheme}://{parts.netloc}")
        if rules and not rules.can_fetch(address, AGENT):
            raise Failure(Outcome.permanent, f"robots.txt of {parts.netloc} asks to leave it alone")

    def _rules(self, origin: str) -> Protego | None:
        """A host's robots.txt, None where it has none. Raises Failure while that is not known.

        RFC 9309, 2.3.1: without an answer nothing may be asked for; with a 4xx everything may.
        """
        with self._robots_lock:
            if origin not in self._robots:
                try:
                    with self.answer(f"{origin}/robots.txt", robots=False) as response:
                        text = b"".join(self.chunks(response, ROBOTS_BYTES))
                    rules = self._robots[origin] = Protego.parse(text.decode("utf-8", "replace"))
                    self._adopt(rules, origin)
                except Failure as failure:
                    if failure.outcome is Outcome.transient:
                        failure.reason = f"robots.txt: {failure.reason}"
                        raise
                    self._robots[origin] = None
            return self._robots[origin]

    def _adopt(self, rules: Protego, origin: str) -> None:
        paces = []
        if delay := rules.crawl_delay(AGENT):
            paces.append(1 / delay)
        if rate := rules.request_rate(AGENT):
            paces.append(rate.requests / rate.seconds)
        if paces and self.pace.slow_down(min(paces)):
            log.warning("%s/robots.txt asks for %.3g requests a second", origin, min(paces))


def _read(response: requests.Response) -> bytes:
    """What has arrived of the body, nothing at its end; read1 so that a trickle is noticed."""
    try:
        return response.raw.read1(CHUNK, decode_content=True) or b""
    except urllib3.exceptions.DecodeError as error:
        raise Failure(Outcome.bad, "cannot be unpacked", response.status_code) from error
    except urllib3.exceptions.HTTPError as error:
        timed_out = isinstance(error, urllib3.exceptions.TimeoutError)
        reason = "time-out" if timed_out else "body cut off"
        raise Failure(Outcome.transient, reason, response.status_code) from error


def _finish(response: requests.Response) -> None:
    """Read what little is left, so that the connection can be used again."""
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) <= CHUNK:
        with suppress(urllib3.exceptions.HTTPError):  # the connection is closed instead
            response.raw.drain_conn()


def _joined(address: str, target: str, status: int) -> str:
    try:
        return urljoin(address, target)
    except ValueError as error:
        raise Failure(Outcome.permanent, "redirected to no address", status) from error


def _phrase(status: int) -> str:
    known = status in HTTPStatus.__members__.values()
    return f"{status} {HTTPStatus(status).phrase}" if known else str(status)


def seconds(text: str) -> float | None:
    """A Retry-After, which is seconds or a date; None when it is neither."""
    if text.strip().isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    wait: float = (date - datetime.now(UTC)).total_seconds()
    return max(0.0, wait)


def _why(error: BaseException) -> str:
    """The cause at the bottom of an error of requests, in a few words."""
    chain = [error]
    while (
        inner := getattr(chain[-1], "reason", None) or chain[-1].__cause__ or chain[-1].__context__
    ):
        if not isinstance(inner, BaseException) or inner in chain:
            break
        chain.append(inner)
    for kind, words in (
        (requests.exceptions.ProxyError, "no answer from the proxy"),
        (urllib3.exceptions.NameResolutionError, "host name not found"),
        (ssl.SSLError, "no secure connection"),
        (ConnectionRefusedError, "connection refused"),
        (ConnectionResetError, "connection reset"),
        (urllib3.exceptions.TimeoutError, "time-out"),  # some of the above are of this kind too
        (urllib3.exceptions.ProtocolError, "connection closed without an answer"),
    ):
        if any(isinstance(link, kind) for link in chain):
            return words
    return "no connection"
