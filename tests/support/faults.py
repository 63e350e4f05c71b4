"""Faulty answers of a museum on localhost, by name."""

import gzip
import socket
import struct
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from tests.support.endless import ENDLESS

if TYPE_CHECKING:
    from tests.support.hosts import Misbehaving


def reset(self: "Misbehaving", body: bytes) -> None:
    """Reset the connection after half of the body."""
    self.start("Content-Type: image/jpeg", f"Content-Length: {len(body)}")
    self.wfile.write(body[: len(body) // 2])
    self.wfile.flush()
    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    self.connection.close()
    self.close_connection = True


def cut(self: "Misbehaving", body: bytes) -> None:
    """Send less than Content-Length announces."""
    self.start("Content-Type: image/jpeg", f"Content-Length: {len(body)}")
    self.wfile.write(body[:-20])
    self.hang_up()


def pieces(self: "Misbehaving", body: bytes) -> None:
    """Send the whole image in chunks of a few bytes, which is no fault."""
    self.start("Content-Type: image/jpeg", "Transfer-Encoding: chunked")
    for start in range(0, len(body), 7):
        piece = body[start : start + 7]
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    self.wfile.write(b"0\r\n\r\n")
    self.hang_up()


def cut_chunks(self: "Misbehaving", body: bytes) -> None:
    """Send a chunked body without its last chunk."""
    self.start("Content-Type: image/jpeg", "Transfer-Encoding: chunked")
    self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
    self.hang_up()


def cut_unannounced(self: "Misbehaving", body: bytes) -> None:
    """Close the connection early, without a Content-Length."""
    self.start("Content-Type: image/jpeg", "Connection: close")
    self.wfile.write(body[:-20])
    self.hang_up()


def silent(self: "Misbehaving", body: bytes) -> None:
    """Send nothing for a while."""
    time.sleep(self.bad.silence)
    self.hang_up()


def trickle(self: "Misbehaving", body: bytes) -> None:
    """Send single bytes slowly."""
    self.start("Content-Type: image/jpeg", f"Content-Length: {len(body)}")
    for byte in body:
        self.wfile.write(bytes([byte]))
        self.wfile.flush()
        time.sleep(self.bad.silence / 10)


def endless(self: "Misbehaving", body: bytes) -> None:
    """Send a body that is far too long, without a Content-Length."""
    self.start("Content-Type: image/jpeg", "Connection: close")
    for _ in range(10_000):
        self.wfile.write(body)
    self.hang_up()


def vast(self: "Misbehaving", body: bytes) -> None:
    """Send a small PNG with very many pixels."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    chunk = b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    idat = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    self.reply(200, b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + idat, "image/png")


def zipped(self: "Misbehaving", body: bytes) -> None:
    """Send the image with Content-Encoding gzip."""
    self.reply(200, gzip.compress(body), "image/jpeg", Content_Encoding="gzip")


def garbage(self: "Misbehaving", body: bytes) -> None:
    """Send something that is not HTTP."""
    self.wfile.write(b"\x00\x01 what?\r\n\r\n")
    self.hang_up()


def no_content(self: "Misbehaving", body: bytes) -> None:
    """Send the status 204, which has no body."""
    self.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")


def wait_until(self: "Misbehaving", body: bytes) -> None:
    """Send a Retry-After date two seconds from now."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    self.reply(503, b"", "text/html", Retry_After=date)


def moved_elsewhere(self: "Misbehaving", body: bytes) -> None:
    """Redirect to the museum's `redirect`."""
    self.reply(301, b"", "text/plain", Location=self.bad.redirect.encode().decode("latin-1"))


def moved(target: str) -> Callable[["Misbehaving", bytes], None]:
    """Return a fault that redirects; {} stands for the requested path."""

    def answer(self: "Misbehaving", body: bytes) -> None:
        self.reply(302, b"", "text/plain", Location=target.format(self.path))

    return answer


def status(code: int, **headers: str) -> Callable[["Misbehaving", bytes], None]:
    """Return a fault that answers with this status."""
    return lambda self, body: self.reply(code, b"<html>no</html>", "text/html", **headers)


def content(body: bytes, kind: str) -> Callable[["Misbehaving", bytes], None]:
    """Return a fault that answers with this body and content type."""
    return lambda self, _: self.reply(200, body, kind)


FAULTS: dict[str, Callable[["Misbehaving", bytes], None]] = {
    "404": status(404),
    "410": status(410),
    "400": status(400),
    "401": status(401),
    "403": status(403),
    "429": status(429),
    "429 wait": status(429, Retry_After="1"),
    "429 wait long": status(429, Retry_After="3000"),
    "500": status(500),
    "503": status(503),
    "503 wait until": wait_until,
    "503 for hours": status(503, Retry_After="7200"),
    "204": no_content,
    "reset": reset,
    "cut": cut,
    "pieces": pieces,
    "cut chunks": cut_chunks,
    "cut unannounced": cut_unannounced,
    "silent": silent,
    "trickle": trickle,
    "garbage": garbage,
    "html": content(b"<html>Please log in</html>", "text/html"),
    "html as jpeg": content(b"<html>Please log in</html>", "image/jpeg"),
    "empty": content(b"", "image/jpeg"),
    "svg": content(b"<svg/>", "image/svg+xml"),
    "noise": content(b"\xff\xd8\xff\xe0" + bytes(range(256)), "image/jpeg"),
    "endless": endless,
    "announced too large": content(bytes(70_000), "image/jpeg"),
    "vast": vast,
    "zipped": zipped,
    "moved elsewhere": moved_elsewhere,
    "moved round": moved("{}"),
    "moved to ftp": moved("ftp://127.0.0.1/x.jpg"),
    "moved to file": moved("file:///etc/hostname"),
    "moved nowhere": moved("http://[::1"),
    "moved with a password": moved("http://me:hunter2@127.0.0.1/x.jpg"),
    **ENDLESS,
}
