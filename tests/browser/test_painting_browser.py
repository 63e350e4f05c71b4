"""The page of a painting in a real browser, by server and from a disk: clicks, keys, axe."""

import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from src.browser.export import export
from src.browser.export_plan import Export
from src.browser.opened import open_runs
from src.browser.server import application
from src.browser.site import Site
from src.browser.views import NAVIGATION
from src.io.outputs import Outputs
from tests.support.ranked_run import works_of, write_layer, write_ranked_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
DENIED = (
    "Object.defineProperty(window, 'sessionStorage',"
    " { get() { throw new DOMException('denied', 'SecurityError') } })"
)
TITLE = "</script><b>Ecce Homo</b> " + "of a very long title " * 20


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return the site of a run with very wide and very tall pictures, and one that is missing."""
    outputs = tmp_path_factory.mktemp("paintings") / "outputs"
    works = works_of(title=[TITLE, *(f"Painting {i}" for i in range(1, 60))])
    folder = write_ranked_run(outputs, works)
    run = open_runs([folder])[0]
    (outputs / "images").mkdir()
    for row, file in enumerate(run.gallery.files[:-1]):
        size = ((900, 30), (30, 900), (60, 50))[row % 3]
        Image.new("RGB", size, (4 * row, 90, 160)).save(outputs / "images" / file)
    layer = next(outputs.glob("embeddings/*/*")) / "layer2"
    write_layer(layer, run.files.features() ** 2, run.gallery.files)
    return Site([run], Outputs(outputs), NAVIGATION)


@pytest.fixture(scope="module")
def served(site: Site) -> Iterator[str]:
    """Return the address of the run's pages by a server."""
    server = uvicorn.Server(uvicorn.Config(application(site), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.05)
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/0"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def exported(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of the run's pages in a folder."""
    folder = tmp_path_factory.mktemp("exported") / "pages"
    export(site, Export(folder))
    return f"{folder.as_uri()}/0"


@pytest.fixture(params=["served", "exported"])
def root(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def rows(browser: "Page") -> list[int]:
    """Return the neighbors that are seen."""
    browser.wait_for_selector("#neighbors .card:visible")
    links = browser.locator("#neighbors .card:visible > a").all()
    return [int(re.search(r"row=(\d+)", link.get_attribute("href") or "")[1]) for link in links]


def test_the_list_and_each_choice_are_the_same_by_server_and_from_a_disk(
    browser: "Page", served: str, exported: str
) -> None:
    for choice in ("", "&only=other-artist", "&only=other-object", "&k=10"):
        browser.goto(f"{served}/painting.html?row=4{choice}")
        expected = rows(browser)
        chips = browser.locator("#neighbors .card:visible .shared").all_inner_texts()
        browser.goto(f"{exported}/painting.html?row=4{choice}")
        assert rows(browser) == expected
        assert browser.locator("#neighbors .card:visible .shared").all_inner_texts() == chips


def test_a_choice_is_a_click_and_its_address_opens_it_again(browser: "Page", root: str) -> None:
    browser.goto(f"{root}/painting.html?row=1")
    before = rows(browser)
    browser.click("text=other artists only")
    browser.wait_for_selector("[data-only=other-artist][aria-current]")
    after = rows(browser)
    assert after != before
    browser.reload()
    assert rows(browser) == after
    browser.go_back()
    browser.wait_for_selector("[data-only=''][aria-current]")
    assert rows(browser) == before


def test_a_label_is_chosen_in_the_form(browser: "Page", root: str) -> None:
    browser.goto(f"{root}/painting.html?row=4")
    browser.wait_for_selector("#choose")
    browser.click("#choose summary")
    browser.select_option("#choose select[name='f.style']", index=1)
    value = browser.input_value("#choose select[name='f.style']")
    browser.click("#choose button")
    browser.wait_for_selector("#all:visible")
    assert re.search(rf"\?row=4&k=10&f\.style={value}$", browser.url)
    assert browser.input_value("#choose select[name='f.style']") == value
    chips = browser.locator("#neighbors .card:visible .shared").all_inner_texts()
    assert chips
    assert all("same style" in text for text in chips)


def test_an_export_says_that_it_does_not_have_what_only_the_program_finds(
    browser: "Page", exported: str
) -> None:
    browser.goto(f"{exported}/painting.html?row=4&f.style=Gothic")
    found = browser.wait_for_selector("#found:has-text('None')")
    assert "None of the neighbors in this export fits: style Gothic." in found.inner_text()
    assert "The program, where it runs, searches all images." in found.inner_text()


def test_the_steps_are_a_trail_that_leads_back_and_can_be_cleared(
    browser: "Page", root: str
) -> None:
    browser.goto(f"{root}/painting.html?row=0")
    for _ in range(2):
        browser.wait_for_selector("#neighbors .card a")
        browser.locator("#neighbors .card a").nth(3).click()
    steps = browser.locator("#trail a")
    browser.wait_for_selector("#trail:visible")
    assert steps.count() == 3
    browser.reload()
    browser.wait_for_selector("#trail:visible")
    assert steps.count() == 3
    assert steps.first.locator("img").get_attribute("alt") == TITLE
    steps.first.click()
    browser.wait_for_selector("article[data-row='0']")
    assert steps.count() == 4
    browser.click("#trail button")
    assert not browser.is_visible("#trail")


def test_a_browser_that_stores_nothing_shows_no_trail(browser: "Page", root: str) -> None:
    browser.add_init_script(DENIED)
    browser.goto(f"{root}/painting.html?row=0")
    assert rows(browser)
    browser.locator("#neighbors .card a").first.click()
    browser.wait_for_selector("#neighbors .card a")
    assert browser.locator("#trail a").count() == 1
    assert not browser.is_visible("#trail")


def test_arrows_go_through_the_neighbors(browser: "Page", root: str) -> None:
    browser.goto(f"{root}/painting.html?row=4")
    expected = rows(browser)
    for _ in range(3):
        browser.keyboard.press("ArrowRight")
    browser.keyboard.press("Enter")
    browser.wait_for_url(f"**row={expected[2]}")
    assert browser.is_visible("h1")


@pytest.mark.parametrize("width", [1400, 800, 390])
def test_nothing_is_wider_than_the_page_and_axe_is_content(
    browser: "Page", root: str, width: int
) -> None:
    browser.set_viewport_size({"width": width, "height": 900})
    for row in (0, 1, 59):  # very wide with a very long title, very tall, missing
        browser.goto(f"{root}/painting.html?row={row}")
        rows(browser)
        browser.click("#why summary")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(browser, options={"preload": False}).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []


def test_the_title_of_an_image_is_text(browser: "Page", root: str) -> None:
    browser.goto(f"{root}/painting.html?row=0")
    assert browser.wait_for_selector("h1").inner_text().startswith("</script><b>Ecce Homo</b>")
    assert browser.locator("h1 b").count() == 0
