"""Download the museum's tables: all of them or none, and only those that have changed."""

import logging
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from src.downloader.body import content_length, decoded
from src.downloader.client import PoliteClient
from src.downloader.connections import current
from src.downloader.errors import Failure, Outcome
from src.downloader.public_addresses import is_public, names_local_host
from src.errors import UserError
from src.io.files import temporary_name
from src.io.sources import open_source
from src.io.tables import MAX_BYTES, check_header
from src.runtime.progress import progress

log = logging.getLogger(__name__)

ATTEMPTS = 3  # per table: fewer than for images, because the user waits for the first output
GRACE, MIN_RATE = 60.0, 20_000  # seconds, after which a table comes at this many bytes a second
MAX_RATIO = 100  # of unpacked to sent bytes; that of the museum's tables is 4 to 15
SMALL_BYTES = 1_000_000  # a table of this size may have any ratio
MAX_ETAG = 1000  # characters
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


def from_local_host(base_url: str, folder: Path, names: Iterable[str]) -> bool:
    """Return whether a host on this machine or its network sent all tables of a folder.

    What its address was then counts, not where the name leads now. Where that is not known, as
    for tables of earlier versions, base_url has to spell out a local address.
    """
    peers = [read_note(peer_path(folder / name)) for name in names]
    is_named = names_local_host(urlsplit(base_url).hostname or "")
    return all(_is_local(peer) if peer else is_named for peer in peers)


def _is_local(address: str) -> bool:
    try:
        return not is_public(address)
    except ValueError:
        return False


def _read_etag(table: Path) -> str:
    """Return the ETag of an existing table, "" if there is none that fits into a header."""
    return read_note(etag_path(table)) if table.exists() else ""


def read_note(path: Path) -> str:
    """Return the text of a small file beside a table, "" if there is none that is printable."""
    try:
        with open_source(path, MAX_ETAG) as file:
            text = file.read(MAX_ETAG).decode("latin-1")
    except (FileNotFoundError, UserError):
        return ""
    return text if text.isascii() and text.isprintable() else ""


def _save(url: str, headers: dict[str, str], part: Path, client: PoliteClient) -> None:
    """Send one request; write part and its ETag, or nothing if the table has not changed.

    Ignores robots.txt, which is for programs that follow links; the user named these files.
    """
    part.unlink(missing_ok=True)  # of an incomplete attempt
    with client.get(url, headers, robots=False, named=True, timeout=GRACE) as response:
        if response.status_code == 304:
            return
        size = content_length(response) or 0
        body = client.iter_body(response, MAX_BYTES, raw=True, min_rate=MIN_RATE)
        with part.open("wb") as file, progress(None, part.name, size, "B") as bar:
            for piece in decoded(body, response.headers.get("Content-Encoding", "")):
                file.write(piece)
                bar.update(response.raw.tell() - bar.n)
                _check_size(file.tell(), response.raw.tell())
        etag_path(part).write_text(response.headers.get("ETag", ""), errors="replace")
        peer_path(part).write_text(current().peer)


def _check_size(unpacked: int, sent: int) -> None:
    """Raise Failure if a table is too large, or so much larger than what was sent that it is none.

    What is sent is bounded too, but a thousandth of it is enough to fill a disk.
    """
    if unpacked > MAX_BYTES:
        reason = f"unpacks to more than {MAX_BYTES} bytes"
    elif unpacked > SMALL_BYTES + MAX_RATIO * sent:
        reason = f"unpacks to more than {MAX_RATIO} times its size"
    else:
        return
    raise Failure(Outcome.bad, reason, 200, retryable=False)


def etag_path(table: Path) -> Path:
    """Return the path of the ETag of a table, or of another file."""
    return table.with_name(f"{table.name}.etag")


def peer_path(table: Path) -> Path:
    """Return the path of the address that sent a table."""
    return table.with_name(f"{table.name}.address")
