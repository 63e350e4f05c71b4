"""The gallery in Chromium, by server and from files: search, labels, order, pages, and back."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.support.looked_at import ARTISTS, CYRILLIC, JAPANESE, N, artist
from tests.support.looking import Look

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FRENCH = sum(artist(row) == ARTISTS[0] for row in range(N))


def search(look: Look, text: str) -> None:
    """Type a search and press Enter."""
    look.page.get_by_role("searchbox").fill(text)
    look.page.keyboard.press("Enter")


def found(look: Look) -> Locator:
    """Return the line that says how many images are found."""
    return look.page.locator("[data-part=found]")


def titles(look: Look) -> list[str]:
    """Return the titles of the images that are shown."""
    return look.page.locator(".results .card b").all_text_contents()


def test_the_first_page_leads_to_the_gallery(look: Look) -> None:
    look.page.goto(look.base if look.is_server else f"{look.base}index.html")
    page = look.arrives("gallery")
    assert page.title() == "Gallery"
    expect(page.locator(".results .card")).to_have_count(100)
    expect(found(look)).to_have_text(f"{N} images")


@pytest.mark.parametrize(
    ("text", "word"), [("chatau", "chateau"), ("elise", None), ("ÉLISE MULLER", None)]
)
def test_a_search_forgives_typos_and_accents(look: Look, text: str, word: str | None) -> None:
    look.go("gallery")
    search(look, text)
    expect(look.page.locator(".chips")).to_be_visible()
    expect(look.page.locator(".correction")).to_have_count(1 if word else 0)
    if word:
        expect(look.page.locator(".correction")).to_contain_text(word)
        assert all("Château" in title for title in titles(look))
        expect(found(look)).to_have_text(re.compile(rf"^2\d of {N} images$"))
    else:
        expect(found(look)).to_have_text(f"{FRENCH} of {N} images")


@pytest.mark.parametrize("text", [JAPANESE, CYRILLIC.split()[0].upper()])
def test_a_search_in_other_scripts(look: Look, text: str) -> None:
    look.go("gallery")
    search(look, text)
    expect(found(look)).to_have_text(f"1 of {N} images")
    assert titles(look)[0].casefold().startswith(text.casefold()[:4])


def test_nothing_found_offers_ways_out(look: Look) -> None:
    look.go("gallery", q="lemons", **{"f.artist": ARTISTS[0]})
    expect(found(look)).to_have_text(f"None of {N} images")
    look.page.get_by_role("link", name="Without artist").click()
    expect(look.page.locator(".empty")).to_be_hidden()
    assert all("lemons" in title for title in titles(look))


def test_labels_filter_and_let_go(look: Look) -> None:
    page = look.go("gallery")
    artists = page.locator("[data-column=artist]")
    artists.get_by_role("link", name=ARTISTS[1]).click()
    expect(page.locator(".chips li")).to_have_count(1)
    count = int(artists.locator("[aria-current] .count").text_content() or "")
    assert count == sum(artist(row) == ARTISTS[1] for row in range(N))
    expect(page.locator(".results .card")).to_have_count(count)
    assert "f.artist=" in page.url
    page.reload()
    look.complete()
    expect(page.locator(".results .card")).to_have_count(count)
    page.locator(".chips a").click()
    expect(found(look)).to_have_text(f"{N} images")


def test_the_menu_sorts(look: Look) -> None:
    page = look.go("gallery", q="harbor")
    page.get_by_label("Sort by").select_option(label="Title")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("sort="))
    expect(page.locator(".results .card b").first).to_contain_text("Harbor")
    shown = titles(look)
    assert shown == sorted(shown, key=lambda text: (text.split()[:3], int(text.split()[-1])))


def test_pages_turn_and_back_returns(look: Look) -> None:
    page = look.go("gallery")
    page.get_by_role("link", name="Next", exact=True).click()
    expect(page.locator(".results .card")).to_have_count(N - 100)
    page.go_back()
    expect(page.locator(".results .card")).to_have_count(100)
    page.go_forward()
    expect(page.locator(".results .card")).to_have_count(N - 100)
    page.get_by_label("Page", exact=True).fill("1")
    page.keyboard.press("Enter")
    expect(page.locator(".results .card")).to_have_count(100)


def test_back_from_a_painting_finds_search_and_scroll_kept(look: Look) -> None:
    page = look.go("gallery", q="still")
    card = page.locator(".results .card").last
    card.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 0
    card.get_by_role("link").click()
    look.arrives("painting")
    page.go_back()
    look.arrives("gallery")
    expect(page.get_by_role("searchbox")).to_have_value("still")
    page.wait_for_function("before => Math.abs(scrollY - before) < 100", arg=before)
    page.go_forward()
    assert look.arrives("painting").locator("h1").count() == 1


def test_keys_search_move_and_open(look: Look) -> None:
    page = look.go("gallery")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("crucifixion")
    page.keyboard.press("Enter")
    expect(page.locator(".chips")).to_be_visible()
    page.get_by_role("searchbox").blur()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    card = page.locator(".results .card").nth(1)
    expect(card.get_by_role("link")).to_be_focused()
    row = card.get_attribute("data-row")
    page.keyboard.press("Enter")
    look.arrives("painting")
    assert page.url.endswith(f"row={row}")


def test_the_keys_are_told_and_r_goes_anywhere(look: Look) -> None:
    page = look.go("gallery")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("r")
    look.arrives("painting")
    page.get_by_role("link", name="Random").click()
    look.arrives("painting")
    row = int(page.url.split("row=")[1].split("&")[0])
    assert 0 <= row < N


def test_another_run_keeps_search_filters_and_order(look: Look) -> None:
    page = look.go("gallery", q="still", sort="title", **{"f.style": "Rococo"})
    text = found(look).text_content() or ""
    page.get_by_role("navigation", name="Runs").get_by_role("link").nth(1).click()
    look.arrives("gallery", 1)
    expect(page.get_by_role("searchbox")).to_have_value("still")
    expect(found(look)).to_have_text(text)
    expect(page.locator(".chips li")).to_have_count(2)
