"""What a curator cleans up, in Chromium by server and from files."""

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.looked_at import COPIES, GONE_ROW, NEAR_ROW, SKIPPED, file_name
from tests.support.looking import Look

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SHORT, WHITENED = 1, 2  # the runs of short lists, and with few pairs that are near


def move_to(page: Page, threshold: str) -> None:
    """Move the slider."""
    page.locator("#from").fill(threshold)


def groups(page: Page) -> list[set[int]]:
    """Return the rows of each group that is shown."""
    rows = "all => all.map(group => [...group.querySelectorAll('.card')].map(c => c.dataset.row))"
    return [set(map(int, group)) for group in page.locator(".group").evaluate_all(rows)]


def test_hubs_in_order_and_images_in_no_list(look: Look) -> None:
    page = look.go("hubs", SHORT)
    notes = page.locator("section[data-list]:visible .note").all_text_contents()
    counts = [int((re.search(r"in (\d+) lists", note) or [0, "0"])[1]) for note in notes]
    assert counts == sorted(counts, reverse=True) and counts[0] > 3
    lists = page.get_by_role("list", name="Lists").locator("visible=true")
    lists.get_by_role("link").nth(1).click()
    page.wait_for_url(re.compile("list="))
    look.complete()
    expect(page.locator("section[data-list]:visible")).to_have_count(1)
    card = page.locator("section[data-list]:visible .card a").first
    card.click()
    look.arrives("painting", SHORT)
    expect(page.get_by_text("Neighbor of no image")).to_be_visible()


def test_the_threshold_groups_while_it_moves(look: Look, tmp_path: Path) -> None:
    page = look.go("duplicates", WHITENED)
    expect(page.get_by_role("button", name="Download as CSV")).to_be_visible()
    move_to(page, "1")
    expect(page.locator("#found")).to_have_text(re.compile("join 2 images in 1 groups"))
    assert groups(page) == [set(COPIES)]
    expect(page.locator(".group")).to_contain_text("same file")
    expect(page).to_have_url(re.compile("from=1"))
    move_to(page, page.locator("#from").get_attribute("min") or "")
    expect(page.locator("#found")).not_to_have_text(re.compile("join 2 images"))
    assert any({*COPIES, NEAR_ROW} <= group for group in groups(page))
    move_to(page, "1")
    expect(page.locator(".group")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    download.value.save_as(tmp_path / "a.csv")
    table = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text(), newline="")))
    assert [(line["file"], line["other"]) for line in table] == [tuple(map(file_name, COPIES))]
    page.reload()
    look.complete()
    expect(page.locator(".group")).to_have_count(1)
    page.locator(".group .card a").first.click()
    look.arrives("painting", WHITENED)
    page.go_back()
    expect(page.locator(".group")).to_have_count(1)


def test_by_keys_the_threshold_moves_too(look: Look) -> None:
    page = look.go("duplicates", WHITENED)
    expect(page.get_by_role("button", name="Download as CSV")).to_be_visible()
    slider = page.get_by_label("Threshold")
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("output")).to_have_text(re.compile(r"^1\.0+$"))
    assert groups(page) == [set(COPIES)]


def test_skipped_files_are_listed(look: Look) -> None:
    page = look.go("skipped")
    expect(page.locator("main")).to_contain_text("1 file could not be read and is not")
    expect(page.get_by_role("cell", name=SKIPPED, exact=True)).to_be_visible()
    if look.is_server:
        page.get_by_role("link", name=re.compile("Check whether all")).click()
        page.wait_for_url(re.compile("check=1"))
        gone = page.get_by_role("link", name=file_name(GONE_ROW))
        expect(gone).to_be_visible()
        gone.click()
        look.arrives("painting")
        assert page.url.endswith(f"row={GONE_ROW}")
