"""The server: every page and file of a site by its address."""

import os

import pytest
from starlette.testclient import TestClient

from src.browser.addresses import page_address
from src.browser.opened import OpenRun
from src.browser.site import Page, Parameters, Site
from src.browser.views import VIEWS, Entry


@pytest.mark.parametrize("name", VIEWS)
def test_every_page_of_each_run_is_served(client: TestClient, name: str) -> None:
    for run in (0, 1):
        answer = client.get(f"/{run}/{name}.html?row=3")
        assert answer.status_code == 200
        assert "<h1" in answer.text


def test_the_first_page_is_the_gallery_of_the_first_run(client: TestClient) -> None:
    answer = client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "0/gallery.html")


@pytest.mark.parametrize(
    "address", ["/thumbnails/0/000/3.jpg", "/pictures/0/000/3.jpg", "/0/data/captions/000.js"]
)
def test_what_a_browser_has_is_not_sent_again(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    other = client.get(address, headers={"If-None-Match": '"of another run"'})
    assert other.content == answer.content


def test_parameters_hold_any_bytes(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[Parameters]()

    def view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
        """Note the parameters."""
        seen.append(parameters)
        return Page("Hubs", "message.jinja", {"heading": "", "text": ""})

    monkeypatch.setitem(VIEWS, "hubs", Entry(view))
    name = os.fsdecode(b"\xff\xc3\xa9")
    client.get("/0/" + page_address("hubs", label=name))
    client.get("/0/hubs.html?a=1&a=2&b=&c&=d")
    assert seen == [{"label": name}, {"a": "2", "b": "", "c": "", "": "d"}]
