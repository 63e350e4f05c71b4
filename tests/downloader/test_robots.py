"""robots.txt: its rules and rates are obeyed, also if it is missing, faulty or on another host."""

import threading
import time
from pathlib import Path

import pytest

from src.demo.server import served
from src.downloader.errors import Failure, Outcome
from src.downloader.rate_limiter import RateLimiter
from src.downloader.robots import Robots
from tests.support.hosts import BadMuseum, Fault, address, draw_small, get, local_client


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
        get(local_client(), address(museum))
    else:
        with pytest.raises(Failure, match="disallowed by robots.txt of 127.0.0.1:"):
            get(local_client(), address(museum))
    assert len(museum.moments) == allowed


@pytest.mark.parametrize("status", [404, 403, 410])
def test_without_a_robots_txt_everything_is_allowed(museum: BadMuseum, status: int) -> None:
    museum.robots = (status, b"")
    assert get(local_client(), address(museum))


def test_nothing_is_requested_while_robots_txt_cannot_be_fetched(museum: BadMuseum) -> None:
    museum.robots, client = (503, b""), local_client()
    with pytest.raises(Failure, match="robots.txt: 503 Service Unavailable") as caught:
        get(client, address(museum))
    assert (caught.value.outcome, museum.moments) == (Outcome.transient, [])
    museum.robots = (200, b"")
    assert get(client, address(museum))


@pytest.mark.parametrize("rule", ["Crawl-delay: 0.2", "Request-rate: 5/1"])
def test_the_rate_of_robots_txt_is_kept(museum: BadMuseum, rule: str) -> None:
    museum.robots, client = (200, f"User-agent: *\n{rule}".encode()), local_client(1000)
    for _ in range(4):
        get(client, address(museum))
    assert museum.moments[-1] - museum.moments[0] > 0.55


def test_a_redirect_to_another_host_obeys_its_robots_txt(museum: BadMuseum, tmp_path: Path) -> None:
    other = BadMuseum(draw_small(tmp_path / "other", 1), tmp_path / "other")
    with served(other):
        museum.redirect = address(other)
        museum.every = Fault("moved elsewhere")
        assert get(local_client(), address(museum)) == next(iter(other.files.values())).read_bytes()
        other.robots = (200, b"User-agent: *\nDisallow: /")
        with pytest.raises(Failure, match="disallowed by robots.txt"):
            get(local_client(), address(museum))


@pytest.mark.parametrize("status", [203, 206, 500])
def test_an_unusual_status_of_robots_txt_is_a_failure(museum: BadMuseum, status: int) -> None:
    museum.robots = (status, b"User-agent: *\nDisallow: /")
    with pytest.raises(Failure, match="robots.txt: "):
        get(local_client(), address(museum))
    assert museum.moments == []


@pytest.mark.parametrize("rule", ["Crawl-delay: 99999999999", "Request-rate: 1/99999999999999999"])
def test_a_host_that_asks_for_an_extremely_low_rate_is_a_failure(
    museum: BadMuseum, rule: str
) -> None:
    museum.robots = (200, f"User-agent: *\n{rule}".encode())
    with pytest.raises(Failure, match="robots.txt asks for .* seconds between requests") as caught:
        get(local_client(), address(museum))
    assert (caught.value.retry_after or 0) > 3600


def test_threads_that_wait_for_the_same_robots_txt_fetch_it_once(museum: BadMuseum) -> None:
    requests = list[str]()

    def read(url: str, max_bytes: int) -> bytes:
        requests.append(url)
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
    assert (reasons, len(requests)) == (["robots.txt: timeout"] * 8, 1)
