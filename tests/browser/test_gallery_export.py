"""An exported gallery in Chromium shows what the server does: rows, counts, links and sentences."""

import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import numpy as np
import pytest
from PIL import Image

from src.browser.data import DATA, data_chunk
from src.browser.export import STATIC
from src.browser.gallery_view import gallery_view
from src.browser.opened import OpenRun
from src.gallery.search import spellings
from tests.support.collection import collection, queries
from tests.support.image_files import encoded
from tests.support.open_runs import site_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
N = 450
# Of everything that the gallery shows: texts without what is hidden, and addresses
SEEN = """root => {
  const seen = selector => [...root.querySelectorAll(selector)].filter(e => !e.closest("[hidden]"))
  const text = element => {
    const copy = element.cloneNode(true)
    copy.querySelectorAll("[hidden]").forEach(hidden => hidden.remove())
    return copy.textContent.replace(/\\s+/g, " ").trim()
  }
  return {
    texts: seen(".results p, .results h2, .results .note, .facets h2, summary, .count").map(text),
    links: seen(".gallery a").map(a => [text(a), a.getAttribute("href"), a.ariaCurrent]),
    cards: seen(".card").map(card => [card.dataset.row, text(card)]),
    pictures: seen(".card img").map(image => [image.getAttribute("src"), image.alt]),
    fields: [...root.querySelectorAll("main input, main select")].map(i => [i.name, i.value]),
  }
}"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> OpenRun:
    """Return a run over a made collection."""
    return collection(tmp_path_factory.mktemp("collection"), N)


def written(run: OpenRun, folder: Path) -> str:
    """Write the gallery of a run as an export does; return its address."""
    site, pages = site_of(run, is_static=True), folder / "0"
    shutil.copytree(STATIC, folder / "static")
    for name, data in DATA.items():
        if name.startswith(("gallery", "captions")):
            (pages / "data" / name).mkdir(parents=True)
            for number in range(data.count(run)):
                text = data_chunk(site, run, name, number)
                (pages / "data" / name / f"{number:03d}.js").write_text(text)
    (pages / "gallery.html").write_text(site.render(run, "gallery", gallery_view(site, run, {})))
    return (pages / "gallery.html").as_uri()


@pytest.fixture(scope="module")
def address(run: OpenRun, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of the exported gallery."""
    return written(run, tmp_path_factory.mktemp("exported"))


@pytest.fixture
def page(chromium: "Browser") -> Iterator["Page"]:
    """Return a page on which no script fails; pictures are white."""
    errors = list[str]()
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    picture = encoded(Image.new("RGB", (4, 4), "white"), "JPEG")
    page.route("**/*.jpg", lambda route: route.fulfill(body=picture, content_type="image/jpeg"))
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert not errors


def by_server(page: "Page", run: OpenRun, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Return what is seen of the page that the server makes, parsed by the same browser."""
    site = site_of(run)
    html = site.render(run, "gallery", gallery_view(site, run, dict(pairs)))
    parse = f'html => ({SEEN})(new DOMParser().parseFromString(html, "text/html"))'
    return _alike(page.evaluate(parse, html))


def by_script(page: "Page", pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Return what is seen once the script has shown what an address asks for."""
    page.evaluate("async search => show(search)", f"?{urlencode(pairs)}")
    return _alike(page.evaluate(f"({SEEN})(document)"))


def _alike(seen: dict[str, Any]) -> dict[str, Any]:
    """Return what is seen with addresses quoted in one way."""
    for link in seen["links"]:
        name, _, query = link[1].partition("?")
        link[1] = (name, parse_qsl(query, keep_blank_values=True))
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("written_rows", [None, np.arange(N) % 3 == 1], ids=["all", "some"])
def test_both_ways_show_the_same(
    page: "Page", run: OpenRun, tmp_path: Path, written_rows: np.ndarray | None
) -> None:
    limited = replace(run, written=written_rows)
    page.goto(written(limited, tmp_path))
    seen = by_server(page, limited, [])
    assert _alike(page.evaluate(f"({SEEN})(document)")) == seen and len(seen["cards"]) == 100
    kinds = np.zeros(3, int)
    for pairs in queries(limited, 150):
        seen = by_server(page, limited, pairs)
        assert by_script(page, pairs) == seen, urlencode(pairs)
        texts = " ".join(seen["texts"])
        kinds += ["; showing" in texts, "Without" in str(seen["links"]), len(seen["cards"]) > 1]
    assert min(kinds) >= 10


def test_texts_are_folded_as_python_does(page: "Page", address: str) -> None:
    page.goto(address)
    letters = [chr(code) for code in range(0x20, 0x3000)] + list("ﬁﬃ\uff21\uff41ㇰ神가𝒜𐐀𐐨")
    known = [letter for letter in letters if unicodedata.category(letter) not in ("Cc", "Cn")]
    texts = [f"a{letter}b" for letter in known] + ["ΣΊΣΥΦΟΣ", "İstanbul", "Dürer & Æneas", "L’Été"]
    assert page.evaluate("texts => texts.map(spellings)", texts) == [*map(spellings, texts)]


def test_the_first_page_loads_no_data(page: "Page", address: str) -> None:
    loaded = list[str]()
    page.on("request", lambda request: loaded.append(request.url))
    page.goto(address)
    assert page.locator(".card").count() == 100
    assert not [url for url in loaded if "/data/" in url]


def test_links_and_forms_lead_to_addresses_that_reopen(page: "Page", address: str) -> None:
    page.goto(address)
    page.locator("[data-column=wing] a").first.click()
    page.wait_for_function("all('.chips li').length === 1")
    page.get_by_label("Search title").fill("jpg")
    page.get_by_label("Sort by").select_option(label="Title")
    page.wait_for_function("shown.includes('sort=title') && all('.chips li').length === 2")
    page.get_by_role("link", name="Next").click()
    page.wait_for_function("shown.includes('page=2') && byId('turn').elements.page.value === '2'")
    seen, url = page.evaluate(f"({SEEN})(document)"), page.url
    page.reload()
    page.wait_for_function("byId('turn').elements.page.value === '2'")
    assert page.evaluate(f"({SEEN})(document)") == seen
    page.go_back()
    page.wait_for_function("byId('turn').elements.page.value === '1' && !shown.includes('page')")
    assert page.url == url.replace("&page=2", "")


def test_focus_is_never_lost_and_slash_leads_to_the_search(page: "Page", address: str) -> None:
    page.goto(f"{address}#search")
    page.wait_for_function("document.activeElement.id === 'search'")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    page.keyboard.type("el")
    page.keyboard.press("Enter")
    page.locator(".chips a").click()
    page.wait_for_function("!all('.chips a').length")
    assert page.evaluate("document.activeElement.dataset.part") == "found"


def test_of_two_that_were_asked_for_the_last_is_shown(page: "Page", address: str) -> None:
    page.goto(address)
    page.evaluate("Promise.all([show('?q=mo&sort=title'), show('')])")
    assert page.locator("[data-part=found]").text_content() == f"{N} images"
    assert page.locator(".card").first.get_attribute("data-row") == "0"


def test_data_that_is_gone_is_told(page: "Page", run: OpenRun, tmp_path: Path) -> None:
    page.goto(written(run, tmp_path))
    page.route("**/gallery-texts/*.js", lambda route: route.abort())
    page.get_by_label("Search title").fill("mo")
    page.keyboard.press("Enter")
    page.wait_for_function("part('found').textContent.includes('cannot be')")
    assert "gallery-texts/000.js cannot be read" in (page.text_content("[data-part=found]") or "")
