"""An export with pages of a sample only, opened from disk in Chromium; and one run alone."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from src.browse import main
from tests.support.looked_at import LookedAt, N
from tests.support.looking import Look, drawn, looking

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SAMPLE = 20


@pytest.fixture(scope="module")
def sample(looked: LookedAt, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of an export of the third run alone, with pages of SAMPLE images."""
    folder = tmp_path_factory.mktemp("sample")
    words = [str(looked.runs[2]), "--export", str(folder / "site"), "--limit", str(SAMPLE)]
    assert main([*words, "--picture", "0", "--outputs", str(folder)]) == 0
    return f"{(folder / 'site').as_uri()}/"


@pytest.fixture
def look(chromium: Browser, sample: str) -> Iterator[Look]:
    """Return a page that looks at the sample."""
    with looking(chromium, sample, "files") as look:
        yield look


def test_the_gallery_has_the_sample(look: Look) -> None:
    page = look.go("gallery")
    cards = page.locator(".results .card")
    expect(cards).to_have_count(SAMPLE)
    rows = set(cards.evaluate_all("all => all.map(card => card.dataset.row)"))
    page.get_by_label("Sort by").select_option(label="Hubs first")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("sort=hubs"))
    assert set(cards.evaluate_all("all => all.map(card => card.dataset.row)")) == rows
    cards.last.get_by_role("link").click()
    look.arrives("painting")


def test_neighbors_without_a_page_are_no_links(look: Look) -> None:
    page = look.go("gallery")
    rows = page.locator(".results .card").evaluate_all("all => all.map(card => card.dataset.row)")
    page = look.go("painting", row=rows[0])
    neighbors = page.locator("#neighbors .card:visible")
    expect(neighbors).to_have_count(10)
    links = page.locator("#neighbors .card:visible a")
    assert links.count() < 10
    linked = links.evaluate_all("all => all.map(a => new URL(a.href).searchParams.get('row'))")
    assert set(linked) <= set(rows)
    for _ in range(3):
        with page.expect_navigation():
            page.keyboard.press("r")
        look.complete()
        assert page.url.split("row=")[1] in rows


def test_a_row_without_a_page_is_told(look: Look) -> None:
    page = look.go("gallery")
    rows = page.locator(".results .card").evaluate_all("all => all.map(card => card.dataset.row)")
    other = next(row for row in range(N) if str(row) not in rows)
    page.goto(look.address("painting", row=other))
    expect(page.locator("main")).to_contain_text("This page cannot be shown")
    look.problems[:] = [text for text in look.problems if "ERR_FILE_NOT_FOUND" not in text]


@pytest.mark.parametrize("name", ["hubs", "duplicates", "skipped", "runs", "disagreements"])
def test_links_of_other_pages_lead_to_the_sample(look: Look, name: str) -> None:
    page = look.go("gallery")
    rows = page.locator(".results .card").evaluate_all("all => all.map(card => card.dataset.row)")
    page = look.go(name)
    links = page.locator("main a[href*='row=']")
    found = links.evaluate_all("all => all.map(a => new URL(a.href).searchParams.get('row'))")
    assert set(found) <= set(rows)


def test_the_map_has_the_sample(look: Look) -> None:
    page = drawn(look)
    expect(page.locator("#in-view")).to_have_text(f"{SAMPLE} of {SAMPLE} images in view")
    page.get_by_text("Images in view as a list").click()
    page.locator("#links a").last.click()
    look.arrives("painting")
