"""A collection on one host whose manifests and images are on others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from src.demo.server import served
from src.downloader import schedule
from tests.gallery.iiif.conftest import WORKS
from tests.support.hosts import Fault, draw_small
from tests.support.iiif_galleries import gallery
from tests.support.iiif_host import IiifHost


@pytest.fixture
def other(tmp_path: Path) -> Iterator[IiifHost]:
    """Serve six more works at another port."""
    records = draw_small(tmp_path / "other", 6, side=64, seed=1)
    with served(museum := IiifHost(records, tmp_path / "other")):
        yield museum


@pytest.fixture
def both(host: IiifHost, other: IiifHost) -> str:
    """Return the path of a collection at host of the collections of both."""
    tops = [{"id": f"{each.address}/p3/top.json", "type": "Collection"} for each in (other, host)]
    url = f"{host.address}/both.json"
    host.documents["/both.json"] = {"id": url, "type": "Collection", "items": tops}
    return "/both.json"


def test_each_host_is_asked_for_its_own(
    host: IiifHost, other: IiifHost, both: str, tmp_path: Path
) -> None:
    found = gallery(host, tmp_path, both)
    assert (len(found), found.missing) == (WORKS + 6, 0)
    assert host.asked["/robots.txt"] == other.asked["/robots.txt"] == 1
    assert set(host.asked.values()) == set(other.asked.values()) == {1}
    of_other = found.works["object_id"].str.startswith(other.address)
    assert of_other.sum() == 6


def test_a_host_that_refuses_takes_nothing_from_another(
    host: IiifHost, other: IiifHost, both: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "PATIENCE", 1)
    manifests = [path for path in other.documents if path.startswith("/p3/1")]
    other.faults = dict.fromkeys(manifests, Fault("503 for hours"))
    found = gallery(host, tmp_path, both, max_failed=0.5, workers=2)
    assert (len(found), found.missing) == (WORKS, 6)
    assert sum(other.asked[path] for path in manifests) <= 2  # those that were on their way
    assert not [path for path in other.asked if path.endswith(".jpg")]


def test_robots_txt_of_each_host_holds_there(
    host: IiifHost, other: IiifHost, both: str, tmp_path: Path
) -> None:
    other.robots = (200, b"User-agent: *\nDisallow: /")
    found = gallery(host, tmp_path, both, max_failed=0.1)
    assert (len(found), found.missing) == (WORKS, 1)  # a collection counts as one image
    assert list(other.asked) == ["/robots.txt"]
