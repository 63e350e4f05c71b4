"""The body of a response: its announced length, its next bytes, and one that nobody wants."""

import time
import zlib
from collections.abc import Iterator
from contextlib import suppress

import requests
import urllib3

from src.downloader.errors import Failure, Outcome

CHUNK_BYTES = 65_536
DRAIN_SECONDS = 0.1
PIECE_BYTES = 2**20  # that one call unpacks at most


def content_length(response: requests.Response) -> int | None:
    """Return the Content-Length of a response in bytes, None if it is missing or invalid."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def read_chunk(response: requests.Response) -> bytes:
    """Return the next bytes of the body as they were sent, b"" at its end. Raises Failure."""
    try:  # read1 returns whatever has arrived
        return response.raw.read1(CHUNK_BYTES, decode_content=False) or b""
    except urllib3.exceptions.HTTPError as error:
        is_timeout = isinstance(error, urllib3.exceptions.TimeoutError)
        reason = "timeout" if is_timeout else "incomplete body"
        raise Failure(Outcome.transient, reason, response.status_code) from error


def check_encoding(response: requests.Response) -> None:
    """Raise Failure if the body is compressed: requests ask for one that is not."""
    encoding = response.headers.get("Content-Encoding", "").strip()
    if encoding.lower() not in ("", "identity"):
        reason = f"Content-Encoding {encoding}, though identity was asked for"
        raise Failure(Outcome.bad, reason, response.status_code)


def drain(response: requests.Response) -> None:
    """Read a short body that has arrived, so that the connection can be used again.

    Otherwise the connection is closed with the response: a host may send such a body slowly, and
    without an end.
    """
    size, connection = content_length(response), response.raw.connection
    sock = getattr(connection, "sock", None)  # None: it ends with the response in any case
    if sock is None or size is None or size > CHUNK_BYTES or response.raw.chunked:
        return
    sock.settimeout(DRAIN_SECONDS)
    end = time.monotonic() + DRAIN_SECONDS
    with suppress(Failure):  # nobody wants the rest
        while read_chunk(response) and time.monotonic() < end:
            pass


def decoded(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the body of a Content-Encoding in pieces of PIECE_BYTES at most. Raises Failure."""
    match encoding.strip().lower():
        case "" | "identity":
            return chunks
        case "gzip" | "x-gzip":
            return _unpacked(chunks)
    raise Failure(Outcome.bad, f"Content-Encoding {encoding}: only gzip is accepted", 200)


def _unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a body without gzip. Unlike urllib3's decoder, notice a missing end, and one too many.

    A second stream after the first, which gzip allows, is refused: no server sends one, and very
    many empty ones take long to unpack.
    """
    gzip = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            yield gzip.decompress(chunk, PIECE_BYTES)
            while gzip.unconsumed_tail:
                yield gzip.decompress(gzip.unconsumed_tail, PIECE_BYTES)
            if gzip.unused_data:
                raise Failure(Outcome.bad, "more than one stream of gzip", 200)
        yield gzip.flush()
    except zlib.error as error:
        raise Failure(Outcome.bad, "cannot be decompressed", 200) from error
    if not gzip.eof:
        raise Failure(Outcome.transient, "incomplete body", 200)
