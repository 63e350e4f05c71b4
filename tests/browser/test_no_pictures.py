"""Pages of images that are known by their vectors alone: served, and as files."""

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from src.browser.export import export
from src.browser.export_plan import Export
from src.browser.moved import missing_from
from src.browser.opened import open_runs
from src.browser.server import application
from src.browser.site import Site
from src.browser.views import NAVIGATION, VIEWS
from src.io.outputs import Outputs
from src.query import main as query
from src.reporting.neighbor_list import neighbor_list
from src.reporting.run_folder import RunFolder
from src.run import run
from src.show import main as show
from tests.support.options import store
from tests.support.own_vectors import own, saved
from tests.support.ranked_run import clustered, works_of, write_ranked_run


@pytest.fixture(scope="module", name="folder")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run over vectors with labels, read-only."""
    place = tmp_path_factory.mktemp("vectors")
    works_of().to_csv(place / "works.csv", index=False)
    cfg = own(place / "outputs", saved(place, clustered()), place / "works.csv")
    folder = place / "outputs" / "runs" / "2026-01-01" / "12-00-00"
    folder.mkdir(parents=True)
    store(cfg, folder)
    run(cfg, folder)
    return folder


@pytest.fixture(name="site")
def opened_site(folder: Path, tmp_path: Path) -> Site:
    """Return the site of the run."""
    return Site(open_runs([folder]), Outputs(tmp_path), NAVIGATION)


@pytest.mark.parametrize("name", [name for name in VIEWS if not VIEWS[name].of_several])
def test_every_page_is_there_and_asks_for_no_picture(site: Site, name: str) -> None:
    client = TestClient(application(site, "testserver"), base_url="http://testserver")
    answer = client.get(f"/0/{name}.html?row=5")
    assert answer.status_code == 200
    assert ".jpg" not in answer.text and "data-thumbnails" not in answer.text
    assert "not where the run has read them" not in answer.text
    assert client.get("/static/no_picture.svg").status_code == 200


def test_a_page_says_what_was_compared_and_that_no_image_can_be_asked_about(site: Site) -> None:
    client = TestClient(application(site, "testserver"), base_url="http://testserver")
    painting = client.get("/0/painting.html?row=5").text
    assert "own vectors, x.npy" in painting and "Search with a detail" not in painting
    assert "no other image can be embedded" in client.get("/0/query.html").text
    assert "all 60 vectors were read" in client.get("/0/skipped.html").text


def test_a_manifest_needs_pictures(
    site: Site, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = TestClient(application(site, "testserver"), base_url="http://testserver")
    assert "manifest/" not in client.get("/0/painting.html?row=5").text
    answer = client.get("/0/manifest/5.json")
    assert answer.status_code == 404
    assert "005.png has no picture of known size for a manifest" in answer.text
    words = ["5", "--run", str(folder), "--iiif", "--base-url", "https://me.example"]
    assert show(words) == 2
    printed = capsys.readouterr().err
    assert "005.png has no picture of known size for a manifest: give data.images" in printed
    assert printed.count("\n") == 1


def test_vectors_of_images_on_the_web_have_a_manifest(tmp_path: Path) -> None:
    addresses = [f"https://museum.org/iiif/{row}" for row in range(60)]
    works = works_of(iiif=addresses, iiif_width=["600"] * 60, iiif_height=["400"] * 60)
    works.drop(columns=["width", "height"]).to_csv(tmp_path / "works.csv", index=False)
    cfg = own(tmp_path / "outputs", saved(tmp_path, clustered()), tmp_path / "works.csv")
    folder = tmp_path / "outputs" / "runs" / "2026-01-01" / "12-00-00"
    folder.mkdir(parents=True)
    store(cfg, folder)
    run(cfg, folder)
    assert show(["5", "--run", str(folder), "--iiif"]) == 0
    canvas = json.loads((folder / "manifest-5.json").read_text())["items"][0]
    assert (canvas["width"], canvas["height"]) == (600, 400)
    site = Site(open_runs([folder]), Outputs(tmp_path), NAVIGATION)
    client = TestClient(application(site, "testserver"), base_url="http://testserver")
    assert 'href="manifest/5.json"' in client.get("/0/painting.html?row=5").text


def test_images_that_never_had_a_picture_are_not_missed(tmp_path: Path) -> None:
    works = works_of(sha256=[("", "a" * 64)[row % 2] for row in range(60)])
    moved = open_runs([write_ranked_run(tmp_path, works)])[0]
    moved.gallery.root.mkdir(exist_ok=True)
    for row in range(1, 60, 2):
        moved.file(row).touch()
    assert missing_from(moved) == ""
    moved.file(1).unlink()
    assert missing_from(moved) == str(moved.gallery.root)


def test_an_export_has_all_pages_and_one_picture_for_all(site: Site, tmp_path: Path) -> None:
    export(site, Export(tmp_path / "site"))
    assert (tmp_path / "site" / "static" / "no_picture.svg").is_file()
    assert not list((tmp_path / "site").rglob("*.jpg"))
    assert (tmp_path / "site" / "0" / "gallery.html").is_file()


def test_a_painting_is_shown_by_its_caption(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    assert show(["7", "--run", str(folder), "--no-open", "--out", str(target)]) == 0
    assert target.stat().st_size > 10_000
    files = RunFolder(folder)
    lines = list(neighbor_list(files, files.gallery(), 7).lines())
    assert "Painting 7" in lines[0] and len(lines) > 10


def test_a_query_by_an_image_is_refused_in_one_line(
    folder: Path, shared_paintings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = next(shared_paintings.rglob("*.png"))
    assert query([str(image), "--run", str(folder), "--no-open"]) == 2
    error = capsys.readouterr().err
    assert "no other image can be embedded" in error and error.count("\n") == 1
