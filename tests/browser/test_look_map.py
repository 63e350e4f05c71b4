"""The map in Chromium, by server and from files: points, selections, legend, and its list."""

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.looked_at import ARTISTS, N, artist, file_name
from tests.support.looking import PHONE, Look, drawn, looking
from tests.support.map_looking import drag

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# The place on the screen of the point of an image, relative to the canvas
PLACE = """row => {
  const {x, y, ids, row: rowOf} = MAP.points, at = ids.findIndex(id => rowOf(id) === row)
  return toScreen(x[at], y[at])
}"""
NEARER = "([x, y]) => { zoomAt(40, x, y); moved() }"


def corners(page: Page) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of the canvas on the screen."""
    box = page.locator("#map-canvas").bounding_box()
    assert box is not None
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]


def select_all(page: Page) -> None:
    """Draw a box around all points."""
    page.get_by_role("button", name="Box").click()
    left, top, right, bottom = corners(page)
    drag(page, (left + 2, top + 2), (right - 2, bottom - 2))


def test_all_images_are_points_and_in_the_list(look: Look) -> None:
    page = drawn(look)
    expect(page.locator("#in-view")).to_have_text(f"{N} of {N} images in view")
    page.get_by_text("Images in view as a list").click()
    links = page.locator("#links a")
    expect(links).to_have_count(N)
    links.first.focus()
    page.keyboard.press("Enter")
    look.arrives("painting")


def test_the_pointer_shows_what_a_click_opens(look: Look) -> None:
    page = drawn(look, x=30000, y=30000)
    row = 20
    page.evaluate(NEARER, page.evaluate(PLACE, row))  # so that no other point is as near
    left, top, _, _ = corners(page)
    x, y = page.evaluate(PLACE, row)
    page.mouse.move(left + x, top + y)
    expect(page.locator("#hover")).to_be_visible()
    shown = page.locator("#hover b").text_content()
    opened = page.evaluate("() => MAP.points.row(MAP.hovered)")
    page.mouse.click(left + x, top + y)
    look.arrives("painting")
    assert page.url.endswith(f"row={opened}")
    expect(page.locator("h1")).to_have_text(shown or "-")


def test_a_box_selects_and_gives_a_table(look: Look, tmp_path: Path) -> None:
    page = drawn(look)
    select_all(page)
    expect(page.locator("#selected")).to_contain_text(f"{N} images selected")
    expect(page.locator("#cards .card")).to_have_count(100)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    download.value.save_as(tmp_path / "a.csv")
    table = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text(), newline="")))
    assert [row["file"] for row in table] == [file_name(row) for row in range(N)]
    assert [row["artist"] for row in table] == [artist(row) for row in range(N)]
    page.get_by_role("button", name="Clear the selection").click()
    expect(page.locator("#selection")).to_be_hidden()


def test_a_lasso_is_kept_in_the_address(look: Look) -> None:
    page = drawn(look)
    page.get_by_role("button", name="Lasso").click()
    left, top, right, bottom = corners(page)
    middle = (left + right) / 2
    drag(page, (left + 2, top + 2), (middle, top + 2), (middle, bottom - 2), (left + 2, bottom - 2))
    expect(page.locator("#selection")).to_be_visible()
    text = page.locator("#selected").text_content() or ""
    assert 0 < int(text.split()[0]) < N
    expect(page).to_have_url(re.compile("lasso="))
    page.reload()
    look.complete()
    expect(page.locator("#selected")).to_have_text(text)
    card = page.locator("#cards .card").first
    row = card.get_attribute("data-row")
    card.get_by_role("link").click()
    look.arrives("painting")
    assert page.url.endswith(f"row={row}")
    page.go_back()
    expect(page.locator("#selected")).to_have_text(text)


def test_the_legend_filters(look: Look) -> None:
    page = drawn(look, color="artist")
    page.get_by_label("Color").select_option("artist")
    mine = sum(artist(row) == ARTISTS[0] for row in range(N))
    page.get_by_role("button", name=f"Only {ARTISTS[0]}").click()
    expect(page.locator("#in-view")).to_have_text(f"{mine} of {N} images in view")
    page.reload()
    look.complete()
    expect(page.locator("#in-view")).to_have_text(f"{mine} of {N} images in view")
    page.get_by_role("button", name="Show all values").click()
    page.get_by_role("checkbox", name=re.compile(ARTISTS[0])).uncheck()
    expect(page.locator("#in-view")).to_have_text(f"{N - mine} of {N} images in view")


def test_keys_move_zoom_and_open(look: Look) -> None:
    page = drawn(look)
    page.locator("#map-canvas").focus()
    for key in ("+", "+", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    expect(page.locator("#hover")).to_be_visible()
    expect(page.locator("#in-view")).not_to_have_text(f"{N} of {N} images in view")
    expect(page).to_have_url(re.compile("zoom="))
    page.keyboard.press("0")
    expect(page.locator("#in-view")).to_have_text(f"{N} of {N} images in view")
    page.keyboard.press("Enter")
    look.arrives("painting")


def test_the_wheel_zooms_and_dragging_moves(look: Look) -> None:
    page = drawn(look)
    left, top, right, bottom = corners(page)
    middle = (left + right) / 2, (top + bottom) / 2
    page.mouse.move(*middle)
    page.mouse.wheel(0, -600)
    page.wait_for_function("() => VIEW.zoom > 2")
    before = page.evaluate("() => VIEW.x")
    drag(page, middle, (middle[0] + 100, middle[1]))
    assert page.evaluate("() => VIEW.x") < before
    page.get_by_role("button", name="All", exact=True).click()
    assert page.evaluate("() => VIEW.zoom") == 1


def test_other_runs_and_layouts(look: Look) -> None:
    page = drawn(look, color="style")
    page.get_by_label("Runs").get_by_role("link").nth(1).click()
    look.arrives("map", 1)
    page.locator("#map[data-drawn]").wait_for(state="attached")
    expect(page.get_by_label("Color")).to_have_value("style")


def test_a_finger_opens(chromium: Browser, base: str, kind: str) -> None:
    with looking(chromium, base, kind, viewport=PHONE, has_touch=True, is_mobile=True) as look:
        page = drawn(look)
        row = 20
        page.evaluate(NEARER, page.evaluate(PLACE, row))
        left, top, _, _ = corners(page)
        x, y = page.evaluate(PLACE, row)
        page.touchscreen.tap(left + x, top + y)
        look.arrives("painting")
        assert page.url.endswith(f"row={row}")
