"""The page of a painting: what it says, and that what others wrote stays text."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from src.browser import about, why
from src.browser.opened import open_runs
from src.browser.painting_view import painting_view
from src.browser.server import application
from src.browser.site import Site
from src.browser.views import NAVIGATION
from src.io.outputs import Outputs
from tests.support.exported import References
from tests.support.ranked_run import clustered, works_of, write_layer, write_ranked_run

HOSTILE = "</script><script>alert(1)</script>\"'<img src=x onerror=alert(2)>"


def site_of(outputs: Path, **given: object) -> Site:
    return Site(open_runs([write_ranked_run(outputs, **given)]), Outputs(outputs), NAVIGATION)


def page(site: Site, address: str = "row=5") -> str:
    with TestClient(application(site), base_url="http://127.0.0.1:8050") as client:
        answer = client.get(f"/0/painting.html?{address}")
    assert answer.status_code == 200
    return answer.text


def layer_folder(site: Site, name: str) -> Path:
    return next(site.outputs.root.glob("embeddings/*/*")) / name


def test_neighbors_stand_in_order_with_score_and_shared_labels(tmp_path):
    site = site_of(tmp_path)
    run, html = site.runs[0], page(site)
    cards = re.findall(r'<li class="card">.*?</li>', html, re.DOTALL)
    rows = [int(re.search(r"row=(\d+)", card)[1]) for card in cards]
    assert rows == run.index[5].tolist()
    for card, row, score in zip(cards, rows, run.score[5], strict=True):
        assert f"{score:.4f} <meter" in card
        for column in ("artist", "style"):
            same = run.value(5, column) == run.value(row, column) != ""
            assert (f"same {column}" in card) == same


def test_rights_are_a_link_and_the_museums_file_is_told_with_the_file(tmp_path):
    by, n = "http://creativecommons.org/licenses/by/4.0/", len(works_of())
    html = page(site_of(tmp_path, works=works_of(rights=[by] * n, iiif_width=["9000"] * n)))
    assert f'<a href="{by}" rel="noreferrer noopener">Rights</a>' in html
    assert html.index("<summary>File</summary>") < html.index("<dt>iiif width</dt><dd>9000</dd>")


def test_label_values_lead_to_the_gallery_and_unknown_ones_are_left_out(tmp_path):
    html = page(site_of(tmp_path), "row=4")
    assert '<a href="gallery.html?f.artist=artist+2">artist 2</a>' in html
    assert "<dt>style</dt>" in html
    assert "<dt>artist</dt>" not in page(site_of(tmp_path / "other"), "row=5")


def test_each_choice_is_a_link_that_keeps_the_others(tmp_path):
    html = page(site_of(tmp_path), "row=5&k=20&f.style=Baroque")
    assert 'href="painting.html?row=5&amp;only=other-artist&amp;k=20&amp;f.style=Baroque"' in html
    assert "<option selected>20</option>" in html
    assert re.search(
        r"The 19 nearest of 19 images, exact|The 20 nearest of \d+ images, exact", html
    )
    assert 'id="all"><a href="painting.html?row=5">Show all neighbors' in html


def test_a_run_without_features_says_what_to_do(tmp_path):
    site = site_of(tmp_path)
    layer_folder(site, "layer4/features.npy").unlink()
    html = page(site, "row=1&only=other-artist")
    assert "features are gone" in html
    assert "the command of the run, given again" in html
    assert "of the 10 neighbors that the run has kept" in html


def test_a_run_by_csls_says_why_scores_rise(tmp_path):
    assert "Order: csls, which puts" in page(site_of(tmp_path, ranking="csls"))


def test_how_well_an_image_is_found_stands_beside_the_mean(tmp_path):
    site = site_of(tmp_path)
    run = site.runs[0]
    entry = next(q for q in about.quality(run, 4) if q.column == "style")
    same = sum(run.value(4, "style") == run.value(row, "style") for row in run.index[4].tolist())
    assert (entry.same, entry.depth) == (same, 10)
    precision = run.files.query_values("style/precision_at_10", len(run))
    assert entry.mean_same == pytest.approx(10 * np.nanmean(precision))
    assert f"{same} of the 10 nearest have the same style" in page(site, "row=4")
    assert "artist" not in {q.column for q in about.quality(run, 5)}  # it is unknown


def test_who_has_an_image_as_neighbor_is_listed_by_score(tmp_path):
    site = site_of(tmp_path)
    run = site.runs[0]
    for row in range(len(run)):
        found = about.neighbor_of(run, row)
        rows = np.flatnonzero((run.index == row).any(axis=1)).tolist()
        assert sorted(other for other, _ in found) == rows
        assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)
    assert f"Neighbor of {run.occurrence[5]} images (mean 10)" in page(site)


def test_the_first_and_the_last_painting_have_one_beside_them(tmp_path):
    site = site_of(tmp_path)
    first, last = page(site, "row=0"), page(site, "row=59")
    assert 'rel="next" href="painting.html?row=1"' in first
    assert 'rel="prev"' not in first
    assert 'rel="prev" href="painting.html?row=58"' in last
    assert 'rel="next"' not in last


def test_images_without_a_page_are_no_links(tmp_path):
    site = site_of(tmp_path)
    written = np.arange(60) % 2 == 0
    static = replace(site, runs=[replace(site.runs[0], written=written)], is_static=True)
    run = static.runs[0]
    html = static.render_body(run, painting_view(static, run, {"row": "6"}))
    linked = {int(row) for row in re.findall(r'href="painting.html\?row=(\d+)"', html)}
    assert linked - {6} <= set(run.rows.tolist())
    assert {4, 8} <= linked
    others = painting_view(static, run, {"row": "7"}).context["around"]
    assert others == {"prev": 6, "next": 8}


def test_layers_of_the_same_images_are_compared_by_cosine_and_place(tmp_path):
    site = site_of(tmp_path)
    run, draw = site.runs[0], np.random.default_rng(5)
    other = draw.random((60, 9)).astype("f4")
    write_layer(layer_folder(site, "layer10"), other, run.gallery.files)
    write_layer(layer_folder(site, "layer3"), clustered() ** 3, run.gallery.files)
    write_layer(layer_folder(site, "shuffled"), other, run.gallery.files[::-1])
    assert [layer.name for layer in why.layers_of(run)] == ["layer3", "layer4", "layer10"]
    rows = run.index[5].tolist()
    unit = other.astype("f8") / np.linalg.norm(other.astype("f8"), axis=1)[:, None]
    cosines = unit @ unit[5]
    for pair, row in zip(why.pairs(run, why.layers_of(run)[2], 5, rows), rows, strict=True):
        assert pair.cosine == pytest.approx(cosines[row])
        assert pair.rank == 1 + sum(np.delete(cosines, 5) > cosines[row])
    heads = re.findall(r"<th>([^<]+)</th>", page(site))
    assert heads[:4] == ["Neighbor", "this run", "layer3", "layer10"]  # layer4 is this run


def test_an_augmented_run_is_compared_with_its_own_layer(tmp_path):
    html = page(site_of(tmp_path, augment=3))
    assert re.findall(r"<th>([^<]+)</th>", html)[:3] == ["Neighbor", "this run", "layer4"]


def test_large_layers_have_cosines_without_places(tmp_path, monkeypatch):
    monkeypatch.setattr(why, "RANKED_NUMBERS", 0)
    site = site_of(tmp_path, postprocess="whiten")
    run = site.runs[0]
    rows = clustered().astype("f8")
    expected = (
        rows[[8, 0]] @ rows[5] / np.linalg.norm(rows[[8, 0]], axis=1) / np.linalg.norm(rows[5])
    )
    pairs = why.pairs(run, why.layers_of(run)[0], 5, [8, 0])
    assert [pair.cosine for pair in pairs] == pytest.approx(expected)
    assert {pair.rank for pair in pairs} == {None}
    assert "In brackets" not in page(site)


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_a_layer_that_is_damaged_is_left_out(damage, tmp_path):
    site = site_of(tmp_path)
    folder = layer_folder(site, "layer3")
    write_layer(folder, clustered(), site.runs[0].gallery.files)
    names = folder / "image_names.npy"
    names.unlink() if damage is None else names.write_bytes(damage)
    assert [layer.name for layer in why.layers_of(site.runs[0])] == ["layer4"]


def test_what_others_wrote_is_text(tmp_path):
    texts = [HOSTILE] * 58 + ["", "é" * 3000]
    works = works_of(title=texts, artist=[HOSTILE] * 60, style=[HOSTILE, "x"] * 30)
    site = site_of(tmp_path, works=works.assign(page=["javascript:alert(3)"] * 60))
    static = replace(site, is_static=True)
    run = site.runs[0]
    body = static.render_body(run, painting_view(static, run, {"row": "5"}))
    for html in (page(site), page(site, "row=5&f.style=x&only=other-artist"), body):
        found = References(html)
        assert not [link for _, _, link in found.found if link.startswith("javascript")]
        assert not [name for _, name, _ in found.found if name.startswith("on")]
        assert "<script>alert" not in html
        assert "onerror=alert(2)&gt;" in html


@pytest.mark.parametrize(
    "column, text, address",
    [
        ("page", "https://museum.org/1", "https://museum.org/1"),
        ("page", "HTTPS://museum.org/1", "HTTPS://museum.org/1"),
        ("page", " https://museum.org/1", ""),
        ("page", "https:///1", ""),
        ("page", "https://[::1", ""),
        ("page", "data:text/html,hi", ""),
        ("page", "//museum.org/1", ""),
        ("page", "https://museum.org/\u202e1", ""),
        ("iiif", "https://museum.org/iiif/4/", "https://museum.org/iiif/4/full/full/0/default.jpg"),
        ("iiif", "https://museum.org/iiif/4.jpg", "https://museum.org/iiif/4.jpg"),
        ("wikidata", "Q42", "https://www.wikidata.org/wiki/Q42"),
        ("wikidata", "Q42/../..", ""),
        ("wikidata", "http://www.wikidata.org/entity/Q42", "http://www.wikidata.org/entity/Q42"),
    ],
)
def test_only_addresses_of_the_web_are_links(column, text, address):
    assert about.link(column, text) == address


def test_an_image_of_a_service_is_asked_for_as_its_version_knows_it():
    for profile, size in (("level2", "max"), ("http://iiif.io/api/image/2/level1.json", "full")):
        address = f"https://museum.org/4/full/{size}/0/default.jpg"
        assert about.link("iiif", "https://museum.org/4", profile) == address
    assert about.link("iiif", "https://museum.org/4", "?") == "https://museum.org/4"


def test_links_elsewhere_tell_nothing_of_this_page(tmp_path):
    works = works_of().assign(page=["https://museum.org/1"] * 60, wikidata=["Q4"] * 60)
    html = page(site_of(tmp_path, works=works))
    assert html.count('rel="noreferrer noopener"') == 2
    assert "<dt>page</dt>" not in html


@pytest.mark.parametrize("inter", ["text", None, -0.2, 0.25])
def test_bars_begin_at_the_mean_if_it_is_positive(inter, tmp_path):
    site = site_of(tmp_path)
    run = replace(site.runs[0], metrics=site.runs[0].metrics | {"inter": inter})
    shown = painting_view(site, run, {"row": "5"}).context["lowest"]
    assert shown == (0.25 if inter == 0.25 else 0)
