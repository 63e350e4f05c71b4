"""What others wrote is text in Chromium too: markup in titles, labels and names of files."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.looked_at import (
    ARABIC,
    ARABIC_ROW,
    CYRILLIC,
    CYRILLIC_ROW,
    EVIL,
    EVIL_FILE,
    EVIL_FILE_ROW,
    EVIL_ROW,
    EVIL_SCHOOL,
    JAPANESE,
    JAPANESE_ROW,
    LONG_ROW,
    artist,
    title,
)
from tests.support.looking import Look, drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# What the texts would have made of the page
FOREIGN = "img[src=x], [onclick], [onerror], script:not([src]), main b b"
PLACES = [
    ("gallery", {}, EVIL),
    ("gallery", {"q": EVIL}, EVIL),
    ("gallery", {"f.school": EVIL_SCHOOL}, EVIL_SCHOOL),
    ("painting", {"row": EVIL_ROW}, EVIL),
    ("painting", {"row": EVIL_FILE_ROW}, EVIL_FILE),
    ("painting", {"row": 8, "f.school": EVIL_SCHOOL}, EVIL_SCHOOL),
    ("compare", {"row": EVIL_ROW}, EVIL),
    ("duplicates", {"from": "-1"}, EVIL),
]


def assert_text(page: Page, text: str) -> None:
    """Fail unless the page shows a text, and has nothing that it would make."""
    page.wait_for_function("text => document.body.textContent.includes(text)", arg=text)
    expect(page.locator(FOREIGN)).to_have_count(0)


@pytest.mark.parametrize(("name", "parameters", "text"), PLACES)
def test_markup_is_shown_as_it_is(
    look: Look, name: str, parameters: dict[str, str], text: str
) -> None:
    page = look.go(name, **parameters)
    assert_text(page, text)
    assert text in page.locator("body").evaluate("body => body.textContent")


def test_markup_in_the_title_of_the_window_and_in_the_trail(look: Look) -> None:
    page = look.go("painting", row=EVIL_ROW)
    assert page.title() == EVIL
    look.go("painting", row=EVIL_ROW + 1)
    picture = page.get_by_role("navigation", name="Your steps").get_by_role("img").first
    expect(picture).to_have_attribute("alt", EVIL)
    expect(page.locator(FOREIGN)).to_have_count(0)


def test_markup_on_the_map(look: Look) -> None:
    page = drawn(look, color="school")
    page.get_by_text("Images in view as a list").click()
    assert_text(page, EVIL)
    assert EVIL_SCHOOL in page.locator("#values [data-part=name]").all_text_contents()
    page.evaluate("row => hover(row)", EVIL_ROW)
    expect(page.locator("#hover b")).to_have_text(EVIL)
    expect(page.locator(FOREIGN)).to_have_count(0)


@pytest.mark.parametrize(
    "name", ["gallery", "duplicates", "map", "skipped", "hubs", "disagreements"]
)
def test_markup_in_an_address(look: Look, name: str) -> None:
    fields = ("q", "sort", "page", "f.school", "f.<evil>", "reason", "from", "list", "color")
    page = look.go(name, **dict.fromkeys(fields, EVIL))
    expect(page.locator(FOREIGN)).to_have_count(0)


@pytest.mark.parametrize(
    ("row", "text"), [(JAPANESE_ROW, JAPANESE), (ARABIC_ROW, ARABIC), (CYRILLIC_ROW, CYRILLIC)]
)
def test_titles_in_other_scripts(look: Look, row: int, text: str) -> None:
    page = look.go("painting", row=row)
    expect(page.locator("h1")).to_have_text(text)
    assert page.title() == text


@pytest.mark.parametrize("name", ["painting", "gallery"])
def test_a_date_stands_behind_a_name_from_right_to_left(look: Look, name: str) -> None:
    assert artist(22) == "محمود سعيد"
    page = look.go(name, row=22) if name == "painting" else look.go(name, q="محمود")
    line = page.locator("main p, main .card a > span").filter(has_text=re.compile("سعيد, [0-9]"))
    line = line.first
    edges = line.evaluate("""line => {
      const range = document.createRange()
      range.selectNodeContents(line.lastChild)
      const name = line.querySelector("bdi").getBoundingClientRect()
      return [name.right, range.getBoundingClientRect().left]
    }""")
    assert edges[0] <= edges[1] + 1


def test_a_very_long_title_is_whole_on_its_page_and_cut_on_cards(look: Look) -> None:
    page = look.go("painting", row=LONG_ROW)
    expect(page.locator("h1")).to_have_text(title(LONG_ROW))
    page = look.go("gallery")
    box = page.locator(f".card[data-row='{LONG_ROW}']").bounding_box()
    assert box is not None
    assert box["height"] < 300
