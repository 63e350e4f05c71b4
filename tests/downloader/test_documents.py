"""JSON documents: what counts as one, what is kept, and what is asked again."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.config.data import Download
from src.demo.server import served
from src.downloader import documents
from src.downloader.circuit_breaker import HostUnavailable
from src.downloader.documents import document_id, fetch_named
from src.downloader.images import ImageDownloader, Limits
from src.downloader.journal import open_journal
from src.errors import UserError
from src.gallery.iiif.documents import Unavailable, open_documents
from tests.support.hosts import QUICK, Fault, draw_small, local_client
from tests.support.iiif_host import IiifHost

RATE = Download(requests_per_second=0, workers=3)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[IiifHost]:
    """Serve ten documents."""
    museum = IiifHost(draw_small(tmp_path, 1), tmp_path)
    museum.documents = {f"/{n}": {"number": n} for n in range(10)}
    with served(museum):
        yield museum


def read(
    host: IiifHost, folder: Path, *paths: str, refresh: bool = False, options: Download = RATE
) -> list[object]:
    """Return the numbers of documents, or why they cannot be had."""
    client, found = local_client(retry_policy=QUICK), list[object]()
    with open_documents(folder, client, options, refresh) as opened:
        opened.want(f"{host.address}{path}" for path in paths)
        for path in paths:
            try:
                found.append(opened.read(f"{host.address}{path}")["number"])
            except Unavailable as reason:
                found.append(str(reason))
    return found


def test_documents_are_kept_with_their_etags(host: IiifHost, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    assert read(host, folder, "/1", "/2") == [1, 2]
    name = document_id(f"{host.address}/1")
    assert json.loads((folder / name[:2] / f"{name}.json").read_bytes()) == {"number": 1}
    assert (folder / name[:2] / f"{name}.json.etag").read_text().startswith('"')
    host.asked.clear()
    assert read(host, folder, "/2", "/1") == [2, 1]
    assert not host.asked


def test_refresh_transfers_only_what_has_changed(host: IiifHost, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    read(host, folder, "/1", "/2")
    host.documents["/2"] = {"number": 22}
    assert read(host, folder, "/1", "/2") == [1, 2]
    sent: list[bytes] = []
    host.sent = sent
    assert read(host, folder, "/1", "/2", refresh=True) == [1, 22]
    assert sent == [b'{"number": 22}']
    assert read(host, folder, "/1", "/2") == [1, 22]


@pytest.mark.parametrize("etag", ["", "\xe9", "x" * 2000])
def test_a_document_without_a_usable_etag_is_transferred_again(
    etag: str, host: IiifHost, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    read(host, folder, "/1")
    host.headers_of["/1"] = {"ETag": etag}
    host.documents["/1"] = {"number": 11}
    for _ in range(2):
        assert read(host, folder, "/1", refresh=True) == [11]
    assert len(host.sent) == 3
    assert len(list(folder.glob("*/*.etag"))) == bool(etag)


def test_more_may_be_wanted_while_others_arrive(host: IiifHost, tmp_path: Path) -> None:
    with open_documents(tmp_path / "kept", local_client(), RATE, False) as opened:
        for number in range(10):
            opened.want([f"{host.address}/{number}"] * 2)
            assert opened.read(f"{host.address}/{number}") == {"number": number}
    assert set(host.asked.values()) == {1}


def test_a_document_that_was_damaged_on_disk_is_requested_again(
    host: IiifHost, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    read(host, folder, "/1")
    path = next(folder.glob("*/*.json"))
    path.write_text("{}")  # another size than the journal's
    assert read(host, folder, "/1") == [1]
    path.write_text("1" * path.stat().st_size)
    assert read(host, folder, "/1") == ["not JSON"]
    path.unlink()
    assert read(host, folder, "/1") == [1]


@pytest.mark.parametrize(
    ("fault", "reason", "asked"),
    [
        ("404", "404 Not Found", 1),
        ("503", "503 Service Unavailable", 4),
        ("html", "not JSON: text/html", 2),
        ("cut", "incomplete body", 4),
    ],
)
def test_why_a_document_cannot_be_had(
    fault: str, reason: str, asked: int, host: IiifHost, tmp_path: Path
) -> None:
    host.faults["/1"] = Fault(fault)
    assert read(host, tmp_path / "kept", "/1", "/2") == [reason, 2]
    assert host.asked["/1"] == asked
    host.faults.clear()
    again = [reason, 2] if fault == "404" else [1, 2]
    assert read(host, tmp_path / "kept", "/1", "/2") == again
    retry = Download(requests_per_second=0, retry_failed=True)
    assert read(host, tmp_path / "kept", "/1", "/2", options=retry) == [1, 2]


def test_a_body_may_be_packed_within_bounds(
    host: IiifHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MAX_BYTES", 10_000)
    host.documents |= {"/ok": gzip.compress(b'{"number": 5}')}
    host.documents |= {"/bomb": gzip.compress(b'{"number": "' + b" " * 10**6 + b'"}')}
    host.headers_of = dict.fromkeys(["/ok", "/bomb"], {"Content-Encoding": "gzip"})
    reasons = read(host, tmp_path / "kept", "/ok", "/bomb")
    assert reasons == [5, "unpacks to more than 10000 bytes"]
    assert host.asked["/bomb"] == 1


def test_the_named_document_is_asked_again_only_with_refresh(
    host: IiifHost, tmp_path: Path
) -> None:
    url, path, client = f"{host.address}/1", tmp_path / "a" / "n.json", local_client()
    for refresh in (False, False, True):
        fetch_named(url, path, refresh, client)
    assert host.asked == {"/1": 2}
    assert (tmp_path / "a" / "n.json.address").read_text() == "127.0.0.1"
    host.documents["/1"] = {"number": 11}
    fetch_named(url, path, True, client)
    assert json.loads(path.read_bytes()) == {"number": 11}
    host.documents["/1"] = b"<html>"
    with pytest.raises(UserError, match="not JSON: application/json; data.refresh=false uses"):
        fetch_named(url, path, True, client)
    assert json.loads(path.read_bytes()) == {"number": 11}


def test_each_document_of_a_host_that_refuses_is_unavailable(
    host: IiifHost, tmp_path: Path
) -> None:
    paths = list(host.documents)
    host.faults = dict.fromkeys(paths, Fault("503 for hours"))
    alone = Download(requests_per_second=0, workers=1)
    first, *others = read(host, tmp_path / "kept", *paths, options=alone)
    assert first == "503 Service Unavailable"
    assert len(others) == 9 and all("asks clients to wait" in str(reason) for reason in others)
    assert sum(host.asked[path] for path in paths) == 1


def test_a_host_that_refused_documents_is_not_asked_for_images(
    host: IiifHost, tmp_path: Path
) -> None:
    client = local_client(retry_policy=QUICK)
    host.faults["/1"] = Fault("503 for hours")
    with open_documents(tmp_path / "kept", client, RATE, False) as opened:
        opened.want([f"{host.address}/1"])
        with pytest.raises(Unavailable, match="503 Service Unavailable"):
            opened.read(f"{host.address}/1")
    assert opened.refusal == "the host asks clients to wait 2.0 hours"
    host.asked.clear()
    rows = [("a" * 32, f"{host.address}/static/1.jpg")]
    with open_journal(tmp_path / "journal.csv") as outcomes:
        images = ImageDownloader(tmp_path, outcomes, client, Limits(10**6, 10**6))
        with pytest.raises(HostUnavailable, match="the host was given up before"):
            list(images.fetch(rows, 2))
    assert not host.asked
