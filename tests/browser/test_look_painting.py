"""A painting in Chromium, by server and from files: neighbors, what is chosen of them, and why."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.looked_at import (
    EVIL_SCHOOL,
    GONE_ROW,
    SCHOOLS,
    TALL_ROW,
    WIDE_ROW,
    N,
    artist,
    school,
    title,
)
from tests.support.looking import Look

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def cards(page: Page) -> list[int]:
    """Return the rows of the neighbors that are shown, best first."""
    links = page.locator("#neighbors .card a:visible")
    return [
        int(link.split("row=")[1]) for link in links.evaluate_all("all => all.map(a => a.href)")
    ]


def scores(page: Page) -> list[float]:
    """Return the scores of the neighbors that are shown."""
    texts = page.locator("#neighbors .score:visible").all_text_contents()
    return [float(text) for text in texts]


def test_steps_to_neighbors_and_back(look: Look) -> None:
    page = look.go("painting", row=20)
    expect(page.locator("h1")).to_have_text(title(20))
    assert page.title() == title(20)
    steps = [20]
    for _ in range(2):
        neighbor = page.locator("#neighbors .card a").nth(1)
        steps.append(cards(page)[1])
        neighbor.click()
        page.wait_for_url(re.compile(rf"row={steps[-1]}$"))
        expect(page.locator("h1")).to_have_text(title(steps[-1]))
    trail = page.get_by_role("navigation", name="Your steps").get_by_role("link")
    expect(trail).to_have_count(3)
    page.go_back()
    page.wait_for_url(re.compile(rf"row={steps[1]}$"))
    page.go_forward()
    page.wait_for_url(re.compile(rf"row={steps[2]}$"))
    page.reload()
    expect(page.locator("h1")).to_have_text(title(steps[2]))
    trail.first.click()
    page.wait_for_url(re.compile("row=20$"))
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("navigation", name="Your steps")).to_be_hidden()


def test_both_ways_show_the_same_neighbors(look: Look) -> None:
    page = look.go("painting", 2, row=30)
    assert len(cards(page)) == 10
    listed = page.evaluate("() => load('captions', 0).then(rows => rows.map(row => row[0]))")
    shown = page.locator("#neighbors .card:visible b").all_text_contents()
    assert shown == [listed[row] for row in cards(page)]
    assert all(0 < score <= 1 for score in scores(page))


def test_arrows_and_enter_go_to_a_neighbor(look: Look) -> None:
    page = look.go("painting", row=21)
    second = cards(page)[1]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"row={second}$"))
    page.keyboard.press("/")
    look.arrives("gallery")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_only_other_artists(look: Look) -> None:
    page = look.go("painting", row=22)
    assert artist(22) in {artist(row) for row in cards(page)}
    page.get_by_role("link", name="other artists only").click()
    page.wait_for_url(re.compile("only=other-artist"))
    look.complete()
    expect(page.locator("#neighbors .card:visible")).to_have_count(10)
    assert artist(22) not in {artist(row) for row in cards(page)}
    assert scores(page) == sorted(scores(page), reverse=True)
    page.reload()
    look.complete()
    expect(page.locator("[data-only=other-artist]")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Show all neighbors").click()
    page.wait_for_url(re.compile("row=22$"))
    assert artist(22) in {artist(row) for row in cards(page)}


def test_only_other_objects(look: Look) -> None:
    page = look.go("painting", row=22, only="other-object")
    assert 23 not in cards(page)
    assert {row // 2 for row in cards(page)}.isdisjoint({11})


def test_neighbors_with_a_label(look: Look) -> None:
    page = look.go("painting", row=8)
    page.get_by_text("With a label").click()
    expect(page.get_by_role("combobox", name="school")).to_contain_text(f"{EVIL_SCHOOL} (as here)")
    page.get_by_role("combobox", name="school").select_option("Dutch")
    page.locator("#choose").get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile("f.school="))
    look.complete()
    shown = cards(page)
    assert shown and {school(row) for row in shown} == {"Dutch"}
    assert len(shown) == 10 or not look.is_server  # a copy has only those of its lists
    page.reload()
    look.complete()
    assert cards(page) == shown
    expect(page.get_by_role("combobox", name="school")).to_have_value("Dutch")


def test_fewer_neighbors(look: Look) -> None:
    page = look.go("painting", row=8)
    choices = page.get_by_label("How many").locator("option").all_text_contents()
    assert "10" in choices
    if look.is_server:
        page.get_by_label("How many").select_option("50")
        page.locator("#choose").get_by_role("button", name="Show").click()
        page.wait_for_url(re.compile("k=50"))
        look.complete()
        expect(page.locator("#neighbors .card:visible")).to_have_count(50)
        assert scores(page) == sorted(scores(page), reverse=True)


def test_why_gives_the_cosine_of_each_layer(look: Look) -> None:
    page = look.go("painting", 2, row=31)
    page.get_by_text("Why these?").click()
    lines = page.locator("#why tbody tr:visible")
    expect(lines).to_have_count(10)
    heads = page.locator("#why thead th").all_text_contents()
    assert {"layer1", "layer2"} <= set(heads)
    # the layer's own run says the same
    layer, first = heads.index("layer1"), lines.first.locator("th, td").all_text_contents()
    neighbor = cards(page)[0]
    page = look.go("painting", 0, row=31)
    if neighbor in cards(page):
        score = scores(page)[cards(page).index(neighbor)]
        assert first[layer].startswith(f"{score:.4f}")


def test_another_run_shows_the_same_painting(look: Look) -> None:
    page = look.go("painting", row=33)
    page.get_by_role("navigation", name="Runs").get_by_role("link").nth(2).click()
    look.arrives("painting", 2)
    expect(page.locator("h1")).to_have_text(title(33))
    expect(page.get_by_role("link", name="whiten")).to_have_attribute("aria-current", "true")


def test_labels_lead_to_the_gallery(look: Look) -> None:
    page = look.go("painting", row=8)
    page.get_by_role("link", name=EVIL_SCHOOL, exact=True).click()
    look.arrives("gallery")
    count = sum(school(row) == SCHOOLS[2] for row in range(N))
    expect(page.locator("[data-part=found]")).to_have_text(f"{count} of {N} images")


@pytest.mark.parametrize("row", [WIDE_ROW, TALL_ROW])
def test_very_wide_and_very_tall_pictures_fit(look: Look, row: int) -> None:
    page = look.go("painting", row=row)
    picture = page.locator("figure img")
    page.wait_for_function("() => document.querySelector('figure img').naturalWidth > 0")
    box = picture.bounding_box()
    assert box is not None
    assert box["width"] <= 1400 and box["height"] <= 900
    assert box["width"] > 20 and box["height"] > 10


def test_an_image_that_is_gone_still_has_its_page(look: Look) -> None:
    page = look.go("painting", row=GONE_ROW)
    expect(page.locator("h1")).to_have_text(title(GONE_ROW))
    page.wait_for_function("() => document.querySelector('figure img').naturalWidth > 0")
    assert len(cards(page)) == 10


@pytest.mark.parametrize("row", ["108", "-1", "x", ""])
def test_a_row_that_is_not_there(look: Look, row: str) -> None:
    page = look.page
    page.goto(look.address("painting", row=row))
    expect(page.locator("main")).to_contain_text("ow must be between 0 and 107")
    expect(page.get_by_role("link", name="Gallery", exact=True)).to_be_visible()
    look.problems[:] = [text for text in look.problems if "404" not in text]
