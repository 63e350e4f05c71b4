import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from src.gallery.folder import folder_gallery
from src.leaderboard.__main__ import main
from tests.support.made_runs import write_run

TITLE = "<script>alert('é')</script> & \"quoted\""


@pytest.fixture
def sweep(paintings: Path, tmp_path: Path) -> Path:
    """Write three runs of 12 paintings with hostile titles, best last, and an incomplete run."""
    labels = tmp_path / "labels.csv"
    with labels.open("w", encoding="utf-8", newline="") as file:
        rows = [[f"{artist}/{n}.png", artist, TITLE] for artist in ("ada", "bea") for n in range(4)]
        csv.writer(file).writerows([["file", "artist", "title"], *rows])
    gallery = folder_gallery(paintings, labels, None, 0, tmp_path / "outputs")
    folder = tmp_path / "outputs" / "sweeps" / "2026-11-25" / "10-00-00 a#b"
    np.save(tmp_path / "outputs" / "image_names.npy", np.array(gallery.files))
    paths = {"gallery": f"../../../../galleries/{gallery.name}", "embeddings": "../../../.."}
    draw = np.random.default_rng(3)
    for number, layer in enumerate(["layer2", "layer3", "layer4"]):
        index = np.array([draw.permutation(np.delete(np.arange(12), row))[:4] for row in range(12)])
        average_precision = np.append(0.1 + 0.2 * number + 0.1 * draw.random(8), [np.nan] * 4)
        settings = {"backbone": {"layer": layer}}
        write_run(
            folder / str(number), average_precision, index.astype(np.int32), paths, **settings
        )
        (folder / str(number) / "neighbors.jpg").touch()
    write_run(folder / "3", average_precision, index, paths, backbone={"layer": "<b>"})
    (folder / "3" / "metrics.json").unlink()
    return folder


def page_of(sweep: Path) -> str:
    main([str(sweep)])
    return (sweep / "leaderboard.html").read_text()


def test_the_page_is_self_contained(sweep: Path) -> None:
    text = page_of(sweep)
    sources = re.findall(r"(?:src=\"|url\()([^\")]+)", text)
    assert sources and all(source.startswith("data:image/") for source in sources)
    assert "http" not in text
    assert len(set(sources)) == len(sources)  # each image once


def test_titles_are_escaped(sweep: Path) -> None:
    text = page_of(sweep)
    assert "<script>alert" not in text and "&lt;script&gt;alert(&#39;é&#39;)" in text
    assert "<b>" not in text.partition('id="incomplete"')[2] and "layer=&lt;b&gt;" in text


def test_without_the_images_the_rest_is_shown(sweep: Path) -> None:
    shutil.rmtree(sweep.parents[2] / "galleries")
    text = page_of(sweep)
    assert "The images are missing" in text and 'id="overlap"' in text
    assert "background-image" not in text


def test_a_deleted_image_is_a_gray_square(sweep: Path, paintings: Path) -> None:
    whole = page_of(sweep)
    (paintings / "ada" / "0.png").unlink()
    without = page_of(sweep)
    assert len(without.splitlines()) == len(whole.splitlines())
    changed = [a for a, b in zip(without.splitlines(), whole.splitlines(), strict=True) if a != b]
    assert len(changed) == 1 and re.match(r" *\.p\d+ { background-image", changed[0])


def test_only_the_best_run_needs_its_embeddings(sweep: Path) -> None:
    for job in ("0", "1"):
        paths = yaml.safe_load((sweep / job / "paths.yaml").read_text())
        (sweep / job / "paths.yaml").write_text(yaml.safe_dump(paths | {"embeddings": "gone"}))
    assert page_of(sweep).count('class="list') == 5 * 3


@pytest.mark.browser
def test_the_page_sorts_and_shows_neighbors_in_a_browser(sweep: Path, browser) -> None:
    def layers() -> list[str]:
        """Return the cells of the second column."""
        return browser.locator("#board td:nth-child(2)").all_inner_texts()

    page_of(sweep)
    browser.goto((sweep / "leaderboard.html").as_uri())
    assert layers() == ["layer4", "layer3", "layer2"]
    value = browser.locator("th", has_text="artist/map_at_10")
    value.click()
    assert layers() == ["layer4", "layer3", "layer2"]
    value.click()
    assert layers() == ["layer2", "layer3", "layer4"]
    browser.locator("th", has_text="backbone.layer").click()
    assert layers() == ["layer4", "layer3", "layer2"]
    with np.load(sweep / "2" / "neighbors.npz") as best:
        index = best["index"]
    queries = browser.locator(".query").all()
    assert len(queries) == 5
    for query in queries:
        row = int(query.get_attribute("data-row"))
        assert row < 8  # those that have an artist
        images = query.locator(".list.best .t")
        shown = images.evaluate_all("all => all.map(t => Number(t.dataset.row))")
        assert shown == index[row].tolist()
        same = [other < 8 and other // 4 == row // 4 for other in index[row]]
        assert images.evaluate_all("all => all.map(t => t.matches('.same'))") == same
    assert browser.locator("#board a").first.get_attribute("href") == "2/neighbors.jpg"
