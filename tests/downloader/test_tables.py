"""Tables fetched: whole or not at all, and only when they have changed."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.demo.server import Handler, Museum, served
from src.downloader.client import PoliteClient, RetryPolicy
from src.downloader.tables import fetch_tables
from src.errors import UserError
from src.gallery.nga_tables import SCHEMA
from tests.support.hosts import draw_small


class Desk(Handler):
    """Gives tables, compressed, or what is broken about them."""

    def table(self, body: bytes) -> None:
        """Answer with a table."""
        library, name = self.server, self.path.removeprefix("/data/")
        assert isinstance(library, Library)
        fault = library.broken.get(name)
        if fault == "cut once":
            library.broken[name] = ""
            fault = "cut"
        if fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:-9])
            self.close_connection = True
        elif fault == "html":
            self.reply(200, b"<html>Please log in</html>", "text/html")
        elif fault == "cut gzip":
            super().reply(200, gzip.compress(body)[:-9], "text/csv", Content_Encoding="gzip")
        elif fault == "no gzip":
            super().reply(200, body, "text/csv", Content_Encoding="gzip")
        elif fault == "odd length":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9, 10\r\n\r\n" + body[:9])
            self.close_connection = True
        elif fault == "wait":
            self.reply(503, b"", "text/html", Retry_After="86400")
        elif fault == "gone":
            self.reply(404, b"", "text/html")
        else:
            super().table(body)

    def reply(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        """One answer, remembered."""
        assert isinstance(self.server, Library)
        self.server.asked.append((self.path.removeprefix("/data/"), status))
        if status == 200 and kind.startswith("text/csv") and "gzip" in self.headers.as_string():
            body, headers = gzip.compress(body), headers | {"Content_Encoding": "gzip"}
        super().reply(status, body, kind, **headers)


class Library(Museum):
    """A museum whose tables can fail; remembers what it was asked."""

    handler = Desk

    def __init__(self, folder: Path) -> None:
        super().__init__(draw_small(folder, 3), folder)
        self.asked: list[tuple[str, int]] = []
        self.broken: dict[str, str] = {}


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Five tables."""
    made = Library(tmp_path / "host")
    with served(made):
        yield made


def fetched(library: Library, folder: Path, refresh: bool = False) -> dict[str, bytes]:
    """What is in the cache afterwards."""
    web = PoliteClient(retry_policy=RetryPolicy(first_wait=0.01, read_timeout=2))
    fetch_tables(f"{library.address}/data", SCHEMA, folder, refresh, web)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".csv"}


def test_tables_arrive_byte_for_byte(library: Library, tmp_path: Path) -> None:
    assert fetched(library, tmp_path / "cache") == library.tables
    assert sorted(library.asked) == [(name, 200) for name in sorted(SCHEMA)]


def test_existing_tables_are_used_without_a_request(library: Library, tmp_path: Path) -> None:
    fetched(library, tmp_path / "cache")
    library.asked.clear()
    assert fetched(library, tmp_path / "cache") == library.tables
    assert library.asked == []


def test_a_refresh_downloads_only_tables_that_have_changed(
    library: Library, tmp_path: Path
) -> None:
    fetched(library, tmp_path / "cache")
    library.asked.clear()
    library.tables["objects.csv"] += b"9,,1" + b"," * 28 + b"\n"
    assert fetched(library, tmp_path / "cache", refresh=True) == library.tables
    changed = {name: 200 if name == "objects.csv" else 304 for name in SCHEMA}
    assert dict(library.asked) == changed


def test_a_table_without_an_etag_is_downloaded_again(library: Library, tmp_path: Path) -> None:
    fetched(library, tmp_path / "cache")
    (tmp_path / "cache" / "objects.csv.etag").unlink()
    (tmp_path / "cache" / "objects.csv").write_text("lost")
    assert fetched(library, tmp_path / "cache", refresh=True) == library.tables


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("cut", "objects.csv: incomplete body; (try experiment=demo|data.refresh=false)"),
        ("cut gzip", "objects.csv: incomplete body"),
        ("no gzip", "objects.csv: cannot be decompressed"),
        ("odd length", "objects.csv: invalid headers"),
        ("wait", "objects.csv: 503 Service Unavailable"),
        ("gone", "objects.csv: 404 Not Found"),
        ("html", "objects.csv has no column objectid.* it starts with '<html>Please log in</html>"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_a_broken_table_leaves_all_tables_as_they_were(
    fault: str, message: str, before: bool, library: Library, tmp_path: Path
) -> None:
    old = fetched(library, tmp_path / "cache") if before else {}
    for name in SCHEMA:
        library.tables[name] += b" "
    library.broken["objects.csv"] = fault
    with pytest.raises(UserError, match=message):
        fetched(library, tmp_path / "cache", refresh=True)
    files = {p.name: p.read_bytes() for p in (tmp_path / "cache").glob("*.csv")}
    assert files == old
    assert not list(tmp_path.glob("*.part"))
    library.broken.clear()
    assert fetched(library, tmp_path / "cache", refresh=True) == library.tables


def test_an_incomplete_table_is_removed_before_a_304(library: Library, tmp_path: Path) -> None:
    """Two servers of one host may have different versions."""
    old = fetched(library, tmp_path / "cache")
    library.broken["objects.csv"] = "cut once"
    assert fetched(library, tmp_path / "cache", refresh=True) == old


def test_an_invalid_etag_is_ignored(library: Library, tmp_path: Path) -> None:
    old = fetched(library, tmp_path / "cache")
    for odd in (b"\xff\xfe", b"a\nb", "\u00e9".encode()):
        (tmp_path / "cache" / "objects.csv.etag").write_bytes(odd)
        assert fetched(library, tmp_path / "cache", refresh=True) == old


def test_no_network_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="/published_images.csv: host name not found"):
        fetch_tables("http://museum.invalid/data", SCHEMA, tmp_path, False, PoliteClient())
