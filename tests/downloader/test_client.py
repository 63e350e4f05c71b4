"""The HTTP client: its User-Agent, robots.txt, rate limit, Retry-After and retries."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests

from src import __version__
from src.demo.server import served
from src.downloader import errors
from src.downloader.client import PoliteClient, RetryPolicy
from src.downloader.errors import Failure, Outcome
from src.downloader.rate_limiter import RateLimiter, Stopped
from src.downloader.robots import Robots
from src.errors import UserError
from tests.support.hosts import BadMuseum, Fault, draw_small


@pytest.fixture
def museum(tmp_path: Path) -> Iterator[BadMuseum]:
    """One image."""
    bad = BadMuseum(draw_small(tmp_path, 1), tmp_path)
    with served(bad):
        yield bad


def address(museum: BadMuseum) -> str:
    return f"{museum.address}/iiif/{next(iter(museum.files))}/full/!99,99/0/default.jpg"


def get(client: PoliteClient, url: str) -> bytes:
    with client.get(url) as response:
        return b"".join(client.iter_body(response, 10**6))


@pytest.mark.parametrize(("contact", "about"), [(None, ""), ("a@b.org", " (a@b.org)")])
def test_the_user_agent_names_the_program_and_the_contact(
    museum: BadMuseum, contact: str | None, about: str
) -> None:
    get(PoliteClient(contact=contact), address(museum))
    name = f"painting-similarity/{__version__}{about} python-requests/{requests.__version__}"
    assert museum.headers[0]["User-Agent"] == name
    assert "Cookie" not in museum.headers[0]


@pytest.mark.parametrize(
    ("robots", "allowed"),
    [
        ("User-agent: *\nDisallow: /iiif/", False),
        ("User-agent: *\nDisallow: /\nAllow: /iiif/*.jpg$", True),
        ("User-agent: painting-similarity\nDisallow: /*/full/", False),
        ("User-agent: GreedyBot\nDisallow: /", True),
        ("\ufeffUser-agent: *\nDisallow: /", False),
        ("User-agent: *\nDisallow: /\n" + "# more\n" * 100_000, False),
        ("<html>no rules</html>", True),
    ],
)
def test_robots_txt_is_obeyed(museum: BadMuseum, robots: str, allowed: bool) -> None:
    museum.robots = (200, robots.encode())
    if allowed:
        get(PoliteClient(), address(museum))
    else:
        with pytest.raises(Failure, match="disallowed by robots.txt of 127.0.0.1:"):
            get(PoliteClient(), address(museum))
    assert len(museum.moments) == allowed


@pytest.mark.parametrize("status", [404, 403, 410])
def test_without_a_robots_txt_everything_is_allowed(museum: BadMuseum, status: int) -> None:
    museum.robots = (status, b"")
    assert get(PoliteClient(), address(museum))


def test_nothing_is_requested_while_robots_txt_cannot_be_fetched(museum: BadMuseum) -> None:
    museum.robots, client = (503, b""), PoliteClient()
    with pytest.raises(Failure, match="robots.txt: 503 Service Unavailable") as caught:
        get(client, address(museum))
    assert (caught.value.outcome, museum.moments) == (Outcome.transient, [])
    museum.robots = (200, b"")
    assert get(client, address(museum))


@pytest.mark.parametrize("rule", ["Crawl-delay: 0.2", "Request-rate: 5/1"])
def test_the_rate_of_robots_txt_is_kept(museum: BadMuseum, rule: str) -> None:
    museum.robots, client = (200, f"User-agent: *\n{rule}".encode()), PoliteClient(1000)
    for _ in range(4):
        get(client, address(museum))
    assert museum.moments[-1] - museum.moments[0] > 0.55


def test_a_redirect_to_another_host_obeys_its_robots_txt(museum: BadMuseum, tmp_path: Path) -> None:
    other = BadMuseum(draw_small(tmp_path / "other", 1), tmp_path / "other")
    with served(other):
        museum.redirect = address(other)
        museum.every = Fault("moved elsewhere")
        assert get(PoliteClient(), address(museum)) == next(iter(other.files.values())).read_bytes()
        other.robots = (200, b"User-agent: *\nDisallow: /")
        with pytest.raises(Failure, match="disallowed by robots.txt"):
            get(PoliteClient(), address(museum))


def test_localhost_is_requested_without_a_proxy(
    museum: BadMuseum, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert get(PoliteClient(), address(museum))
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
        get(PoliteClient(retry_policy=RetryPolicy(connect_timeout=1)), url)
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


@pytest.mark.parametrize("status", [203, 206, 500])
def test_an_unusual_status_of_robots_txt_is_a_failure(museum: BadMuseum, status: int) -> None:
    museum.robots = (status, b"User-agent: *\nDisallow: /")
    with pytest.raises(Failure, match="robots.txt: "):
        get(PoliteClient(), address(museum))
    assert museum.moments == []


@pytest.mark.parametrize("rule", ["Crawl-delay: 99999999999", "Request-rate: 1/99999999999999999"])
def test_a_host_that_asks_for_an_extremely_low_rate_is_a_failure(
    museum: BadMuseum, rule: str
) -> None:
    museum.robots = (200, f"User-agent: *\n{rule}".encode())
    with pytest.raises(Failure, match="robots.txt asks for .* seconds between requests") as caught:
        get(PoliteClient(), address(museum))
    assert (caught.value.retry_after or 0) > 3600


def test_threads_that_wait_for_the_same_robots_txt_fetch_it_once(museum: BadMuseum) -> None:
    asked = list[str]()

    def read(url: str, most: int) -> bytes:
        asked.append(url)
        time.sleep(0.2)
        raise Failure(Outcome.transient, "timeout")

    robots = Robots("me", RateLimiter(0), read)
    reasons = list[str]()

    def check() -> None:
        with pytest.raises(Failure) as caught:
            robots.check(address(museum))
        reasons.append(str(caught.value))

    threads = [threading.Thread(target=check) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (reasons, len(asked)) == (["robots.txt: timeout"] * 8, 1)


@pytest.mark.parametrize("target", ["/a b.jpg", "/k\u00f6.jpg", "/k%C3%B6.jpg", "//{host}/x?a=[1]"])
def test_a_redirect_may_have_an_unquoted_location(museum: BadMuseum, target: str) -> None:
    museum.every, museum.redirect = Fault("moved elsewhere"), target
    museum.redirect = target.format(host=museum.address.removeprefix("http://"))
    with pytest.raises(Failure, match="404 Not Found"):
        get(PoliteClient(), address(museum))


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


def test_requests_of_many_threads_are_evenly_spaced() -> None:
    limiter, moments = RateLimiter(100), list[float]()

    def ask() -> None:
        for _ in range(5):
            limiter.acquire()
            moments.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moments) == 40
    assert 0.38 < max(moments) - began < 10


def test_a_pause_delays_threads_that_already_wait() -> None:
    limiter, moments = RateLimiter(10), list[float]()
    threads = [
        threading.Thread(target=lambda: (limiter.acquire(), moments.append(time.monotonic())))
        for _ in range(3)
    ]
    limiter.acquire()
    for thread in threads:
        thread.start()
    began = time.monotonic()
    limiter.pause(0.6)
    for thread in threads:
        thread.join()
    assert min(moments) - began > 0.59


def test_a_stop_wakes_threads_that_wait() -> None:
    limiter = RateLimiter(0)
    limiter.pause(60)
    timer = threading.Timer(0.1, limiter.stop)
    timer.start()
    with pytest.raises(Stopped):
        limiter.acquire()
    with pytest.raises(Stopped):
        limiter.acquire()
