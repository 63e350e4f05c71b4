"""Addresses in the museum's tables: which rows are left out, and whose rows reach local hosts."""

from dataclasses import replace
from pathlib import Path

import pytest

from src.config import Config
from src.config.data import Download, Nga
from src.downloader.client import PoliteClient
from src.downloader.tables import fetch_tables, from_local_host
from src.gallery.downloads import ManyMissing
from src.gallery.museum import museum_gallery
from src.gallery.nga_tables import SCHEMA, read_images
from tests.support import nga_rows
from tests.support.fake_names import answer_names
from tests.support.hosts import BadMuseum

GOOD = [
    *("https://api.museum.org/iiif/1", "http://museum:8000/iiif/1/", "https://a_b-c.org/@1;x=y"),
    *("HTTPS://museum.org/1", "http://[2606:4700::1111]:80/1", "http://1.1.1.1/é/%20"),
]
BAD = [
    *("https://me:pw@museum.org/1", "https://me@museum.org/1", "https://@museum.org/1"),
    *(
        "http://museum.org/1?x",
        "http://museum.org/1?",
        "http://museum.org/1#",
        "http://museum.org#",
    ),
    *("http://museum.org\\1", "http://museum.org\\@10.0.0.1/1", "http:\\\\museum.org/1"),
    *("http://muse%75m.org/1", "http://museum%2eorg/1", "http://%/1", "http://muséum.org/1"),
    *("http://museum.org:0/1", "http://museum.org:65536/1", "http://museum.org:x/1"),
    *("http://museum org/1", "http://museum\t.org/1", "http://museum\n.org/1", "http://a,b/1"),
    *("http://[fe80::1%25lo]/1", "http://[::1]x/1", "http://[1.2.3.4]/1", "http://[v1.a]/1"),
    *("http://museum.org\u2044x/1", "http://①.org/1", "http:///1", "//museum.org/1", "museum/1"),
    *("file:///etc/passwd", "ftp://museum.org/1", "javascript:1", "gopher://museum.org/1"),
    *("http://" + "a" * 254 + "/1", "http://museum.org/" + "x" * 9000, "http://a*b/1", ""),
]


def urls(folder: Path, column: str, addresses: list[str]) -> list[str]:
    """Return the URLs of the images of rows with these addresses."""
    rows = [nga_rows.image(n, **{column: text}) for n, text in enumerate(addresses)]
    nga_rows.museum(folder, images=rows)
    size = "thumb" if column == "iiifthumburl" else "256"
    table, counts = read_images(folder, Nga(tables=str(folder), image_size=size))
    assert counts["skipped, invalid uuid or URL"] == len(rows) - len(table)
    return list(table["url"])


@pytest.mark.parametrize("column", ["iiifurl", "iiifthumburl"])
def test_an_address_has_a_host_and_a_path_and_nothing_else(column: str, tmp_path: Path) -> None:
    assert len(urls(tmp_path, column, GOOD)) == len(GOOD)
    for text in BAD:
        assert urls(tmp_path, column, [text]) == [], text


def museum_at(url: str, outputs: Path, **options: bool) -> Config:
    """Return the options for tables at a URL."""
    cfg = Config(data=Nga(tables=url, **options), outputs=str(outputs))  # type: ignore[arg-type]
    return replace(cfg, download=Download(requests_per_second=0))


def test_rows_reach_local_hosts_where_the_tables_came_from_one(
    museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private mirror with a name, asked once for its tables, and once more for its images."""
    answer_names(monkeypatch, lambda host: ["127.0.0.1"])
    url = f"http://mirror.test:{museum.server_port}/data"
    assert len(museum_gallery(museum_at(url, tmp_path))) == 40
    (tmp_path / "images").rename(tmp_path / "old")
    assert len(museum_gallery(museum_at(url, tmp_path))) == 40


def test_a_host_that_moves_to_this_machine_after_its_tables_were_fetched_is_not_local(
    museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_names(monkeypatch, lambda host: ["127.0.0.1"])
    url = f"http://museum.test:{museum.server_port}/data"
    museum_gallery(museum_at(url, tmp_path))
    (tmp_path / "images").rename(tmp_path / "old")
    for note in (tmp_path / "tables").glob("*/*.address"):
        assert note.read_text() == "127.0.0.1"
        note.write_text("93.184.216.34")  # as if they had come from there
    with pytest.raises(ManyMissing, match="40 of 40"):
        museum_gallery(museum_at(url, tmp_path))


@pytest.mark.parametrize(
    ("url", "notes", "expected"),
    [
        ("http://127.0.0.1:8000/data", {}, True),
        ("http://10.0.0.5/data", {}, True),
        ("http://[fd00::1]/data", {}, True),
        ("http://localhost/data", {}, True),
        ("http://museum.org/data", {}, False),
        ("http://1.1.1.1/data", {}, False),
        ("http://museum.org/data", dict.fromkeys(SCHEMA, "10.0.0.5"), True),
        ("http://museum.org/data", dict.fromkeys(SCHEMA, "fe80::1%eth0"), True),
        ("http://museum.org/data", {"objects.csv": "10.0.0.5"}, False),
        ("http://10.0.0.5/data", dict.fromkeys(SCHEMA, "10.0.0.5"), True),
        ("http://10.0.0.5/data", {"objects.csv": "1.1.1.1"}, False),  # it was redirected there
        ("http://10.0.0.5/data", {"objects.csv": "no address"}, False),
    ],
)
def test_tables_are_local_if_all_came_from_a_local_address(
    url: str, notes: dict[str, str], expected: bool, tmp_path: Path
) -> None:
    for name, note in notes.items():
        (tmp_path / f"{name}.address").write_text(note)
    assert from_local_host(url, tmp_path, SCHEMA) == expected


def test_what_a_proxy_sent_did_not_come_from_the_proxys_host(
    museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, museum.address)
    museum.tables = {f"http://museum.test/{name}": body for name, body in museum.tables.items()}
    fetch_tables("http://museum.test", SCHEMA, tmp_path, False, PoliteClient())
    assert not from_local_host("http://museum.test", tmp_path, SCHEMA)
