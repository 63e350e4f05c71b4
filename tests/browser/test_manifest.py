"""The IIIF manifest of a painting's page, as the server answers and the page links to it."""

import html
import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import iiif_prezi3
import pytest
from PIL import Image
from starlette.testclient import TestClient

from src.browser.export_plan import Export, body, static_site
from src.browser.opened import OpenRun, open_runs
from src.browser.server import application
from src.browser.site import Site
from src.browser.views import NAVIGATION
from src.io.outputs import Outputs
from src.reporting.iiif_manifest import MOST_NEIGHBORS
from tests.support.exported import References
from tests.support.iiif_checks import image, problems, values
from tests.support.ranked_run import clustered, works_of, write_ranked_run

OWN = "http://127.0.0.1:8050"


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> OpenRun:
    """Return a run of 60 images that are not there, or of given options of similarity."""
    return open_runs([write_ranked_run(tmp_path, **getattr(request, "param", {}))])[0]


@pytest.fixture
def asked(run: OpenRun, tmp_path: Path) -> Iterator[TestClient]:
    """Return a client of the run's server."""
    site = Site([run], Outputs(tmp_path), NAVIGATION)
    with TestClient(application(site), base_url=OWN) as client:
        yield client


def manifest_at(client: TestClient, address: str) -> dict[str, Any]:
    """Return the manifest at an address, which must be valid and known by that address."""
    answer = client.get(address)
    assert answer.status_code == 200
    found: dict[str, Any] = json.loads(answer.content)
    assert problems(found) == []
    assert len(iiif_prezi3.Manifest(**found).items) == len(found["items"])
    assert found["id"] == f"{OWN}{address}"
    return found


def rows(found: dict[str, Any]) -> list[int]:
    """Return the rows of the canvases."""
    return [int(re.findall(r"/canvas/(\d+)", canvas["id"])[0]) for canvas in found["items"]]


def linked(client: TestClient, address: str) -> str:
    """Return the address of the manifest to which a painting's page links."""
    found = re.findall(r'href="(manifest/[^"]*)"', client.get(f"/0/{address}").text)
    assert len(found) == 1
    return f"/0/{html.unescape(found[0])}"


ADDRESSES = [
    "painting.html?row=5",
    "painting.html?row=5&k=50",
    "painting.html?row=7&only=other-artist&k=20",
    "painting.html?row=4&f.style=Baroque&f.artist=artist+0&only=other-object",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_page_links_to_a_manifest_of_the_images_it_shows(
    asked: TestClient, address: str
) -> None:
    page = asked.get(f"/0/{address}").text
    cards = re.findall(r'<li class="card">.*?href="painting.html\?row=(\d+)".*?</li>', page, re.S)
    found = manifest_at(asked, linked(asked, address))
    row = int(re.findall(r"row=(\d+)", address)[0])
    assert rows(found) == [row, *map(int, cards)]
    scores = re.findall(r'<label class="score">(\S+) ', page)
    assert [values(canvas)["Cosine similarity"] for canvas in found["items"][1:]] == [
        [score] for score in scores
    ]


def test_a_page_with_an_image_of_unknown_size_links_to_no_manifest(tmp_path: Path) -> None:
    run = open_runs([write_ranked_run(tmp_path, works_of(width=["300"] * 59 + [""]))])[0]
    pairs = run.index.tolist()
    near = next(row for row in range(59) if 59 in pairs[row])
    far = next(row for row in range(59) if 59 not in pairs[row])
    with TestClient(application(Site([run], Outputs(tmp_path), NAVIGATION)), OWN) as client:
        for row in (near, 59):
            assert "manifest/" not in client.get(f"/0/painting.html?row={row}").text
            answer = client.get(f"/0/manifest/{row}.json")
            assert answer.status_code == 404 and "059.png has no picture" in answer.text
        assert linked(client, f"painting.html?row={far}") == f"/0/manifest/{far}.json"


def test_what_is_chosen_is_said(asked: TestClient) -> None:
    found = manifest_at(asked, linked(asked, ADDRESSES[3]))
    about = found["summary"]["en"][0]
    assert "images that fit (other objects only, artist artist 0, style Baroque)" in about


SIMILARITIES = [
    {"postprocess": "whiten"},
    {"ranking": "csls", "exclude": "same_object"},
    {"augment": 5, "postprocess": "whiten"},
]


@pytest.mark.parametrize("run", SIMILARITIES, ids=str, indirect=True)
def test_longer_lists_are_found_by_the_runs_own_order(run: OpenRun, asked: TestClient) -> None:
    short = manifest_at(asked, "/0/manifest/8.json")
    long = manifest_at(asked, "/0/manifest/8.json?k=37")
    assert rows(short) == [8, *run.index[8].tolist()]
    assert rows(long)[:11] == rows(short)
    assert len(set(rows(long))) == 38
    is_csls = run.settings.get("similarity.ranking") == "csls"
    assert ("csls, which puts paintings" in long["summary"]["en"][0]) == is_csls


def test_two_hundred_canvases_are_served_and_more_are_not(tmp_path: Path) -> None:
    run = open_runs([write_ranked_run(tmp_path, works_of(230), clustered(230))])[0]
    with TestClient(application(Site([run], Outputs(tmp_path), NAVIGATION)), OWN) as client:
        assert len(manifest_at(client, f"/0/manifest/3.json?k={MOST_NEIGHBORS}")["items"]) == 200
        for k in (MOST_NEIGHBORS + 1, 0, -1, "9" * 30, "x", "²"):
            found = json.loads(client.get(f"/0/manifest/3.json?k={k}").content)
            assert len(found["items"]) == 11


def test_images_that_are_on_no_other_server_are_on_this_one(client: TestClient) -> None:
    found = manifest_at(client, "/1/manifest/5.json")
    for canvas in found["items"]:
        painted, (thumbnail,) = image(canvas), canvas["thumbnail"]
        for resource in (painted, thumbnail):
            answer = client.get(resource["id"])
            assert answer.headers["content-type"] == resource["format"]
            with Image.open(BytesIO(answer.content)) as picture:
                assert picture.size == (resource["width"], resource["height"])
        assert (canvas["width"], canvas["height"]) == (painted["width"], painted["height"])


def test_pictures_of_a_large_image_have_the_sizes_that_are_told(tmp_path: Path) -> None:
    works = works_of(width=["2400"] * 60, height=["1200"] * 60)
    run = open_runs([write_ranked_run(tmp_path, works)])[0]
    run.file(5).parent.mkdir()
    Image.new("RGB", (2400, 1200)).save(run.file(5))
    with TestClient(application(Site([run], Outputs(tmp_path), NAVIGATION)), OWN) as client:
        canvas = manifest_at(client, "/0/manifest/5.json")["items"][0]
        assert (canvas["width"], canvas["height"]) == (2400, 1200)
        sizes = ((image(canvas), (1200, 600)), (canvas["thumbnail"][0], (160, 80)))
        for resource, size in sizes:
            assert (resource["width"], resource["height"]) == size
            with Image.open(BytesIO(client.get(resource["id"]).content)) as picture:
                assert picture.size == size


def test_an_unknown_row_or_run_is_not_found(asked: TestClient) -> None:
    assert asked.get("/0/manifest/60.json").status_code == 404
    assert asked.get("/0/manifest/x.json").status_code == 404
    assert asked.get("/7/manifest/0.json").status_code == 404
    assert asked.head("/0/manifest/0.json").status_code == 200


def test_no_other_site_may_read_it(asked: TestClient) -> None:
    """Or any page that is open in a browser could list what a private collection holds."""
    answer = asked.get("/0/manifest/5.json", headers={"Origin": "https://viewer.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    other = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    assert asked.get("/0/manifest/5.json", headers=other).status_code == 403
    assert asked.get("/0/manifest/5.json", headers={"Host": "evil.example"}).status_code == 421


def test_the_type_is_that_of_the_specification_and_an_unchanged_one_is_not_sent_again(
    asked: TestClient,
) -> None:
    answer = asked.get("/0/manifest/5.json")
    profile = 'profile="http://iiif.io/api/presentation/3/context.json"'
    assert answer.headers["content-type"] == f"application/ld+json;{profile}"
    again = asked.get("/0/manifest/5.json", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_texts_of_others_stay_text(hostile_site: Site) -> None:
    with TestClient(application(hostile_site), base_url=OWN) as client:
        for row in range(len(hostile_site.runs[0])):
            found = manifest_at(client, linked(client, f"painting.html?row={row}"))
            assert not re.search(
                "[\\x00-\\x09\\x0b-\\x1f\\u202e]", json.dumps(found, ensure_ascii=False)
            )


def test_without_features_the_kept_neighbors_are_served(run: OpenRun, asked: TestClient) -> None:
    next(run.files.path.parents[2].glob("embeddings/**/features.npy")).unlink()
    found = json.loads(asked.get("/0/manifest/5.json?k=50").content)
    assert rows(found) == [5, *run.index[5].tolist()]


def test_an_export_has_no_manifest_as_it_does_not_know_its_address(
    run: OpenRun, tmp_path: Path
) -> None:
    served = Site([run], Outputs(tmp_path), NAVIGATION)
    written = static_site(served, Export(tmp_path / "site"))
    linked = [
        [value for _, _, value in References(body(site, run, "painting", 5)).found]
        for site in (served, written)
    ]
    assert [sum("manifest" in value for value in values) for values in linked] == [1, 0]
