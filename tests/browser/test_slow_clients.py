"""Clients that keep a connection and say nothing, or say it slowly."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browsed import Browsed, browsed, read_answer

CODE = """
from src.browser import serving, uploads
serving.HEAD_SECONDS = uploads.BODY_SECONDS = 0.2
serving.MAX_CONNECTIONS = 5
"""


@pytest.fixture(scope="module")
def server(two_runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsed]:
    """Return a server of a run that waits a fifth of a second, and has few connections."""
    folder = tmp_path_factory.mktemp("served")
    words = [two_runs[0], "--port", "0", "--outputs", folder]
    with browsed(folder / "errors.txt", *words, code=CODE) as server:
        yield server
        assert "Traceback" not in server.errors.read_text()


def is_closed(connection: socket.socket) -> bool:
    """Wait until the server closes a connection, and return whether it has sent nothing else."""
    return connection.recv(1) == b""


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHo"])
def test_a_connection_without_a_request_is_closed(server: Browsed, begun: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(begun)
        assert is_closed(connection)


def test_half_a_second_request_is_not_waited_for(server: Browsed) -> None:
    request = f"GET /static/page.js HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode()
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(request)
            assert read_answer(connection).status == 200
        connection.sendall(request[:9])
        assert is_closed(connection)


def test_a_slow_image_is_not_waited_for(server: Browsed) -> None:
    head = f"POST /0/query HTTP/1.1\r\nHost: {server.host}\r\nOrigin: http://{server.host}\r\n"
    with server.connect() as connection:
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\nhalf".encode())
        answer = read_answer(connection)
    assert answer.status == 408
    assert re.match("the image did not arrive in .* seconds", json.loads(answer.body)["error"])


def test_too_many_connections_are_refused_until_they_are_closed(server: Browsed) -> None:
    held = [server.connect() for _ in range(6)]
    assert server.ask("/static/page.js").status == 503
    assert all(is_closed(connection) for connection in held)
    assert server.ask("/static/page.js").status == 200
    for connection in held:
        connection.close()
