"""A IIIF host that fails, asks to wait, or forbids: the guarantees of the museum's download."""

import itertools
import logging
import random
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.downloader import journal, rate_limiter
from src.downloader.documents import document_id
from src.downloader.rate_limiter import RateLimiter
from src.gallery import Gallery
from src.gallery.downloads import ManyMissing
from tests.gallery.iiif.conftest import WORKS
from tests.support.hosts import Fault
from tests.support.iiif_galleries import TOP, gallery
from tests.support.iiif_host import IiifHost

# Recovered within the attempts of one call; after html a request is repeated once only
PASSING = [Fault("503", 2), Fault("cut", 2), Fault("html", 1), Fault("reset", 1), Fault("500", 3)]


def contents(found: Gallery, outputs: Path) -> tuple[bytes, dict[str, bytes]]:
    """Return works.csv and the images of a gallery."""
    works = outputs / "galleries" / found.name / "works.csv"
    return works.read_bytes(), {file: (found.root / file).read_bytes() for file in found.files}


def requested(host: IiifHost, tmp_path: Path, path: str) -> list[str]:
    """Return all paths that a download without faults requests, and forget it."""
    gallery(host, tmp_path / "paths", path)
    paths = [p for p in host.log if p not in (path, "/robots.txt")]
    host.log.clear()
    host.asked.clear()
    host.moments.clear()
    return paths


@pytest.mark.parametrize("path", ["/p2/top.json", TOP])
def test_three_of_ten_requests_fail_and_the_gallery_is_the_same(
    path: str, host: IiifHost, tmp_path: Path
) -> None:
    paths = requested(host, tmp_path, path)
    whole = contents(gallery(host, tmp_path / "whole", path), tmp_path / "whole")
    host.asked.clear()
    draw = random.Random(0)
    failing = draw.sample(paths, round(0.3 * len(paths)))
    host.faults = {p: draw.choice(PASSING) for p in failing}
    host.faults |= {failing[0]: Fault("429 wait", 1), failing[1]: Fault("silent", 1)}
    found = gallery(host, tmp_path / "faulty", path)
    assert contents(found, tmp_path / "faulty") == whole
    assert found.missing == 0
    for p in paths:
        assert host.asked[p] == 1 + (host.faults[p].times or 0 if p in host.faults else 0)
    outcomes = journal.read_journal(found.root / "journal.csv")
    assert len(outcomes) == WORKS and all(record.ok for record in outcomes.values())


def test_what_is_gone_is_counted_as_missing_and_requested_again_only_on_demand(
    host: IiifHost, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = contents(gallery(host, tmp_path / "whole"), tmp_path / "whole")
    manifests = ["/p3/103", "/p3/107"]
    image = f"/level2/{list(host.records)[2]}/full/!32,32/0/default.jpg"
    host.faults = dict.fromkeys([*manifests, image], Fault("404"))
    with pytest.raises(ManyMissing, match=f"3 of {WORKS} images are missing"):
        gallery(host, tmp_path / "gone")
    host.asked.clear()
    with caplog.at_level(logging.INFO):
        found = gallery(host, tmp_path / "gone", max_failed=0.2)
    assert (len(found), found.missing) == (WORKS - 3, 3)
    assert "2 not read: 404 Not Found" in caplog.text
    assert "2  not requested: their document could not be had" in caplog.text
    assert not host.asked
    host.faults = {}
    found = gallery(host, tmp_path / "gone", retry_failed=True)
    assert contents(found, tmp_path / "gone") == whole


def test_a_manifest_that_fails_now_is_missing_and_requested_by_the_next_call(
    host: IiifHost, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    host.faults = {"/p3/105": Fault("503"), "/p3/106": Fault("html")}
    assert gallery(host, tmp_path, max_failed=0.1).missing == 2
    assert "22 images selected\n" in caplog.text
    assert "24  images selected, with 2 whose document could not be had\n" in caplog.text
    host.faults = {}
    host.asked.clear()
    assert gallery(host, tmp_path).missing == 0
    assert host.asked["/p3/105"] == host.asked["/p3/106"] == 1
    assert host.asked["/p3/104"] == 0


def test_an_info_json_that_fails_now_is_missing_and_one_that_is_gone_is_not_needed(
    host: IiifHost, tmp_path: Path
) -> None:
    first, second = (f"/level0/{list(host.records)[n]}/info.json" for n in (0, 4))
    host.faults = {first: Fault("503"), second: Fault("404")}
    found = gallery(host, tmp_path, max_failed=0.1)
    assert found.missing == 1
    size = found.works.set_index("object_id")["width"]
    assert size[f"{host.address}/p3/104"] == "64"  # as the manifest gives it
    assert size[f"{host.address}/p3/108"] == "32"


def test_a_collection_that_fails_now_is_an_error(host: IiifHost, tmp_path: Path) -> None:
    host.faults = {"/p3/second.json": Fault("503")}
    with pytest.raises(Exception, match="1 collections could not be had, such as .*503 Service"):
        gallery(host, tmp_path)
    host.faults = {"/p3/second.json": Fault("404")}
    found = gallery(host, tmp_path, max_failed=0.1)
    assert (len(found), found.missing) == (WORKS // 2, 1)


def test_a_host_that_refuses_is_left_alone_and_what_is_there_suffices(
    host: IiifHost, tmp_path: Path
) -> None:
    gallery(host, tmp_path, max_failed=0.1)
    name = document_id(f"{host.address}/p3/105")
    next((tmp_path / "manifests").glob(f"*/*/{name}.json")).unlink()
    host.faults = {path: Fault("503 for hours") for path in host.documents}
    host.asked.clear()
    found = gallery(host, tmp_path, max_failed=0.1)
    assert (found.missing, sum(host.asked.values())) == (1, 2)  # robots.txt, and one manifest
    with pytest.raises(ManyMissing, match="missing: the host asks clients to wait 2.0 hours; "):
        gallery(host, tmp_path, max_failed=0)


def test_requests_for_documents_and_images_keep_one_rate(
    host: IiifHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the limiter runs only while it waits, so that no thread is late."""
    allowed, read = [0.0], threading.local()

    def monotonic() -> float:
        read.now = max(allowed)
        return read.now

    def sleep(_: RateLimiter, seconds: float) -> None:
        allowed.append(read.now + seconds)

    monkeypatch.setattr(rate_limiter, "time", SimpleNamespace(monotonic=monotonic))
    monkeypatch.setattr(RateLimiter, "sleep", sleep)
    gallery(host, tmp_path, requests_per_second=40)
    moments = sorted(allowed[1:])
    assert len(moments) == len(host.moments) > 50
    assert min(b - a for a, b in itertools.pairwise(moments)) > 0.999 / 40


def test_robots_txt_holds_for_all_but_the_document_that_the_user_names(
    host: IiifHost, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image_id = list(host.records)[3]
    host.robots = (200, f"User-agent: *\nDisallow: /p3/t\nDisallow: /static/{image_id}\n".encode())
    host.robots = (200, host.robots[1] + b"Disallow: /p3/110\n")
    with caplog.at_level(logging.INFO):
        found = gallery(host, tmp_path, max_failed=0.1)
    assert (len(found), found.missing) == (WORKS - 2, 2)
    assert host.asked["/robots.txt"] == host.asked[TOP] == 1
    assert not host.asked["/p3/110"] + host.asked[f"/static/{image_id}.jpg"]
    assert "1 not read: disallowed by robots.txt of 127.0.0.1" in caplog.text


def test_x_robots_tag_holds_for_manifests_and_images(
    host: IiifHost, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = f"/static/{list(host.records)[3]}.jpg"
    host.headers_of = {
        TOP: {"X-Robots-Tag": "noindex"},  # the user names it
        "/p3/110": {"X-Robots-Tag": "nofollow"},
        image: {"X-Robots-Tag": "noarchive, painting-similarity: noai"},
        "/p3/111": {"X-Robots-Tag": "otherbot: noai, none"},
    }
    with caplog.at_level(logging.INFO):
        found = gallery(host, tmp_path, max_failed=0.1)
    assert (len(found), found.missing) == (WORKS - 2, 2)
    assert "1 not read: X-Robots-Tag: nofollow" in caplog.text
    assert "1  permanent: X-Robots-Tag: noai" in caplog.text
    host.asked.clear()
    gallery(host, tmp_path, max_failed=0.1)
    assert not host.asked
