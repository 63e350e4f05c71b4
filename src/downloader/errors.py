"""What a host's answers, or their absence, mean for the one who asked."""

import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus

import requests
import urllib3

PASSING = (408, 425, 429)  # and 500 to 599: worth another attempt


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
        self.outcome, self.status = outcome, status
        self.reason = _printable(reason)[:200]  # hosts have a say in it
        self.once = once  # another attempt now would bring the same
        self.retry_after: float | None = None  # seconds that the host asks for
        self.attempts = 1

    def __str__(self) -> str:
        return self.reason


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, " ".join(text.split())))


def from_status(status: int, retry_after: str = "") -> Failure:
    """The failure that an HTTP status other than 200 is."""
    if status in PASSING or 500 <= status <= 599 or status < 200:
        failure = Failure(Outcome.transient, _phrase(status), status)
        failure.retry_after = seconds(retry_after)
        return failure
    return Failure(Outcome.bad if status < 300 else Outcome.permanent, _phrase(status), status)


def invalid_url(text: str, status: int | None = None) -> Failure:
    """The failure that asking for it is; status is that of the answer that led there."""
    return Failure(Outcome.permanent, f"not an http(s) address: {text}", status)


def _phrase(status: int) -> str:
    known = status in HTTPStatus.__members__.values()
    return f"{status} {HTTPStatus(status).phrase}" if known else str(status)


def seconds(text: str) -> float | None:
    """A Retry-After, which is seconds or a date; None when it is neither."""
    if text.strip().isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    wait: float = (date - datetime.now(UTC)).total_seconds()
    return max(0.0, wait)


def why(error: BaseException) -> str:
    """The cause at the bottom of an error of requests or urllib3, in a few words."""
    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    for kind, words in (
        (requests.exceptions.ProxyError, "no answer from the proxy"),
        (requests.exceptions.InvalidProxyURL, "the proxy's address is none"),
        (requests.exceptions.InvalidHeader, "headers that make no sense"),
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
