"""An export with --limit: pages of a sample, and neighbors without a page of their own."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from src.browser.export import export
from src.browser.export_plan import Export, WrittenRun, per_chunk, static_site
from src.browser.site import Site
from src.gallery.gallery import sample
from tests.support.exported import References, chunk_value, pages

LIMIT = 4


@pytest.fixture
def limited(site: Site, tmp_path: Path) -> Path:
    """Return the folder of an export of LIMIT of 12 images."""
    export(site, Export(tmp_path / "site", limit=LIMIT, seed=3))
    return tmp_path / "site"


def sampled(site: Site) -> set[int]:
    """Return the rows that are to have pages."""
    files = site.runs[0].gallery.files
    return {files.index(file) for file in sample(files, LIMIT, 3)}


def test_bodies_are_of_the_sample(site: Site, limited: Path) -> None:
    for run in site.runs:
        for name in ("painting", "compare"):
            shell = (limited / str(run.number) / f"{name}.html").read_text()
            per = int(re.findall('data-per="([0-9]+)"', shell)[0])
            written = {
                int(path.stem) * per + int(place)
                for path in (limited / str(run.number) / "data" / name).iterdir()
                for place in chunk_value(path)
            }
            assert written == sampled(site)


def test_links_lead_to_pages_that_are_there(site: Site, limited: Path) -> None:
    rows, kinds = set[int](), set[str]()
    for path, html in pages(limited):
        for tag, name, value in References(html).found:
            parts = urlsplit(value)
            if (tag, name) == ("img", "src"):
                target = (path.parent / value).resolve()
                assert target.is_file() and target.is_relative_to(limited.resolve()), value
                kinds.add(target.relative_to(limited.resolve()).parts[0])
            if "row" in (query := parse_qs(parts.query)):
                rows.add(int(query["row"][0]))
    assert kinds == {"thumbnails", "pictures"}
    assert rows == sampled(site)
    for run in (0, 1):  # from which a script chooses at random
        assert chunk_value(limited / str(run) / "data" / "rows" / "000.js") == sorted(rows)


def test_neighbors_without_a_page_are_shown_and_the_page_says_so(site: Site, limited: Path) -> None:
    text = "".join(html for _, html in pages(limited))
    shown = {int(path.stem) for path in limited.rglob("thumbnails/*/*/*.jpg")}
    neighbors = {n for run in site.runs for row in sampled(site) for n in run.index[row].tolist()}
    assert neighbors | sampled(site) <= shown
    assert neighbors - sampled(site)
    for row in neighbors - sampled(site):
        assert f"/{row}.jpg" in text
    for path in limited.glob("*/*.html"):
        assert f"pages of {LIMIT} images, chosen at random from 12" in path.read_text()


def test_nothing_is_told_of_images_that_are_not_shown(site: Site, limited: Path) -> None:
    large = {int(path.stem) for path in limited.rglob("pictures/*/*/*.jpg")}
    assert large == sampled(site)
    shown = {int(path.stem) for path in limited.rglob("thumbnails/*/*/*.jpg")}
    text = "".join(p.read_text() for p in limited.rglob("*") if p.suffix in (".html", ".js"))
    for row in set(range(12)) - shown:
        assert site.runs[0].gallery.files[row] not in text


def test_more_than_there_are_is_all(site: Site, tmp_path: Path) -> None:
    assert all(run.written is None for run in static_site(site, Export(tmp_path, 12)).runs)
    assert all(run.written is None for run in static_site(site, Export(tmp_path, 500)).runs)


def test_the_sample_is_the_same_in_all_runs_and_for_a_seed(site: Site, tmp_path: Path) -> None:
    def rows(seed: int) -> list[list[int]]:
        """Return the rows of each run."""
        options = Export(tmp_path, LIMIT, seed=seed)
        return [run.rows.tolist() for run in static_site(site, options).runs]

    assert rows(0)[0] == rows(0)[1] == rows(0)[0]
    assert len({tuple(rows(seed)[0]) for seed in range(5)}) > 1


def test_a_chunk_of_bodies_is_loaded_in_a_moment(site: Site, tmp_path: Path) -> None:
    few, every = (static_site(site, Export(tmp_path, limit)).runs[0] for limit in (3, None))
    assert isinstance(few, WrittenRun)
    assert [per_chunk(mean, every) for mean in (0, 1e5 / 3, 1e9)] == [12, 3, 1]
    assert [per_chunk(mean, few) for mean in (0, 1e5 / 3, 1e9)] == [12, 12, 1]
