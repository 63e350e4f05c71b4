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
    browser.goto(look.address("painting", row=({*range(12)} - rows_of_two(site)).pop()))
    browser.get_by_text("This page cannot be shown").wait_for()


def rows_of_two(site: Site) -> set[int]:
    """Return the rows of a sample of two."""
    return set(static_site(site, Export(Path(), limit=2)).runs[0].rows.tolist())
