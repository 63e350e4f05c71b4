"""The page of a query: what it answers by server, and what it says in an export."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from src.browser import query_run
from src.browser.opened import open_runs
from src.browser.query_run import Asked, answerer
from src.browser.query_view import labels_by_text, query_view
from src.browser.server import application
from src.browser.site import Site
from src.browser.uploads import keep
from src.config.overrides import shell_join, shell_quote
from src.embedding.crop import WHOLE, Crop
from src.errors import UserError
from src.similarity import top_k

OWN = "http://127.0.0.1:8050"
ROW = re.compile(r'<li class="card[^"]*" data-row="(\d+)"')
SCORE = re.compile(r"(\d+) · (-?\d\.\d{4})<")


def ask(client: TestClient, address: str, status: int = 200) -> str:
    answer = client.get(f"/0/query.html?{address}")
    assert answer.status_code == status
    return unescape(answer.text)


def rows(text: str) -> list[int]:
    return [int(row) for row in ROW.findall(text)]


def test_an_image_of_the_gallery_finds_itself_first(client: TestClient, site: Site) -> None:
    run = site.runs[0]
    checksum = keep((run.gallery.root / run.gallery.files[5]).read_bytes(), site.outputs)
    text = ask(client, f"image={checksum}")
    assert SCORE.findall(text)[0] == ("1", "1.0000")
    # the others are its neighbors in the run, and nothing is left out
    assert rows(text)[:4] == [5, *run.index[5].tolist()]
    assert sorted(rows(text)) == list(range(12))
    assert ask(client, "row=5").count("1.0000") == text.count("1.0000")
    assert f'src="../queries/{checksum}.jpg"' in text


def test_the_answer_outlives_the_server(client: TestClient, site: Site, two_runs: list) -> None:
    body = (site.runs[0].gallery.root / site.runs[0].gallery.files[2]).read_bytes()
    address = f"image={keep(body, site.outputs)}&crop=10,10,50,50&k=50"
    before = ask(client, address)
    again = Site(open_runs(two_runs), site.outputs, site.navigation)
    with TestClient(application(again), OWN) as fresh:
        after = ask(fresh, address)
    assert rows(after) == rows(before)
    assert 'value="10,10,50,50"' in after
    assert "<option selected>50</option>" in after


def test_a_detail_is_searched_like_a_file_of_it(
    client: TestClient, site: Site, tmp_path: Path
) -> None:
    run = site.runs[0]
    with Image.open(run.gallery.root / run.gallery.files[0]) as image:
        width, height = image.size
        image.crop((0, 0, width // 2, height // 2)).save(tmp_path / "detail.png")
    checksum = keep((tmp_path / "detail.png").read_bytes(), site.outputs)
    whole, part = ask(client, f"image={checksum}"), ask(client, "row=0&crop=0,0,50,50")
    assert SCORE.findall(whole) == SCORE.findall(part)
    assert "A part of" in part


def test_neighbors_with_a_label_are_the_best_of_those(client: TestClient, site: Site) -> None:
    run = site.runs[0]
    everything = rows(ask(client, "row=0"))
    for value in ("ada", "bea", "cleo"):
        text = ask(client, f"row=0&only=folder: {value}")
        has = [row for row in everything if run.gallery.files[row].startswith(value)]
        assert rows(text) == has
        assert len(has) == 4
    assert "No image has folder: adda; did you mean folder: ada" in ask(
        client, "row=0&only=folder: adda"
    )
    assert list(labels_by_text(run)) == ["folder: ada", "folder: bea", "folder: cleo"]


@pytest.mark.parametrize(
    "address",
    ["row=12", "row=-1", "row=", "row=0&crop=0,0,0,0", "image=../../x", "row=0&crop=1e9,0,1,1"],
)
def test_addresses_that_name_nothing(client: TestClient, address: str) -> None:
    assert "Not found" in ask(client, address, 404)


def test_numbers_that_are_not_offered_are_the_default(client: TestClient) -> None:
    for k in ("0", "-5", "1e99", "9" * 5000, "x"):
        assert "<option selected>20</option>" in ask(client, f"row=0&k={k}")


def test_two_first_questions_load_the_network_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, opened = [], query_run.open_network
    monkeypatch.setattr(
        query_run, "open_network", lambda *words: [calls.append(words), opened(*words)][1]
    )
    query_view(site, site.runs[0], {})
    assert not calls

    def nearest(row: int) -> list[tuple[int, float]]:
        return answerer(site.runs[0], site.outputs).nearest(Asked("", row), WHOLE, 3)

    with ThreadPoolExecutor(4) as pool:
        first, second, *_ = pool.map(nearest, [0, 1, 0, 1])
    assert (first[0][0], second[0][0]) == (0, 1)
    assert len(calls) == 1
    assert answerer(site.runs[0], site.outputs) is not answerer(site.runs[1], site.outputs)


def test_an_answer_is_computed_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answerer(site.runs[0], site.outputs)
    first = asked.nearest(Asked("", 3), Crop(0, 0, 50, 50), 3)
    monkeypatch.setattr(asked._network, "rows", lambda *_: pytest.fail("embedded again"))
    assert asked.nearest(Asked("", 3), Crop(0, 0, 50, 50), 3) == first
    assert len(asked.nearest(Asked("", 3), Crop(0, 0, 50, 50), 5)) == 5


def test_scores_are_those_of_the_features(site: Site) -> None:
    run = site.runs[0]
    found = answerer(run, site.outputs).nearest(Asked("", 7), WHOLE, 12)
    features = np.asarray(run.files.features())
    expected = top_k(features, 11)
    assert [row for row, _ in found] == [7, *expected.index[7].tolist()]
    np.testing.assert_allclose([s for _, s in found[1:]], expected.score[7], atol=1e-6)


def test_a_gallery_whose_images_are_gone_says_so(site: Site, tmp_path: Path) -> None:
    run = site.runs[0]
    moved = replace(run, gallery=replace(run.gallery, root=tmp_path / "moved"))
    with TestClient(application(replace(site, runs=[moved])), OWN) as client:
        assert "The image cannot be read: " in ask(client, "row=0")


def test_weights_that_are_gone_are_told_on_the_page(
    client: TestClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise UserError("the network's weights are gone: put the file a.pth back as /w/a.pth")

    monkeypatch.setattr(query_run, "open_network", gone)
    text = ask(client, "row=0")
    assert "The network's weights are gone: put the file a.pth back as /w/a.pth" in text
    assert not rows(text)
    assert 'id="ask"' in text


def test_a_server_names_the_run_where_it_is(client: TestClient, site: Site) -> None:
    command = shell_join(["python", "-m", "src.query", "painting.jpg", "--run"])
    assert f"{command} {shell_quote(str(site.runs[0].files.path))}" in ask(client, "")


def test_an_export_says_how_to_run_it(site: Site) -> None:
    static = replace(site, is_static=True)
    text = unescape(static.render(site.runs[1], "query", query_view(static, site.runs[1], {})))
    command = "outputs/sweeps/2026-01-01/12-00-00/1"
    assert f"python -m src.browse {command} --open" in text
    assert f"python -m src.query painting.jpg --run {command}" in text
    assert "<form id" not in text
    assert str(site.runs[1].files.path) not in text
