"""Query in Chromium: an image by file, paste and drop, a part of it, and what is no image."""

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browsed import Browsed
from tests.support.looked_at import EVIL, LookedAt, N, file_name, picture
from tests.support.looking import Look, looking

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# A file of these bytes, pasted or dropped
GIVE = """([kind, name, text]) => {
  const bytes = Uint8Array.from(atob(text), sign => sign.charCodeAt(0)), data = new DataTransfer()
  data.items.add(new File([bytes], name, {type: "image/png"}))
  const options = {bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data}
  const Event = kind === "paste" ? ClipboardEvent : DragEvent
  document.getElementById("drop").dispatchEvent(new Event(kind, options))
}"""
served_only = pytest.mark.parametrize("kind", ["server"])


def choose(page: Page, path: Path, how: str) -> None:
    """Give the page a file."""
    if how == "file":
        page.locator("#file").set_input_files(path)
    else:
        page.evaluate(GIVE, [how, path.name, base64.b64encode(path.read_bytes()).decode()])


def find(page: Page) -> None:
    """Send what is chosen, and wait for the neighbors."""
    page.get_by_role("button", name="Find neighbors").click()
    page.wait_for_url(re.compile("image="))
    expect(page.locator(".answers .card").first).to_be_visible()


@served_only
@pytest.mark.parametrize("how", ["file", "paste", "drop"])
def test_an_image_of_the_gallery_finds_itself(look: Look, looked: LookedAt, how: str) -> None:
    page = look.go("query")
    images = looked.runs[0].parents[4] / "images"
    choose(page, images / file_name(21), how)
    expect(page.locator("#preview")).to_be_visible()
    find(page)
    first = page.locator(".answers .card").first
    assert first.get_attribute("data-row") == "21"
    expect(first).to_contain_text("1.0000")
    address = page.url
    page.reload()
    expect(page.locator(".answers .card")).to_have_count(20)
    first.get_by_role("link").click()
    look.arrives("painting")
    page.go_back()
    expect(page).to_have_url(address)
    expect(page.locator(".answers .card")).to_have_count(20)


@served_only
def test_a_part_by_mouse_and_by_keys(look: Look, tmp_path: Path) -> None:
    page = look.go("query")
    choose(page, picture(tmp_path / "a.png", 1), "file")
    box = page.locator("#cropper").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.8 * box["height"], steps=4)
    page.mouse.up()
    left = page.get_by_role("spinbutton", name="Left")
    before = float(left.input_value())
    assert before == pytest.approx(40, abs=2)
    page.locator("#box").press("ArrowRight")
    assert float(left.input_value()) == pytest.approx(before + 1, abs=0.02)
    page.get_by_role("spinbutton", name="Width").fill("30")
    find(page)
    assert re.search(r"crop=[\d.]+%2C[\d.]+%2C30%2C", page.url)
    expect(page.get_by_role("spinbutton", name="Width")).to_have_value("30")


@served_only
def test_a_detail_of_an_image_with_a_label(look: Look) -> None:
    page = look.go("query", row=4, crop="10,10,50,50")
    expect(page.locator(".answers .card")).to_have_count(20)
    expect(page.get_by_role("link", name=EVIL).first).to_be_visible()
    page.get_by_label("Only with").fill("style: Rococo")
    page.get_by_role("button", name="Find neighbors").click()
    page.wait_for_url(re.compile("only="))
    expect(page.get_by_role("heading", level=2)).to_contain_text("style: Rococo")


@served_only
def test_what_is_no_image_is_a_sentence(look: Look, tmp_path: Path) -> None:
    page = look.go("query")
    (tmp_path / EVIL[:8].replace("/", "")).write_text("no image")
    choose(page, tmp_path / EVIL[:8].replace("/", ""), "file")
    page.get_by_role("button", name="Find neighbors").click()
    expect(page.get_by_role("alert")).to_contain_text("This is no image that can be read")
    look.problems[:] = [text for text in look.problems if "422" not in text]
    choose(page, picture(tmp_path / "a.png", 2), "file")
    find(page)
    expect(page.get_by_role("alert")).to_be_hidden()


@served_only
def test_what_is_too_large_is_not_sent(look: Look, tmp_path: Path) -> None:
    page = look.go("query")
    (tmp_path / "large.png").write_bytes(bytes(31_000_000))
    page.locator("#file").set_input_files(tmp_path / "large.png")
    expect(page.get_by_role("alert")).to_contain_text("has 31.0 MB, more than 30.0 MB")
    (tmp_path / "empty.png").write_bytes(b"")
    page.locator("#file").set_input_files(tmp_path / "empty.png")
    expect(page.get_by_role("alert")).to_contain_text("empty.png is empty")


@pytest.mark.parametrize("kind", ["files"])
def test_in_files_the_page_says_how_to_run_it(look: Look) -> None:
    page = look.go("query")
    expect(page.locator("code").first).to_contain_text("python -m src.browse")
    expect(page.locator("code").nth(1)).to_contain_text("python -m src.query painting.jpg --run")
    assert page.get_by_role("button", name="Copy").count() == 2


@pytest.mark.parametrize("kind", ["server"])
def test_two_people_at_once(
    chromium: Browser, served: Browsed, looked: LookedAt, base: str, kind: str
) -> None:
    images = looked.runs[0].parents[4] / "images"
    with looking(chromium, base, kind) as one, looking(chromium, base, kind) as other:
        for look, row in ((one, 30), (other, 40)):
            choose(look.go("query", 2), images / file_name(row), "file")
        for look in (one, other):
            look.page.get_by_role("button", name="Find neighbors").click()
        for look, row in ((one, 30), (other, 40)):
            first = look.page.locator(".answers .card").first
            expect(first).to_contain_text("1.0000")
            assert first.get_attribute("data-row") == str(row)
    assert N > 40
