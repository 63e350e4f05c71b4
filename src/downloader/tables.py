"""The museum's tables, fetched whole or not at all, and only where they have changed."""

import logging
import math
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import requests

from src.downloader.client import PoliteClient, length
from src.downloader.errors import Failure, Outcome
from src.errors import UserError
from src.io.files import temporary_name
from src.io.tables import check_header
from src.runtime.progress import progress

log = logging.getLogger(__name__)

ATTEMPTS = 3  # for each: someone waits for the first line
LARGEST = 4_000_000_000  # bytes; more is no table of this museum's
WITHOUT = "without data.refresh=true the tables that were fetched before do"
ELSEWHERE = "start with experiment=demo, or with images of your own: data=folder data.images=..."


def fetch_tables(
    address: str,
    schema: Mapping[str, Sequence[str]],
    folder: Path,
    refresh: bool,
    web: PoliteClient,
) -> None:
    """The tables below an address into folder, where they are not there yet.

    With refresh also those whose ETag has changed. They take their places after the last has
    arrived and has its columns. Raises UserError when one cannot be had.
    """
    wanted = [name for name in schema if refresh or not (folder / name).exists()]
    if not wanted:
        return
    log.info("tables: from %s", address)
    folder.mkdir(parents=True, exist_ok=True)
    new = temporary_name(folder)
    new.mkdir()
    try:
        for name in wanted:
            _fetch(f"{address.rstrip('/')}/{name}", folder / name, new / name, web)
            if (new / name).exists():
                check_header(new / name, schema[name])
        for path in sorted(new.iterdir()):  # a table before its ETag, which would be believed
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(new)


def _fetch(address: str, there: Path, part: Path, web: PoliteClient) -> None:
    known = _known(there)
    headers = {"Accept-Encoding": "gzip"} | ({"If-None-Match": known} if known else {})
    try:
        web.with_retries(lambda: _save(address, headers, part, web), ATTEMPTS)
    except Failure as failure:
        way_out = WITHOUT if there.exists() else ELSEWHERE
        raise UserError(f"{address}: {failure.reason}; {way_out}") from failure


def _known(table: Path) -> str:
    """The ETag of a table that is there; nothing for what no header can hold."""
    file = _etag(table)
    text = file.read_bytes().decode("latin-1") if table.exists() and file.exists() else ""
    return text if text.isascii() and text.isprintable() else ""


def _save(address: str, headers: dict[str, str], part: Path, web: PoliteClient) -> None:
    """One request; part and its ETag, or nothing where the table has not changed.

    No robots.txt here: it is for those who follow links, and these are files that the user named.
    """
    part.unlink(missing_ok=True)  # of an attempt that was cut off
    with web.answer(address, headers, robots=False) as response:
        if response.status_code == 304:
            return
        size = length(response) or 0
        with part.open("wb") as file, progress(None, part.name, size, "B") as bar:
            for chunk in _unpacked(web.chunks(response, LARGEST, math.inf, packed=True), response):
                file.write(chunk)
                bar.update(response.raw.tell() - bar.n)
        _etag(part).write_text(response.headers.get("ETag", ""), errors="replace")


def _unpacked(chunks: Iterator[bytes], response: requests.Response) -> Iterator[bytes]:
    """The body without gzip. Unlike urllib3's own unpacking it sees that a body lacks its end."""
    if response.headers.get("Content-Encoding", "identity").lower() == "identity":
        yield from chunks
        return
    gzip = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            yield gzip.decompress(chunk)
    except zlib.error as error:
        raise Failure(Outcome.bad, "cannot be unpacked", 200) from error
    if not gzip.eof:
        raise Failure(Outcome.transient, "body cut off", 200)


def _etag(table: Path) -> Path:
    return table.with_name(f"{table.name}.etag")
