"""A query in Chromium: parts by mouse, keys and numbers, odd formats, a phone, and an export."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from tests.support.browsed import Browsed
from tests.support.looked_at import picture
from tests.support.looking import PHONE, Look

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
COPIED = re.compile("Copied|Selected")
SERVED = pytest.mark.parametrize("kind", ["server"])


@pytest.fixture(scope="module", autouse=True)
def loaded(served: Browsed) -> None:
    """Let the server load torch and the network before the clock of a test runs."""
    assert served.ask("/0/query.html?row=0").status == 200


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return picture(tmp_path / "my picture.png", 1)


def cards(page: "Page") -> "Locator":
    return page.locator(".answers .card")


def numbers(page: "Page") -> list[str]:
    return [page.input_value(f"#crop-{side}") for side in ("left", "top", "width", "height")]


def drag(page: "Page", start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one place on the picture to another, both as shares of its sides."""
    page.locator("#cropper").scroll_into_view_if_needed()
    box = page.locator("#cropper").bounding_box()
    assert box is not None
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=5)
    page.mouse.up()


def choose(look: Look, image: Path) -> "Page":
    page = look.go("query")
    page.set_input_files("#file", image)
    expect(page.locator("#box")).to_be_visible()
    return page


@SERVED
def test_a_part_is_drawn_moved_and_resized(look: Look, image: Path) -> None:
    page = choose(look, image)
    drag(page, (0.2, 0.1), (0.7, 0.6))
    assert numbers(page) == ["20", "10", "50", "50"]
    drag(page, (0.5, 0.3), (0.6, 0.4))  # within the rectangle: it moves
    assert numbers(page) == ["30", "20", "50", "50"]
    drag(page, (0.8, 0.7), (0.9, 0.9))  # its corner
    assert numbers(page) == ["30", "20", "60", "70"]
    drag(page, (0.5, 0.5), (1.9, 0.5))  # not beyond the edge
    assert numbers(page) == ["40", "20", "60", "70"]
    page.locator("#box").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    assert numbers(page) == ["39", "20", "60", "69"]
    page.fill("#crop-left", "10.5")
    page.get_by_role("button", name="Find neighbors").click()
    expect(cards(page)).to_have_count(20)
    assert "crop=10.5%2C20%2C60%2C69" in page.url
    expect(page.locator("#box")).to_be_visible()
    assert numbers(page) == ["10.5", "20", "60", "69"]
    whole = cards(page).all_inner_texts()
    page.get_by_role("button", name="Whole image").click()
    page.get_by_role("button", name="Find neighbors").click()
    page.wait_for_url(lambda url: "crop=&" in url)
    assert cards(page).all_inner_texts() != whole


@SERVED
def test_what_the_browser_cannot_show_can_be_sent(look: Look, image: Path, tmp_path: Path) -> None:
    with Image.open(image) as opened:
        opened.save(tmp_path / "scan.tif")
    page = look.go("query")
    page.set_input_files("#file", tmp_path / "scan.tif")
    expect(page.locator("#status")).to_contain_text("cannot show scan.tif, but it can be sent")
    expect(page.locator("#cropper")).to_be_hidden()
    page.fill("#crop-width", "50")
    page.keyboard.press("Enter")
    expect(cards(page)).to_have_count(20)
    expect(page.locator("#cropper img")).to_be_visible()
    assert numbers(page) == ["0", "0", "50", "100"]


@SERVED
def test_a_server_that_has_ended_is_told(look: Look, image: Path) -> None:
    page = choose(look, image)
    page.route("**/0/query*", lambda route: route.abort())
    page.get_by_role("button", name="Find neighbors").click()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer: is it still")
    assert page.get_by_role("button", name="Find neighbors").is_enabled()
    look.problems.clear()


@SERVED
def test_a_phone_and_rules_of_accessibility(look: Look, image: Path) -> None:
    look.page.set_viewport_size(PHONE)
    page = choose(look, image)
    page.get_by_role("button", name="Find neighbors").click()
    expect(cards(page)).to_have_count(20)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    found = Axe().run(page).response["violations"]
    assert [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")] == []
    for name in ("Find neighbors", "Whole image"):
        box = page.get_by_role("button", name=name).bounding_box()
        assert box is not None and box["height"] >= 32


def test_a_row_is_asked_about_or_an_export_says_how(look: Look) -> None:
    page = look.go("query", row=20)
    if look.is_server:
        expect(cards(page).first).to_contain_text("1 · 1.0000")
        expect(page.locator("#cropper img")).to_be_visible()
    else:
        expect(page.locator("main code").first).to_contain_text("python -m src.browse")
        page.get_by_role("button", name="Copy").first.click()
        expect(
            page.get_by_role("button", name="Selected").or_(
                page.get_by_role("button", name="Copied")
            )
        ).to_be_visible()
