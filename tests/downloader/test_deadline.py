"""The deadline of a request holds for its name, its proxy, its TLS handshake and its redirects."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from src.downloader.client import PoliteClient
from src.downloader.deadline import Deadline, Watchdog
from src.downloader.errors import Failure, Outcome
from src.downloader.rate_limiter import Stopped
from src.errors import UserError
from tests.support.fake_names import answer_names
from tests.support.hosts import QUICK, BadMuseum, Fault, address, get, local_client

POLICY = replace(QUICK, read_timeout=2, total_timeout=0.5)


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Accept connections on a port of 127.0.0.1, which is yielded, and answer each in a thread."""

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client hangs up
            answer(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:  # the server is closed
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def drip(start: bytes, more: bytes) -> Callable[[socket.socket], None]:
    """Return an answer that sends start, and then more again and again."""

    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(start)
        while True:
            connection.sendall(more)
            time.sleep(0.05)

    return answer


def seconds_to_fail(client: PoliteClient, url: str, reason: str = "timeout: not complete") -> float:
    """Return how long a request takes, which fails for this reason."""
    began = time.monotonic()
    with pytest.raises(Failure, match=reason) as caught:
        get(client, url)
    assert caught.value.outcome is Outcome.transient
    return time.monotonic() - began


def test_odd_headers_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 warns of each, with a traceback and with text of the host."""
    odd = b"HTTP/1.1 404 Not Found\r\nno header \x1b[31m\r\nContent-Length: 1\r\n\r\n"
    with listening(lambda connection: connection.sendall(odd)) as port, pytest.raises(Failure):
        get(local_client(), f"http://127.0.0.1:{port}/")
    assert caplog.records == []


def test_a_socks_proxy_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "socks5h://me:hunter2@127.0.0.1:1")
    with pytest.raises(UserError, match="SOCKS proxy in the environment is not") as caught:
        get(PoliteClient(), "https://museum.test/x.jpg")
    assert "hunter2" not in str(caught.value)


# A TLS record of 16 kB that never comes to its end, and handshake messages of no length
@pytest.mark.parametrize("more", [b"\0", b"\x16\x03\x03\x00\x04\x02\x00\x3f\xff"])
def test_a_tls_handshake_without_end_ends(more: bytes) -> None:
    with listening(drip(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb", more)) as port:
        seconds = seconds_to_fail(
            local_client(retry_policy=POLICY), f"https://127.0.0.1:{port}/", "timeout|TLS"
        )
    assert seconds < 1.5


def test_a_proxy_that_answers_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(drip(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n")) as port:
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        seconds = seconds_to_fail(PoliteClient(retry_policy=POLICY), "https://museum.test/x.jpg")
    assert seconds < 1.5


def test_a_name_that_is_not_resolved_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def resolve(host: str) -> list[str]:
        answered.wait(20)
        return []

    answer_names(monkeypatch, resolve)
    url, slow = "http://museum.test/x.jpg", replace(POLICY, connect_timeout=60, total_timeout=60)
    try:
        assert seconds_to_fail(PoliteClient(retry_policy=POLICY), url) < 1.5
        quick = replace(POLICY, connect_timeout=0.3, total_timeout=60)
        assert seconds_to_fail(PoliteClient(retry_policy=quick), url, "timeout") < 1.5
        client = PoliteClient(retry_policy=slow)
        threading.Timer(0.3, client.stop).start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            get(client, url)
        assert time.monotonic() - began < 1.5
    finally:
        answered.set()


def test_redirects_share_one_deadline(museum: BadMuseum) -> None:
    museum.every, museum.redirect, museum.delay = Fault("moved elsewhere"), address(museum), 0.2
    client = local_client(retry_policy=POLICY)
    assert seconds_to_fail(client, address(museum)) < 1.5
    assert len(museum.moments) <= 3


def test_the_wait_for_a_turn_is_no_time_of_the_request(museum: BadMuseum) -> None:
    client = local_client(1, retry_policy=POLICY)  # one request a second
    for _ in range(2):
        assert get(client, address(museum))


def test_a_deadline_that_is_extended_ends_later_and_others_when_they_have_to() -> None:
    dog, ends = Watchdog(), dict[str, float]()
    began = time.monotonic()

    def wait(name: str, seconds: float, extra: float) -> None:
        deadline, over = Deadline(seconds), threading.Event()
        with pytest.raises(Failure, match=f"not complete after {seconds:g} s"), dog.limit(deadline):
            deadline.extend(extra)
            deadline.wake_by(over.set)
            over.wait(10)
            ends[name] = time.monotonic() - began
            deadline.check()

    cases = [("long", 0.9, 0), ("extended", 0.2, 0.4), ("short", 0.3, 0)]
    threads = [threading.Thread(target=wait, args=case) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(ends) == ["short", "extended", "long"]
    assert ends["short"] >= 0.3 and ends["extended"] >= 0.6 and ends["long"] >= 0.9
    assert ends["long"] < 2


def test_the_time_between_two_spans_does_not_count() -> None:
    dog, deadline = Watchdog(), Deadline(0.5)
    for _ in range(3):
        with dog.limit(deadline):
            pass
        time.sleep(0.3)
    with dog.limit(deadline):
        deadline.check()
        assert deadline.end > time.monotonic()
