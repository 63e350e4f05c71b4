"""An export in Chromium, opened from the disk as by a double click."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from src.browser.export import export
from src.browser.export_plan import Export, static_site
from src.browser.site import Site
from tests.support.looking import Look

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def look_at(browser: "Page", site: Site, folder: Path, **options: int) -> Look:
    """Return a look at an export."""
    first = export(site, Export(folder, **options))
    return Look(browser, f"{first.parent.as_uri()}/", "files")


def test_a_double_click_leads_from_painting_to_painting(
    browser: "Page", site: Site, tmp_path: Path
) -> None:
    look = look_at(browser, site, tmp_path / "a folder, #1 at 100%")
    browser.goto(f"{look.base}index.html")
    look.arrives("gallery")
    browser.locator(".card a").first.click()
    title = look.arrives("painting").locator("h1").inner_text()
    browser.locator(".neighbors .card a:visible").first.click()
    look.arrives("painting")
    assert browser.locator("h1").inner_text() != title
    browser.go_back()
    assert look.complete().locator("h1").inner_text() == title
    assert browser.title().startswith(title)
    browser.reload()
    assert look.complete().locator("h1").inner_text() == title
    loaded = "images => images.every(image => image.complete && image.naturalWidth > 0)"
    assert browser.locator("main img:visible").evaluate_all(loaded)


def test_a_random_image_of_a_sample_has_a_page(browser: "Page", site: Site, tmp_path: Path) -> None:
    look = look_at(browser, site, tmp_path / "site", limit=2, picture=0)
    look.go("gallery")
    for _ in range(4):
        browser.keyboard.press("r")
        browser.wait_for_url(look.at("painting"))
        look.complete()
        assert int(browser.url.partition("row=")[2]) in rows_of_two(site)
        assert browser.locator(".neighbors .card").count() > 0


def test_a_row_without_a_page_is_told_from_one_that_is_not(
    browser: "Page", site: Site, tmp_path: Path
) -> None:
    look = look_at(browser, site, tmp_path / "site", limit=2, picture=0)
    for row in {*range(12)} - rows_of_two(site):
        browser.goto(look.address("painting", row=row))
        browser.get_by_text(f"row {row} has no page in this sample of 2 of 12 images").wait_for()
    browser.goto(look.address("painting", row=12))
    browser.get_by_text("row must be between 0 and 11, got 12").wait_for()
    browser.get_by_role("link", name="To the gallery").click()
    assert look.arrives("gallery").locator(".card a").count() == 2


def rows_of_two(site: Site) -> set[int]:
    """Return the rows of a sample of two."""
    return set(static_site(site, Export(Path(), limit=2)).runs[0].rows.tolist())
