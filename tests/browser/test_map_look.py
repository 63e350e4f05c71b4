"""The map in Chromium, by server and from files: pointer, keys, legend, selection, address."""

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.looked_at import ARTISTS, EVIL, EVIL_FILE, EVIL_FILE_ROW, EVIL_ROW, N, artist
from tests.support.looking import Look

pytestmark = pytest.mark.browser
CANVAS = "#map-canvas"


def drawn(look: Look, **parameters: object) -> Page:
    """Open the map and wait until it is drawn."""
    page = look.go("map", **parameters)
    return wait(page)


def wait(page: Page) -> Page:
    """Wait until the map is drawn and its address is written."""
    page.locator("#map[data-drawn]").wait_for()
    return page


def place(page: Page, row: int) -> tuple[float, float]:
    """Return where an image lies in the window."""
    box = page.locator(CANVAS).bounding_box()
    assert box is not None
    x, y = page.evaluate("row => screenPlace(row)", row)
    return box["x"] + x, box["y"] + y


def apart(page: Page, row: int, other: tuple[float, float]) -> tuple[float, float]:
    """Return how far right and down of a place an image lies, in pixels."""
    x, y = place(page, row)
    return x - other[0], y - other[1]


def selected(page: Page) -> list[int]:
    """Return the images whose cards are shown."""
    return [
        int(card.get_attribute("data-row") or -1) for card in page.locator("#cards .card").all()
    ]


def until(page: Page, condition: str) -> None:
    """Wait until an expression of the page is true; wait_for_function needs eval."""
    page.evaluate(f"""() => new Promise(resolve => {{
      const look = () => {condition} ? resolve() : requestAnimationFrame(look)
      look()
    }})""")


def lone_row(page: Page) -> int:
    """Return the image that is farthest from all others."""
    return int(
        page.evaluate("""() => {
          const places = [...Array(MAP.points.n).keys()].map(screenPlace)
          const space = ([x, y], row) => Math.min(...places.map(([a, b], other) =>
            row === other ? Infinity : Math.hypot(x - a, y - b)))
          const spaces = places.map(space)
          return spaces.indexOf(Math.max(...spaces))
        }""")
    )


def drag(page: Page, *places: tuple[float, float]) -> None:
    """Press the button of the mouse at the first place, and let it go at the last."""
    page.mouse.move(*places[0])
    page.mouse.down()
    for at in places[1:]:
        page.mouse.move(*at, steps=4)
    page.mouse.up()


def corners(page: Page) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return two corners of the canvas, a little inside."""
    box = page.locator(CANVAS).bounding_box()
    assert box is not None
    right, bottom = box["x"] + box["width"] - 4, box["y"] + box["height"] - 4
    return (box["x"] + 4, box["y"] + 4), (right, bottom)


def test_a_point_shows_its_image_and_opens_it(look: Look) -> None:
    page = drawn(look)
    row = lone_row(page)
    page.mouse.move(*place(page, row))
    expect(page.locator("#hover")).to_be_visible()
    title = page.locator("#hover b").text_content() or ""
    expect(page.locator("#hover img")).to_have_attribute("src", re.compile(rf"/{row}\.jpg$"))
    page.mouse.click(*place(page, row))
    look.arrives("painting")
    assert page.url.endswith(f"?row={row}")
    expect(page.locator("h1")).to_have_text(title)
    page.go_back()
    wait(page)


def test_nothing_under_the_pointer_shows_nothing(look: Look) -> None:
    page = drawn(look)
    page.mouse.move(*place(page, lone_row(page)))
    expect(page.locator("#hover")).to_be_visible()
    page.mouse.move(*corners(page)[0])
    expect(page.locator("#hover")).to_be_hidden()
    page.mouse.click(*corners(page)[0])
    assert "map.html" in page.url


def test_shift_and_drag_selects_a_box(look: Look) -> None:
    page = drawn(look)
    page.keyboard.down("Shift")
    drag(page, *corners(page))
    page.keyboard.up("Shift")
    expect(page.locator("#selected")).to_have_text(
        f"{N} images selected; the first 100 are shown, and the CSV file has all"
    )
    expect(page.locator("#cards .card")).to_have_count(100)
    expect(page.locator("#cards .card b").nth(EVIL_ROW)).to_have_text(EVIL)
    page.locator(CANVAS).focus()
    page.keyboard.press("Escape")
    expect(page.locator("#selection")).to_be_hidden()


def test_a_lasso_selects_what_lies_in_it_and_the_address_reopens_it(look: Look) -> None:
    page = drawn(look)
    page.get_by_role("button", name="Lasso").click()
    row = lone_row(page)
    x, y = place(page, row)
    drag(page, (x - 14, y - 14), (x + 14, y - 14), (x + 14, y + 14), (x - 14, y + 14))
    inside = [other for other in range(N) if max(map(abs, apart(page, other, (x, y)))) < 14]
    assert row in inside
    assert selected(page) == inside
    page.wait_for_url(lambda url: "lasso=" in url)
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    wait(page)
    assert selected(page) == inside
    page.locator(f"#cards [data-row='{row}'] a").click()
    look.arrives("painting")
    assert page.url.endswith(f"?row={row}")


def test_the_selection_is_a_file_for_spreadsheets(look: Look) -> None:
    page = drawn(look, box="-1,-1,65536,65536")
    expect(page.locator("#cards .card")).to_have_count(100)
    with page.expect_download() as found:
        page.get_by_role("button", name="Download as CSV").click()
    text = Path(found.value.path()).read_bytes().decode()
    assert text.count("\r\n") == N + 1
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(rows[0]) == ["row", "file", "title", "artist", "date"]
    assert [row["row"] for row in rows] == [str(row) for row in range(N)]
    assert rows[EVIL_ROW]["title"] == EVIL
    assert rows[EVIL_FILE_ROW]["file"] == EVIL_FILE
    assert [row["artist"] for row in rows] == [artist(row) for row in range(N)]


def test_cells_are_escaped_as_the_program_does(look: Look) -> None:
    from src.io.csv_cells import escape_cell

    page = drawn(look)
    texts = [
        "=1+1",
        "+1",
        "-1e3",
        "-a",
        "@x",
        "\tx",
        "\rx",
        "'=1",
        " =1",
        "＝1",
        "\x85=1",
        "a=1",
        "1.5",
    ]
    cells = page.evaluate("texts => csvText([texts])", [*texts, 'say "a, b"', "two\nlines"])
    line = next(csv.reader(io.StringIO(cells, newline="")))
    assert line == [*map(escape_cell, texts), 'say "a, b"', "two\nlines"]


def test_the_legend_filters_and_the_address_keeps_it(look: Look) -> None:
    page = drawn(look, color="artist")
    values = page.locator("#values li")
    expect(values).to_have_count(len(ARTISTS) + 1)
    count = sum(artist(row) == ARTISTS[1] for row in range(N))
    page.get_by_role("checkbox", name=ARTISTS[1]).uncheck()
    expect(page.locator("#in-view")).to_have_text(f"{N - count} of {N} images in view")
    page.wait_for_url(lambda url: "hide=" in url)
    expect(page.get_by_role("checkbox", name=ARTISTS[1])).to_be_focused()
    page.get_by_role("button", name=f"Only {ARTISTS[1]}").click()
    expect(page.locator("#in-view")).to_have_text(f"{count} of {N} images in view")
    page.wait_for_url(lambda url: "only=" in url)
    page.reload()
    wait(page)
    expect(page.locator("#in-view")).to_have_text(f"{count} of {N} images in view")
    expect(page.locator("#values :checked")).to_have_count(1)
    page.get_by_role("button", name="Show all values").click()
    expect(page.locator("#in-view")).to_have_text(f"{N} of {N} images in view")
    page.wait_for_url(lambda url: "only=" not in url)


def test_hidden_images_are_neither_found_nor_selected(look: Look) -> None:
    page = drawn(look, color="artist")
    row = lone_row(page)
    name = artist(row) or "no value"
    page.get_by_role("checkbox", name=name).uncheck()
    page.mouse.move(*place(page, row))
    page.mouse.click(*place(page, row))
    assert "map.html" in page.url
    page.keyboard.down("Shift")
    drag(page, *corners(page))
    shown = sum(artist(other) != artist(row) for other in range(N))
    expect(page.locator("#selected")).to_contain_text(f"{shown} images selected")


def test_another_label_colors(look: Look) -> None:
    page = drawn(look)
    page.get_by_label("Color").select_option("style")
    expect(page.locator("#values")).to_contain_text("Ukiyo-e")
    page.wait_for_url(lambda url: "color=style" in url)
    page.get_by_label("Color").select_option("")
    expect(page.locator("#legend")).to_be_hidden()
    page.wait_for_url(lambda url: url.endswith("color="))
    page.reload()
    wait(page)
    expect(page.locator("#legend")).to_be_hidden()


def test_few_images_in_view_are_thumbnails(look: Look) -> None:
    page = drawn(look)
    row = lone_row(page)
    page.mouse.move(*place(page, row))
    for _ in range(40):
        page.mouse.wheel(0, -100)
        until(page, "!isAsked")
        if page.evaluate("MAP.shown") <= 8:
            break
    until(page, f"MAP.placed.some(({{id}}) => id === {row})")
    boxes = page.evaluate("MAP.placed")
    for at, box in enumerate(boxes):
        for other in boxes[:at]:
            apart = box["left"] >= other["right"] or box["right"] <= other["left"]
            assert apart or box["top"] >= other["bottom"] or box["bottom"] <= other["top"]
    until(page, "location.search.endsWith(VIEW.zoom.toPrecision(4))")
    shown = page.evaluate("MAP.shown")
    page.reload()
    wait(page)
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


def test_dragging_moves_the_map_and_a_drag_opens_nothing(look: Look) -> None:
    page = drawn(look)
    row = lone_row(page)
    x, y = place(page, row)
    drag(page, (x, y), (x + 60, y + 40))
    moved_x, moved_y = place(page, row)
    assert (moved_x - x, moved_y - y) == (pytest.approx(60, abs=1), pytest.approx(40, abs=1))
    assert "map.html" in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colors_are_those_of_the_scheme(look: Look, scheme: str) -> None:
    look.page.emulate_media(color_scheme="light" if scheme == "dark" else "dark")
    page = drawn(look)
    before = page.evaluate("MAP.colors.join()")
    page.emulate_media(color_scheme=scheme)
    until(page, f"MAP.colors.join() !== '{before}'")
    legend = page.locator("#values i").first.evaluate(
        "dot => getComputedStyle(dot).backgroundColor"
    )
    assert page.evaluate("cssColor(MAP.colors[0])").replace(" ", ", ") == legend


def test_another_size_is_drawn_anew(look: Look) -> None:
    page = drawn(look)
    page.set_viewport_size({"width": 390, "height": 800})
    until(page, "VIEW.width < 390 && CANVAS.width < 390")
    expect(page.locator("#in-view")).to_have_text(f"{N} of {N} images in view")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_damaged_address_opens_the_whole_map(look: Look) -> None:
    page = drawn(look, x="nan", y="1e999", zoom="-3", box="1,2", lasso="a,b", only="x", color="?")
    expect(page.locator("#selection")).to_be_hidden()
    expect(page.locator("#in-view")).to_contain_text(f"of {N} images in view")
