"""Answers of a museum on localhost that never end, each in a way of its own.

Most send something often enough for the timeout of a single read to hold for ever.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.hosts import Misbehaving

PAUSE = 0.05  # seconds between two pieces
JPEG = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
CHUNKED = JPEG + b"Transfer-Encoding: chunked\r\n\r\n"


def sends(
    start: bytes, more: bytes = b"", pause: float = PAUSE
) -> Callable[["Misbehaving", bytes], None]:
    """Return a fault that sends start, and then more again and again, if it is anything."""

    def answer(self: "Misbehaving", body: bytes) -> None:
        self.close_connection = True
        self.wfile.write(start)
        self.wfile.flush()
        while more:
            self.wfile.write(more)
            self.wfile.flush()
            time.sleep(pause)
        self.rfile.read(1)  # returns once the client has hung up

    return answer


def error(status: bytes, headers: bytes = b"") -> bytes:
    """Return the start of an answer with another status than 200."""
    return b"HTTP/1.1 " + status + b"\r\n" + headers


LONG = b"Content-Length: 50000\r\n\r\n"
HERE = b"Location: /nowhere\r\n"
MANY = b"x" * 20_000

ENDLESS: dict[str, Callable[["Misbehaving", bytes], None]] = {
    "never": sends(b""),
    "half a status line": sends(b"HTTP/1.1 20"),
    "status line slowly": sends(b"HTTP/1.1 200 ", b"O"),
    "headers slowly": sends(JPEG, b"A: b\r\n"),
    "header slowly": sends(JPEG + b"A: ", b"b"),
    "header without end": sends(JPEG + b"A: ", MANY, 0),
    "headers without end": sends(JPEG, b"A: b\r\n", 0),
    "continue slowly": sends(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "continue without end": sends(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50, 0),
    "404 slowly": sends(error(b"404 Not Found", LONG), b"x"),
    "404 without end": sends(error(b"404 Not Found", b"\r\n"), MANY, 0),
    "404 of nothing": sends(error(b"404 Not Found", LONG)),
    "302 slowly": sends(error(b"302 Found", HERE + LONG), b"x"),
    "302 in chunks": sends(
        error(b"302 Found", HERE + b"Transfer-Encoding: chunked\r\n\r\n"), b"1\r\nx\r\n"
    ),
    "body slowly": sends(JPEG + LONG, b"x"),
    "body to its end slowly": sends(JPEG + b"Connection: close\r\n\r\n", b"x"),
    "half a body": sends(JPEG + LONG + b"\xff\xd8"),
    "chunks beside a length": sends(
        JPEG + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"
    ),
    "chunks with extensions": sends(CHUNKED, b"1;" + b"a=b;" * 50 + b"\r\nx\r\n"),
    "extension without end": sends(CHUNKED + b"1;", MANY, 0),
    "extension slowly": sends(CHUNKED + b"1;", b"a"),
    "chunk size slowly": sends(CHUNKED, b"0"),
    "trailers slowly": sends(CHUNKED + b"1\r\nx\r\n0\r\n", b"A: b\r\n"),
    "trailers without end": sends(CHUNKED + b"1\r\nx\r\n0\r\n", b"A: b\r\n" * 50, 0),
    "empty blocks": sends(JPEG + b"Content-Encoding: deflate\r\n\r\n\x78\x9c", b"\0\0\0\xff\xff"),
}
