"""Hostile tables from a host: bounded in bytes, before and after unpacking, and in time."""

import gzip
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from src.demo.server import Handler, Museum, served
from src.downloader import tables
from src.downloader.client import PoliteClient, RetryPolicy
from src.downloader.tables import fetch_tables
from src.errors import UserError

SCHEMA = {"objects.csv": ["objectid"]}
TABLE = b"objectid,title\n1,one\n"
Answer = Callable[[Handler], None]


class Hostile(Handler):
    """Gives a table in the way of its museum."""

    def table(self, body: bytes) -> None:
        """Answer with a table."""
        assert isinstance(self.server, HostileMuseum)
        self.close_connection = True
        self.server.requests += 1
        try:
            self.server.answer(self)
        except ConnectionError:  # the client hangs up
            self.server.hung_up = True


class HostileMuseum(Museum):
    """A museum of one table."""

    handler = Hostile

    def __init__(self) -> None:
        super().__init__([], Path())
        self.answer: Answer = lambda handler: None
        self.hung_up, self.requests = False, 0


@pytest.fixture
def host() -> Iterator[HostileMuseum]:
    made = HostileMuseum()
    with served(made):
        yield made


def sends(body: bytes, encoding: str = "") -> Answer:
    """Return an answer with this body."""
    headers = {"Content_Encoding": encoding} if encoding else {}
    return lambda handler: handler.reply(200, body, "text/csv", **headers)


def fetch(host: HostileMuseum, folder: Path, refresh: bool = False) -> None:
    client = PoliteClient(retry_policy=RetryPolicy(first_wait=0.01, read_timeout=2))
    fetch_tables(f"{host.address}/data", SCHEMA, folder, refresh, client)


def squeezed(byte: bytes, size: int) -> bytes:
    """Return the gzip of very many equal bytes."""
    return gzip.compress(TABLE + byte * size)


@pytest.mark.parametrize("byte", [b"\0", b"\n", b","])
def test_what_unpacks_to_far_more_is_refused_in_little_memory(
    byte: bytes, host: HostileMuseum, tmp_path: Path
) -> None:
    host.answer = sends(squeezed(byte, 60_000_000), "gzip")
    tracemalloc.start()
    with pytest.raises(UserError, match="objects.csv: unpacks to more than 100 times its size"):
        fetch(host, tmp_path / "cache")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15e6
    assert (host.requests, list((tmp_path / "cache").iterdir())) == (1, [])


REFUSED = {  # bodies and their Content-Encoding, where a table may have 999 bytes
    "long": (TABLE * 50, "", "larger than 999 bytes"),
    "long unpacked": (squeezed(b"\n", 2000), "gzip", "unpacks to more than 999 bytes"),
    "two streams": (gzip.compress(TABLE) * 2, "gzip", "more than one stream of gzip"),
    "more after the end": (gzip.compress(TABLE) + b"\0", "gzip", "more than one stream of gzip"),
    "empty streams": (gzip.compress(b"") * 20, "gzip", "more than one stream of gzip"),
    "gzip in gzip": (gzip.compress(gzip.compress(TABLE)), "gzip, gzip", "Encoding gzip, gzip"),
    "br": (TABLE, "br", "Content-Encoding br: only gzip is accepted"),
    "deflate": (TABLE, "deflate", "Content-Encoding deflate: only gzip is accepted"),
    "a line": (b"x" * 900, "", "has no column objectid"),
}


@pytest.mark.parametrize(("body", "encoding", "message"), REFUSED.values(), ids=REFUSED)
def test_bodies_that_are_refused(
    body: bytes,
    encoding: str,
    message: str,
    host: HostileMuseum,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables, "MAX_BYTES", 999)
    host.answer = sends(body, encoding)
    with pytest.raises(UserError, match=message):
        fetch(host, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "x-gzip", "GZIP"])
def test_bodies_that_are_accepted(encoding: str, host: HostileMuseum, tmp_path: Path) -> None:
    table = TABLE + b"".join(b"%d,title %d\n" % (n, n * n) for n in range(200_000))
    host.answer = sends(gzip.compress(table) if "gzip" in encoding.lower() else table, encoding)
    fetch(host, tmp_path)
    assert (tmp_path / "objects.csv").read_bytes() == table


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_table_that_trickles_ends(
    encoding: str, host: HostileMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "GRACE", 0.3)
    monkeypatch.setattr(tables, "MIN_RATE", 1000)
    monkeypatch.setattr(tables, "ATTEMPTS", 1)
    body = gzip.compress(TABLE * 1000) if encoding else TABLE * 1000

    def trickle(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        handler.wfile.write(f"Content-Encoding: {encoding or 'identity'}\r\n\r\n".encode())
        for byte in body:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.02)

    host.answer = trickle
    began = time.monotonic()
    with pytest.raises(UserError, match="objects.csv: slower than 1 kB a second"):
        fetch(host, tmp_path / "cache")
    assert time.monotonic() - began < 3


@pytest.mark.timeout(30)
@pytest.mark.parametrize("etag", ["pipe", "device", "folder", "long", "link to nothing"])
def test_an_etag_that_is_no_small_file_is_none(
    etag: str, host: HostileMuseum, tmp_path: Path
) -> None:
    (tmp_path / "objects.csv").write_bytes(b"old")
    file = tmp_path / "objects.csv.etag"
    if etag == "pipe":
        os.mkfifo(file)
    elif etag == "folder":
        file.mkdir()
    elif etag == "long":
        file.write_text("x" * 10**6)
    else:
        file.symlink_to("/dev/zero" if etag == "device" else "nothing")
    host.answer = sends(TABLE)
    if etag == "folder":  # which cannot be replaced by a file
        with pytest.raises(IsADirectoryError):
            fetch(host, tmp_path, refresh=True)
        return
    fetch(host, tmp_path, refresh=True)
    assert (tmp_path / "objects.csv").read_bytes() == TABLE
    assert file.is_file() and not file.is_symlink()
