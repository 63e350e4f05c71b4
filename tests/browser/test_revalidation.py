"""Pictures that a browser has are neither decoded nor sent again, until their files change."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from src.browser import pictures
from src.browser.opened import open_runs
from src.browser.pictures import picture_tag
from src.browser.server import application
from src.browser.site import Site
from src.io.outputs import Outputs

ADDRESS = "/pictures/0/000/3.jpg"


@pytest.fixture
def own(moved: Path, tmp_path: Path) -> Site:
    """Return a site whose images the test may change."""
    return Site(open_runs([moved]), Outputs(tmp_path / "cache"))


@pytest.fixture
def client(own: Site) -> Iterator[TestClient]:
    """Return a client of its server."""
    with TestClient(application(own), "http://127.0.0.1:8050") as client:
        yield client


def test_what_a_browser_has_is_not_decoded(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = client.get(ADDRESS).headers["etag"]
    monkeypatch.delattr(pictures, "picture_of")  # from here on nothing can be decoded
    answer = client.get(ADDRESS, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")


def test_a_file_that_has_changed_is_sent_anew(client: TestClient, own: Site) -> None:
    first = client.get(ADDRESS)
    Image.new("RGB", (50, 50), "blue").save(own.runs[0].file(3))
    answer = client.get(ADDRESS, headers={"If-None-Match": first.headers["etag"]})
    assert answer.status_code == 200
    assert answer.content != first.content
    assert answer.headers["etag"] != first.headers["etag"]


def test_a_file_that_is_gone_is_looked_for_each_time(client: TestClient, own: Site) -> None:
    own.runs[0].file(3).unlink()
    for headers in ({}, {"If-None-Match": '""'}):
        answer = client.get(ADDRESS, headers=headers)
        assert answer.status_code == 200
        assert "etag" not in answer.headers


def test_a_tag_tells_kinds_sizes_and_states_of_a_file(tmp_path: Path) -> None:
    path, other = tmp_path / "a.png", tmp_path / "b.png"
    path.write_bytes(b"1")
    other.write_bytes(b"1")
    tags = [picture_tag(path, "pictures", 1200), picture_tag(path, "pictures", 800)]
    tags += [picture_tag(path, "thumbnails", 1200), picture_tag(other, "pictures", 1200)]
    assert picture_tag(path, "pictures", 1200) == tags[0]
    os.utime(path, ns=(0, 5))
    tags.append(picture_tag(path, "pictures", 1200))
    path.write_bytes(b"12")
    os.utime(path, ns=(0, 5))
    tags.append(picture_tag(path, "pictures", 1200))
    assert len(set(tags)) == 6 and "" not in tags
    assert picture_tag(tmp_path / "gone", "pictures", 1200) == ""
