"""The HTTP client: its User-Agent, proxies, redirects, Retry-After and retries."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests

from src import __version__
from src.downloader import errors
from src.downloader.client import PoliteClient, RetryPolicy
from src.downloader.errors import Failure, Outcome
from src.errors import UserError
from tests.support.hosts import BadMuseum, Fault, address, get, local_client


@pytest.mark.parametrize(("contact", "about"), [(None, ""), ("a@b.org", " (a@b.org)")])
def test_the_user_agent_names_the_program_and_the_contact(
    museum: BadMuseum, contact: str | None, about: str
) -> None:
    get(local_client(contact=contact), address(museum))
    name = f"painting-similarity/{__version__}{about} python-requests/{requests.__version__}"
    assert museum.headers[0]["User-Agent"] == name
    assert "Cookie" not in museum.headers[0]


def test_localhost_is_requested_without_a_proxy(
    museum: BadMuseum, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert get(local_client(), address(museum))
    with pytest.raises(Failure, match="no response from the proxy"):
        get(PoliteClient(), "http://museum.invalid/x.jpg")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/x.jpg", "robots.txt: connection refused"),
        ("http://museum.invalid/x.jpg", "robots.txt: host name not found"),
        ("file:///etc/hostname", "not an http\\(s\\) URL"),
        ("http:///x.jpg", "not an http\\(s\\) URL"),
        ("http://127.0.0.1:99999/", "not an http\\(s\\) URL"),
        ("http://xn--/x", "not an http|host name not found"),
    ],
)
def test_a_failure_without_a_response_has_a_reason(url: str, reason: str) -> None:
    with pytest.raises(Failure, match=reason) as caught:
        get(local_client(retry_policy=RetryPolicy(connect_timeout=1)), url)
    assert caught.value.status is None


def test_retry_after_is_seconds_or_a_date() -> None:
    assert errors.parse_retry_after("7") == 7
    assert errors.parse_retry_after("0") == 0
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 88 <= (errors.parse_retry_after(later) or 0) <= 90
    assert errors.parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    far = "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"
    for text in ("", "soon", "-3", "1.5", "²", far):
        assert errors.parse_retry_after(text) is None


@pytest.mark.parametrize("target", ["/a b.jpg", "/k\u00f6.jpg", "/k%C3%B6.jpg", "//{host}/x?a=[1]"])
def test_a_redirect_may_have_an_unquoted_location(museum: BadMuseum, target: str) -> None:
    museum.every, museum.redirect = Fault("moved elsewhere"), target
    museum.redirect = target.format(host=museum.address.removeprefix("http://"))
    with pytest.raises(Failure, match="404 Not Found"):
        get(local_client(), address(museum))


def test_waits_between_retries_double_and_are_random(monkeypatch: pytest.MonkeyPatch) -> None:
    client, waits = PoliteClient(retry_policy=RetryPolicy(attempts=6, max_wait=12)), list[float]()
    monkeypatch.setattr(client.rate_limiter, "sleep", waits.append)

    def fail() -> None:
        raise Failure(Outcome.transient, "no")

    for _ in range(40):
        with pytest.raises(Failure) as caught:
            client.with_retries(fail)
        assert caught.value.attempts == 6
    for step, mean in enumerate((1, 2, 4, 8)):
        drawn = waits[step::5]
        assert 0.5 * mean <= min(drawn) < 0.8 * mean
        assert 1.2 * mean < max(drawn) <= 1.5 * mean
    assert max(waits) == 12


def test_a_failure_is_never_modified_after_it_was_raised() -> None:
    failure = Failure(Outcome.transient, "a\nb\0" + "c" * 300, 503)
    before = vars(failure).copy()
    assert (str(failure), failure.retryable) == ("a b" + "c" * 197, True)

    def fail() -> None:
        raise failure

    with pytest.raises(Failure) as caught:
        PoliteClient(retry_policy=RetryPolicy(first_wait=0)).with_retries(fail, attempts=3)
    assert (caught.value.attempts, caught.value.__cause__) == (3, failure)
    assert vars(failure) == before


def test_a_missing_file_of_certificates_is_a_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")
    with pytest.raises(UserError, match="invalid path: /no/such/file"):
        get(PoliteClient(), "https://museum.invalid/x.jpg")
