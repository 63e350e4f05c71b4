"""The map in Chromium under a mouse, fingers and keys, by server and from files."""

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.looked_at import EVIL, N
from tests.support.looking import PHONE, Look, drawn, looking
from tests.support.map_looking import CANVAS, corners, drag, lone_row, place, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_nothing_under_the_pointer_shows_nothing(look: Look) -> None:
    page = drawn(look)
    page.mouse.move(*place(page, lone_row(page)))
    expect(page.locator("#hover")).to_be_visible()
    page.mouse.move(*corners(page)[0])
    expect(page.locator("#hover")).to_be_hidden()
    page.mouse.click(*corners(page)[0])
    assert "map.html" in page.url


def test_few_images_in_view_are_thumbnails(look: Look) -> None:
    page = drawn(look)
    row = lone_row(page)
    page.mouse.move(*place(page, row))
    for _ in range(40):
        page.mouse.wheel(0, -100)
        until(page, "nextFrame === 0")
        if page.evaluate("MAP.shown") <= 8:
            break
    until(page, f"MAP.placed.some(({{id}}) => id === {row})")
    boxes = page.evaluate("MAP.placed.map(({image, ...box}) => box)")
    for at, box in enumerate(boxes):
        for other in boxes[:at]:
            apart = box["left"] >= other["right"] or box["right"] <= other["left"]
            assert apart or box["top"] >= other["bottom"] or box["bottom"] <= other["top"]
    until(page, "location.search.endsWith(VIEW.zoom.toPrecision(4))")
    shown = page.evaluate("MAP.shown")
    page.reload()
    page.locator("#map[data-drawn]").wait_for()
    expect(page.locator("#in-view")).to_have_text(f"{shown} of {N} images in view")


def test_keys_move_zoom_and_open(look: Look) -> None:
    page = drawn(look)
    page.locator(CANVAS).focus()
    before = page.evaluate("({...VIEW})")
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    after = page.evaluate("({...VIEW})")
    assert after["zoom"] == pytest.approx(1.5 * before["zoom"])
    assert after["x"] > before["x"]
    assert after["y"] < before["y"]
    expect(page.locator("#hover")).to_be_visible()
    expect(page.locator("#said")).to_contain_text(page.locator("#hover b").text_content() or "?")
    page.keyboard.press("0")
    assert page.evaluate("VIEW.zoom") == 1
    expect(page.locator("#hover")).to_be_visible()
    row = page.evaluate("MAP.hovered")
    page.keyboard.press("Enter")
    look.arrives("painting")
    assert page.url.endswith(f"?row={row}")


def test_dragging_moves_the_map_and_a_drag_opens_nothing(look: Look) -> None:
    page = drawn(look)
    row = lone_row(page)
    x, y = place(page, row)
    drag(page, (x, y), (x + 60, y + 40))
    moved_x, moved_y = place(page, row)
    assert (moved_x - x, moved_y - y) == (pytest.approx(60, abs=1), pytest.approx(40, abs=1))
    assert "map.html" in page.url


def test_what_is_in_view_is_a_list_of_links(look: Look) -> None:
    page = drawn(look)
    page.get_by_text("Images in view as a list").click()
    links = page.locator("#links a")
    expect(links).to_have_count(N)
    expect(page.get_by_role("link", name=EVIL)).to_be_visible()
    nearest = page.evaluate("nearestPoint(MAP.points, VIEW.x, VIEW.y, STEPS, isShown)")
    expect(links.first).to_have_attribute("href", f"painting.html?row={nearest}")
    page.get_by_role("button", name="Zoom in").click()
    expect(links).not_to_have_count(N)
    links.first.press("Enter")
    look.arrives("painting")


def test_two_fingers_zoom_and_what_is_between_them_stays(
    chromium: "Browser", base: str, kind: str
) -> None:
    with looking(chromium, base, kind, viewport=PHONE, has_touch=True, is_mobile=True) as look:
        page = drawn(look)
        page.locator(CANVAS).scroll_into_view_if_needed()
        row = lone_row(page)
        x, y = place(page, row)
        fingers = page.context.new_cdp_session(page)

        def touch(kind: str, *apart: int) -> None:
            """Put fingers at these distances from the image."""
            points = [{"x": x + at, "y": y, "id": number} for number, at in enumerate(apart)]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", -10)
        touch("touchStart", -10, 10)
        for at in (20, 30, 40):
            touch("touchMove", -at, at)
        touch("touchEnd")
        until(page, "nextFrame === 0")
        assert page.evaluate("VIEW.zoom") == pytest.approx(4, rel=0.05)
        assert place(page, row) == (pytest.approx(x, abs=2), pytest.approx(y, abs=2))
        assert "map.html" in page.url


@pytest.mark.parametrize(
    ("steps", "places"),
    [
        ([32768, 32768] * 3, [(0.5, 0.5)] * 3),
        ([0, 32768, 65535, 32768], [(0.03, 0.5), (0.97, 0.5)]),
    ],
    ids=["three equal ones", "two"],
)
def test_few_points_fill_the_map(
    look: Look, steps: list[int], places: list[tuple[float, float]]
) -> None:
    page = drawn(look)
    shares = page.evaluate(
        """steps => {
          const bytes = new Uint8Array(new Uint16Array(steps).buffer)
          MAP.points = makePoints({positions: btoa(String.fromCharCode(...bytes))})
          MAP.places = null
          showAll()
          keepInside()
          draw()
          const places = [...Array(MAP.points.n).keys()].map(screenPlace)
          return places.map(([x, y]) => [x / VIEW.width, y / VIEW.height])
        }""",
        steps,
    )
    assert shares == [pytest.approx(place, abs=0.02) for place in places]
