"""Download the museum's tables: all of them or none, and only those that have changed."""

import logging
import math
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import requests

from src.downloader.client import PoliteClient, content_length
from src.downloader.errors import Failure, Outcome
from src.errors import UserError
from src.io.files import temporary_name
from src.io.tables import check_header
from src.runtime.progress import progress

log = logging.getLogger(__name__)

ATTEMPTS = 3  # per table: fewer than for images, because the user waits for the first output
MAX_BYTES = 4_000_000_000  # of one table
ADVICE_USE_CACHE = "data.refresh=false uses the existing tables"
ADVICE_OTHER_IMAGES = "try experiment=demo, or your own images: data=folder data.images=..."


def fetch_tables(
    base_url: str,
    schema: Mapping[str, Sequence[str]],
    folder: Path,
    refresh: bool,
    client: PoliteClient,
) -> None:
    """Download the tables named by schema from base_url into folder, unless they exist.

    `schema` maps file names to required columns. `refresh` also downloads existing tables whose
    ETag has changed. Files are replaced once all tables have arrived and have their columns.
    Raises UserError if a table cannot be downloaded or lacks a column.
    """
    pending = [name for name in schema if refresh or not (folder / name).exists()]
    if not pending:
        return
    log.info("tables: downloading from %s", base_url)
    folder.mkdir(parents=True, exist_ok=True)
    new = temporary_name(folder)
    new.mkdir()
    try:
        for name in pending:
            _fetch(f"{base_url.rstrip('/')}/{name}", folder / name, new / name, client)
            if (new / name).exists():
                check_header(new / name, schema[name])
        for path in sorted(new.iterdir()):  # a table before its ETag, which marks it as current
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(new)


def _fetch(url: str, existing: Path, part: Path, client: PoliteClient) -> None:
    """Download a table to part unless it equals the existing one."""
    etag = _read_etag(existing)
    headers = {"Accept-Encoding": "gzip"} | ({"If-None-Match": etag} if etag else {})
    try:
        client.with_retries(lambda: _save(url, headers, part, client), ATTEMPTS)
    except Failure as failure:
        advice = ADVICE_USE_CACHE if existing.exists() else ADVICE_OTHER_IMAGES
        raise UserError(f"{url}: {failure.reason}; {advice}") from failure


def _read_etag(table: Path) -> str:
    """Return the ETag of an existing table, "" if there is none that fits into a header."""
    file = _etag_path(table)
    text = file.read_bytes().decode("latin-1") if table.exists() and file.exists() else ""
    return text if text.isascii() and text.isprintable() else ""


def _save(url: str, headers: dict[str, str], part: Path, client: PoliteClient) -> None:
    """Send one request; write part and its ETag, or nothing if the table has not changed.

    Ignores robots.txt, which is for programs that follow links; the user named these files.
    """
    part.unlink(missing_ok=True)  # of an incomplete attempt
    with client.get(url, headers, robots=False) as response:
        if response.status_code == 304:
            return
        size = content_length(response) or 0
        body = client.iter_body(response, MAX_BYTES, math.inf, raw=True)
        with part.open("wb") as file, progress(None, part.name, size, "B") as bar:
            for chunk in _decompress(body, response):
                file.write(chunk)
                bar.update(response.raw.tell() - bar.n)
        _etag_path(part).write_text(response.headers.get("ETag", ""), errors="replace")


def _decompress(chunks: Iterator[bytes], response: requests.Response) -> Iterator[bytes]:
    """Yield the body without gzip. Unlike urllib3's decoder, notice a missing end."""
    if response.headers.get("Content-Encoding", "identity").lower() == "identity":
        yield from chunks
        return
    gzip = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            yield gzip.decompress(chunk)
    except zlib.error as error:
        raise Failure(Outcome.bad, "cannot be decompressed", 200) from error
    if not gzip.eof:
        raise Failure(Outcome.transient, "incomplete body", 200)


def _etag_path(table: Path) -> Path:
    return table.with_name(f"{table.name}.etag")
