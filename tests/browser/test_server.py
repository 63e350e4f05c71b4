"""The server: every page and file of a site by its address."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from src.browser.addresses import page_address
from src.browser.hubs_view import hubs_view
from src.browser.opened import OpenRun
from src.browser.painting_view import painting_view
from src.browser.site import Page, Parameters, Site
from src.browser.views import VIEWS, Entry
from tests.support.open_runs import open_run, random_lists, site_of


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


def test_links_to_other_runs_keep_the_row_only_where_it_is_the_same_image(tmp_path: Path) -> None:
    lists = random_lists(np.random.default_rng(0), 20, 3)
    own, same = (open_run(tmp_path, lists, number=number) for number in range(2))
    other = replace(open_run(tmp_path, lists, number=2), images=1)
    site = site_of(own, same, other)
    page = site.render(own, "painting", painting_view(site, own, {"row": "7"}))
    assert '"../1/painting.html?row=7" data-keep-address' in page
    assert '"../2/gallery.html"' in page and "../2/painting" not in page
    page = site.render(own, "hubs", hubs_view(site, own, {}))
    assert '"../1/hubs.html" data-keep-address' in page and '"../2/hubs.html"' in page
