"""The page of the map by server: its layouts, and what it says where there is none."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from src.browser import layouts, map_view
from src.browser.map_view import first_color
from src.browser.opened import Labels, OpenRun
from src.browser.site import Site
from src.reporting.run_folder import RunFolder


@pytest.fixture
def run(site: Site) -> OpenRun:
    """Return a run of 12 images by 3 artists."""
    return site.runs[0]


def page(site: Site, run: OpenRun, **parameters: str) -> str:
    """Return the body of the map."""
    return site.render_body(run, map_view.map_view(site, run, parameters))


def test_the_components_are_offered_at_once(client: TestClient) -> None:
    answer = client.get("/0/map.html")
    assert answer.status_code == 200
    assert 'data-ready="pca"' in answer.text
    assert "data-waiting" not in answer.text
    assert client.get("/0/data/map-pca/000.js").text.startswith('received("map-pca", 0, {')


@pytest.mark.parametrize("layout", ["", "tsne", "<script>"])
def test_unknown_layouts_are_the_components(client: TestClient, layout: str) -> None:
    answer = client.get("/0/map.html", params={"layout": layout})
    assert answer.status_code == 200
    assert 'data-layout="pca" aria-current="true"' in answer.text


def test_umap_is_begun_and_the_page_says_how_long_it_takes(
    site: Site, run: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_view, "is_installed", lambda: True)
    monkeypatch.setattr(layouts, "Thread", lambda **options: Idle())
    text = page(site, run, layout="umap")
    assert "data-waiting" in text
    assert "is being computed: about 12 seconds" in text
    assert 'data-layout="pca" aria-current="true"' in text


class Idle:
    """A thread that does nothing."""

    def start(self) -> None:
        """Do nothing."""


def test_a_missing_library_is_named(
    site: Site, run: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_view, "is_installed", lambda: False)
    text = page(site, run, layout="umap")
    assert "needs umap-learn, which is not installed: pip install -e &#39;.[umap]&#39;" in text
    assert "data-waiting" not in text


def test_a_failure_is_told(site: Site, run: OpenRun) -> None:
    run.layouts.failure = "no <memory>"
    assert "There is no UMAP layout: no &lt;memory&gt;." in page(site, run, layout="umap")


def test_a_layout_that_is_there_is_shown(site: Site, run: OpenRun) -> None:
    run.layouts._known["umap"] = np.zeros((12, 2), np.float32)
    text = page(site, run, layout="umap")
    assert 'data-ready="pca umap"' in text
    assert 'data-layout="umap" aria-current="true"' in text


def test_an_export_offers_what_it_has(site: Site, run: OpenRun) -> None:
    static = replace(site, is_static=True)
    text = page(static, run, layout="umap")
    assert 'data-layout="umap"' not in text
    assert "was not computed before these pages were written" in text


def test_a_run_without_features_says_so(site: Site, run: OpenRun, tmp_path: Path) -> None:
    folder = shutil.copytree(run.files.path, tmp_path / "a" / "b" / "c" / "d" / "run")
    (folder / "map-pca.npy").unlink(missing_ok=True)
    text = page(site, replace(run, files=RunFolder(folder)))
    assert "There is no map, because the features of this run cannot be read" in text
    assert "features.npy" in text
    assert "<canvas" not in text


@pytest.mark.parametrize(
    ("counts", "color"),
    [
        ({"title": 200, "artist": 80, "style": 7, "school": 3}, "style"),
        ({"title": 200, "artist": 80, "place": 1}, "artist"),
        ({"title": 200}, "title"),
        ({}, ""),
    ],
)
def test_the_first_colors_tell_every_value(
    run: OpenRun, counts: dict[str, int], color: str
) -> None:
    labels = {
        name: Labels([str(value) for value in range(count)], np.zeros(12, np.int64))
        for name, count in counts.items()
    }
    run.__dict__["labels"] = labels
    assert first_color(run) == color
