"""An export: a site as files that need no server, and nothing outside of their folder."""

import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from PIL import Image

from src.browser.data import DATA
from src.browser.export import export
from src.browser.export_plan import (
    Export,
    estimate_pages,
    estimate_pictures,
    measure_bodies,
    static_site,
)
from src.browser.site import Site
from src.browser.views import VIEWS
from tests.support.exported import References, chunk_value, export_runs, pages

N = 12
PER_ROW = [name for name, entry in VIEWS.items() if entry.per_row]


@pytest.fixture(scope="session")
def exported(two_runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an export of both runs, read-only."""
    return export_runs(two_runs, tmp_path_factory.mktemp("exported"))


def width(path: Path) -> int:
    """Return the width of a picture."""
    with Image.open(path) as image:
        return image.width


def test_every_page_and_all_data_are_there(exported: Path, site: Site) -> None:
    assert not set(PER_ROW) & set(DATA)  # both have a folder below data
    for run in site.runs:
        folder = exported / str(run.number)
        assert {path.stem for path in folder.glob("*.html")} == set(VIEWS)
        for name, data in DATA.items():
            files = sorted((folder / "data" / name).glob("*.js"))
            assert [int(path.stem) for path in files] == list(range(data.count(run)))
            assert all(chunk_value(path) is not None for path in files)
        for name in PER_ROW:
            per = int(re.findall('data-per="(\\d+)"', (folder / f"{name}.html").read_text())[0])
            chunks = {int(p.stem): chunk_value(p) for p in (folder / "data" / name).glob("*.js")}
            assert all("<h1" in chunks[row // per][str(row % per)] for row in range(N))


def test_nothing_leaves_the_folder(exported: Path) -> None:
    checked = 0
    for path, html in pages(exported):
        for tag, name, value in References(html).found:
            if (tag, name) == ("meta", "content"):
                value = value.partition("url=")[2]
            parts = urlsplit(value)
            if not value or (tag == "a" and parts.scheme == "https"):
                continue
            assert not parts.scheme and not parts.netloc and not value.startswith("/"), value
            assert name in ("href", "src", "content", "action"), (tag, name, value)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), (path, value)
            assert target.is_relative_to(exported.resolve())
            if "row" in (query := parse_qs(parts.query)):
                assert 0 <= int(query["row"][0]) < N
            checked += 1
    assert checked > 500
    for script in exported.rglob("static/*"):
        assert not re.findall(r"https?://(?!www\.w3\.org/)|@import|url\(", script.read_text())


def active(html: str) -> list[str]:
    """Return what in a page would run or style by itself, which the server's policy forbids."""
    names = [name for _, name, _ in References(html).found]
    inline = re.findall(r"<script(?![^>]* src=)|<style|javascript:", html)
    return inline + [name for name in names if name.startswith("on") or name == "style"]


def test_pages_run_no_script_of_their_own(exported: Path) -> None:
    assert active('<script>1</script><b onclick="1">') == ["<script", "onclick"]
    assert not [text for _, html in pages(exported) for text in active(html)]


def test_all_pictures_are_there_in_the_sizes_asked(exported: Path) -> None:
    for kind in ("thumbnails", "pictures"):
        files = sorted(exported.rglob(f"{kind}/0/000/*.jpg"), key=lambda path: int(path.stem))
        assert [int(path.stem) for path in files] == list(range(N))
        assert set(map(width, files)) == {40}  # as large as the files are
    assert not [path for path in exported.rglob("*") if path.name.endswith(".part")]


def test_only_files_that_pages_use_are_in_static(exported: Path) -> None:
    used = {name for _, html in pages(exported) for name in re.findall(r"static/([\w.-]+)", html)}
    assert {path.name for path in (exported / "static").iterdir()} == used


def test_the_first_page_leads_to_the_gallery(exported: Path) -> None:
    found = References((exported / "index.html").read_text()).found
    assert ("meta", "content", "0; url=0/gallery.html") in found
    assert ("a", "href", "0/gallery.html") in found


def test_every_page_tells_the_run_and_nothing_of_this_machine(
    exported: Path, site: Site, two_runs: list[Path]
) -> None:
    for path in exported.rglob("*.html"):
        if path.parent != exported:
            run = site.runs[int(path.parent.name)]
            html = path.read_text()
            assert run.files.paths()["images"] in html
            assert "backbone.layer" in html and "similarity.top_k" in html
            assert all(name in html for name in run.metrics)
    private = [str(two_runs[0].parents[3]), str(Path.home()), str(Path.cwd())]
    for path in exported.rglob("*"):
        if path.suffix in (".html", ".js", ".json"):
            assert not [text for text in private if text in path.read_text()], path


def test_the_estimate_is_what_is_written(exported: Path, site: Site) -> None:
    options = Export(exported)
    written = static_site(site, options)
    bodies = measure_bodies(written)
    estimated = [*estimate_pictures(written, options), *estimate_pages(written, bodies)]
    parts = {part.name: part for part in estimated}
    found = {
        "thumbnails": list(exported.rglob("thumbnails/*/*/*.jpg")),
        "large pictures": list(exported.rglob("pictures/*/*/*.jpg")),
        "pages": [p for name in PER_ROW for p in exported.glob(f"*/data/{name}/*.js")],
        "data": [p for name in DATA for p in exported.glob(f"*/data/{name}/*.js")],
    }
    assert set(parts) == set(found)
    for name, files in found.items():
        assert parts[name].files == len(files)
        size = sum(path.stat().st_size for path in files)
        assert parts[name].bytes == pytest.approx(size, rel=0.05, abs=500)


def test_only_small_pictures(site: Site, tmp_path: Path) -> None:
    export(site, Export(tmp_path / "site", picture=0, thumbnail=32))
    assert not (tmp_path / "site" / "pictures").exists()
    assert set(map(width, (tmp_path / "site").rglob("*.jpg"))) == {32}
    assert "thumbnails/0/000/3.jpg" in "".join(body for _, body in pages(tmp_path / "site"))


HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\u2028'\"&"]


def test_hostile_titles_and_labels_stay_text(site: Site, tmp_path: Path) -> None:
    for run in site.runs:
        run.gallery.works["title"] = [HOSTILE[row % 3] for row in range(N)]
        run.gallery.works["artist"] = [HOSTILE[row % 2] for row in range(N)]
    export(site, Export(tmp_path / "site"))
    assert not [text for _, html in pages(tmp_path / "site") for text in active(html)]
    assert "&lt;img src=x" in "".join(html for _, html in pages(tmp_path / "site"))
    for path in (tmp_path / "site").glob("*/data/*/*.js"):
        text = path.read_text()
        assert not set("<>&\u2028") & set(text)
