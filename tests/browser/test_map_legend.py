"""Colors, legend and size of the map in Chromium, by server and from files."""

import pytest
from playwright.sync_api import expect

from tests.support.looked_at import ARTISTS, N, artist
from tests.support.looking import Look, drawn
from tests.support.map_looking import corners, drag, lone_row, place, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]


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
    page.locator("#map[data-drawn]").wait_for()
    expect(page.locator("#in-view")).to_have_text(f"{count} of {N} images in view")
    expect(page.locator("#values :checked")).to_have_count(1)
    page.get_by_role("button", name="Show all values").click()
    expect(page.locator("#in-view")).to_have_text(f"{N} of {N} images in view")
    page.wait_for_url(lambda url: "only=" not in url)


def test_images_in_view_are_counted_though_no_frame_is_drawn(look: Look) -> None:
    page = drawn(look, color="artist")
    page.evaluate("window.requestAnimationFrame = () => 1")  # as on a busy computer
    count = sum(artist(row) == ARTISTS[1] for row in range(N))
    page.get_by_role("checkbox", name=ARTISTS[1]).uncheck()
    expect(page.locator("#in-view")).to_have_text(f"{N - count} of {N} images in view")


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
    page.locator("#map[data-drawn]").wait_for()
    expect(page.locator("#legend")).to_be_hidden()


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


def test_images_in_view_are_counted_anew_in_another_window(look: Look) -> None:
    page = drawn(look, zoom=2)
    before = page.locator("#in-view").inner_text()
    page.set_viewport_size({"width": 390, "height": 800})
    expect(page.locator("#in-view")).not_to_have_text(before)
    expect(page.locator("#in-view")).to_have_text(
        f"{page.evaluate('MAP.shown')} of {N} images in view"
    )


def test_a_damaged_address_opens_the_whole_map(look: Look) -> None:
    page = drawn(look, x="nan", y="1e999", zoom="-3", box="1,2", lasso="a,b", only="x", color="?")
    expect(page.locator("#selection")).to_be_hidden()
    expect(page.locator("#in-view")).to_contain_text(f"of {N} images in view")
