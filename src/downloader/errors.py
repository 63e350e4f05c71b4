"""Classify failed requests as permanent, transient or invalid content."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus

import requests
import urllib3

from src.config.addresses import redacted
from src.downloader.rate_limiter import MAX_PAUSE

TRANSIENT_STATUSES = (408, 425, 429)  # and 500 to 599
MAX_REASON_LENGTH = 200


class Outcome(Enum):
    """Outcome of one requested image. The values are those of journal.csv."""

    ok = "ok"
    permanent = "permanent"
    transient = "transient"
    bad = "bad content"


@dataclass(eq=False)
class Failure(Exception):
    """A failed request. Never modified once raised: `dataclasses.replace` makes a changed copy.

    Not a frozen dataclass, because Python itself sets an exception's traceback.
    """

    outcome: Outcome
    reason: str  # one printable line of at most 200 characters
    status: int | None = None  # HTTP status, None without a response
    retryable: bool = True  # False: another attempt now would fail in the same way
    retry_after: float | None = None  # seconds that the host asks to wait
    attempts: int = 1  # requests made before giving up

    def __post_init__(self) -> None:
        """Clean the reason, which may contain text from the host."""
        line = " ".join(self.reason.split())
        self.reason = "".join(filter(str.isprintable, line))[:MAX_REASON_LENGTH]

    def __str__(self) -> str:
        return self.reason


def from_status(status: int, retry_after: str = "") -> Failure:
    """Return the Failure for an HTTP status other than 200 and its Retry-After header."""
    if status in TRANSIENT_STATUSES or 500 <= status <= 599 or status < 200:
        wait = parse_retry_after(retry_after)
        retryable = wait is None or wait <= MAX_PAUSE
        return Failure(Outcome.transient, _phrase(status), status, retryable, wait)
    return Failure(Outcome.bad if status < 300 else Outcome.permanent, _phrase(status), status)


def invalid_url(text: str, status: int | None = None) -> Failure:
    """Return the Failure for a URL that cannot be requested.

    `status` is that of the redirect that led to it, None for a URL of the museum's tables.
    """
    return Failure(Outcome.permanent, f"not an http(s) URL: {redacted(text)}", status)


def _phrase(status: int) -> str:
    is_standard = status in HTTPStatus.__members__.values()
    return f"{status} {HTTPStatus(status).phrase}" if is_standard else str(status)


def parse_retry_after(text: str) -> float | None:
    """Return the seconds of a Retry-After header (a number or a date), None if it is invalid."""
    if text.strip().isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    wait: float = (date - datetime.now(UTC)).total_seconds()
    return max(0.0, wait)


def root_cause(error: BaseException) -> str:
    """Return a short description of the first cause of an error of requests or urllib3."""
    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    for kind, description in (
        (requests.exceptions.ProxyError, "no response from the proxy"),
        (requests.exceptions.InvalidProxyURL, "invalid proxy URL"),
        (requests.exceptions.InvalidHeader, "invalid headers"),
        (urllib3.exceptions.NameResolutionError, "host name not found"),
        (ssl.SSLError, "TLS connection failed"),
        (ConnectionRefusedError, "connection refused"),
        (ConnectionResetError, "connection reset"),
        (urllib3.exceptions.TimeoutError, "timeout"),  # base class of some kinds above
        (urllib3.exceptions.ProtocolError, "connection closed without a response"),
    ):
        if any(isinstance(link, kind) for link in chain):
            return description
    return "connection failed"
