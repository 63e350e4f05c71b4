"""Images sent to a real server byte by byte: cut off, endless, far larger inside than outside."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.browser.uploads import MAX_BYTES
from tests.support.browsed import Answer, Browsed, read_answer, unharmed
from tests.support.hostile_bombs import BOMBS
from tests.support.image_files import encoded, noise


@pytest.fixture(scope="module")
def server(two_runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsed]:
    """Return a server of both runs, which must not meet anything unexpected."""
    with unharmed(tmp_path_factory.mktemp("served"), *two_runs) as server:
        yield server


def begun(server: Browsed, *headers: str) -> socket.socket:
    """Return a connection on which a page of the server has begun to send an image."""
    lines = ["POST /0/query HTTP/1.1", f"Host: {server.host}", f"Origin: http://{server.host}"]
    connection = server.connect()
    connection.sendall("\r\n".join([*lines, *headers, "Connection: close", "", ""]).encode())
    return connection


def sent(server: Browsed, body: bytes, *headers: str) -> Answer:
    """Send a whole body; return the answer."""
    with begun(server, *(headers or [f"Content-Length: {len(body)}"])) as connection:
        connection.sendall(body)
        return read_answer(connection)


def test_an_image_is_taken(server: Browsed) -> None:
    body = encoded(noise("a"), "PNG")
    assert json.loads(sent(server, body).body)["location"].startswith("query.html?image=")
    chunked = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    assert sent(server, chunked, "Transfer-Encoding: chunked").status == 200


@pytest.mark.parametrize("is_chunked", [False, True])
def test_too_many_bytes_are_refused(server: Browsed, is_chunked: bool) -> None:
    body = bytes(MAX_BYTES + 1_000_000)
    if is_chunked:
        body = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        answer = sent(server, body, "Transfer-Encoding: chunked")
    else:
        answer = sent(server, body)
    assert answer.status == 413
    assert "more than 30.0 MB" in json.loads(answer.body)["error"]


@pytest.mark.parametrize("name", ["texts.png", "profiles.png", "empty scans.jpg", "tile.tif"])
def test_a_bomb_is_refused(server: Browsed, name: str) -> None:
    reason, make = BOMBS[name]
    answer = sent(server, make())
    assert answer.status == 422
    assert reason in json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"half", ["Content-Length: 1000"]),
        (b"", ["Content-Length: 1000"]),
        (b"ff\r\nhalf", ["Transfer-Encoding: chunked"]),
        (b"4\r\nhalf\r\n", ["Transfer-Encoding: chunked"]),
    ],
)
def test_half_a_body_leaves_nothing(server: Browsed, body: bytes, headers: list[str]) -> None:
    with begun(server, *headers) as connection:
        connection.sendall(body)
    assert server.ask("/0/query.html").status == 200


@pytest.mark.parametrize("body", [b"zz\r\nx\r\n0\r\n\r\n", b"-1\r\n\r\n", b"f" * 40 + b"\r\n"])
def test_chunks_of_no_length_are_refused(server: Browsed, body: bytes) -> None:
    with begun(server, "Transfer-Encoding: chunked") as connection:
        connection.sendall(body)
        assert read_answer(connection).status == 400
