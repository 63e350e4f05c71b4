"""Runs beside each other in Chromium, by server and from files: compare, disagreements, runs."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.looked_at import title
from tests.support.looking import Look

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_painting_leads_to_its_comparison_and_on_to_neighbors(look: Look) -> None:
    page = look.go("painting", row=24)
    page.get_by_role("link", name="Compare runs").click()
    look.arrives("compare")
    expect(page.locator("h1")).to_have_text(title(24))
    columns = page.locator("#columns > section:visible")
    expect(columns).to_have_count(3)
    for number, k in enumerate((10, 3, 10)):
        expect(columns.nth(number).locator("li")).to_have_count(k)
    # lines join what two columns next to each other share
    rows = [
        columns.nth(number).locator("li").evaluate_all("all => all.map(li => li.dataset.row)")
        for number in range(3)
    ]
    joined = sum(len(set(a) & set(b)) for a, b in zip(rows, rows[1:], strict=False))
    expect(page.locator("#columns path")).to_have_count(joined)
    columns.first.locator("li a").first.hover()
    expect(page.locator("#columns li.same").first).to_be_visible()
    columns.first.locator("li a").first.click()
    page.wait_for_url(re.compile(rf"compare.html\?row={rows[0][0]}"))
    expect(page.locator("h1")).to_have_text(title(int(rows[0][0])))
    page.get_by_role("link", name="This painting alone").click()
    look.arrives("painting")


def test_runs_are_chosen_and_stay_chosen(look: Look) -> None:
    page = look.go("compare", row=24)
    chips = page.get_by_role("list", name="Runs side by side")
    chips.get_by_role("link", name="whiten").click()
    page.wait_for_url(re.compile("runs="))
    look.complete()
    columns = page.locator("#columns > section:visible")
    expect(columns).to_have_count(2)
    page.reload()
    look.complete()
    expect(columns).to_have_count(2)
    row = columns.first.locator("li").first.get_attribute("data-row")
    columns.first.locator("li a").first.click()
    page.wait_for_url(re.compile(rf"row={row}.*runs="))
    look.complete()
    expect(columns).to_have_count(2)
    page.go_back()
    look.complete()
    expect(page.locator("h1")).to_have_text(title(24))


def test_disagreements_lead_to_comparisons(look: Look) -> None:
    page = look.go("gallery")
    page.get_by_role("link", name="Compare", exact=True).click()
    look.arrives("disagreements")
    lists = page.locator("section[data-list]:visible")
    expect(lists).to_have_count(1)
    lists.get_by_role("list", name="Compared with").get_by_role("link").nth(1).click()
    page.wait_for_url(re.compile("with=2"))
    look.complete()
    expect(lists).to_have_count(1)
    expect(lists.locator("p").first).to_contain_text("whiten")
    lists.get_by_role("list", name="Order").get_by_role("link").nth(1).click()
    page.wait_for_url(re.compile("by="))
    look.complete()
    expect(lists).to_have_count(1)
    page.reload()
    look.complete()
    expect(lists.locator("p").first).to_contain_text("whiten")
    lists.locator(".disagreements li a").first.click()
    look.arrives("compare")
    expect(page.locator("#columns > section:visible")).to_have_count(2)


def test_the_board_leads_to_runs(look: Look) -> None:
    page = look.go("runs")
    board = page.locator("table.board")
    expect(board.locator("tbody tr")).to_have_count(3)
    for row in board.locator("tbody tr").all():
        assert row.locator("th").count() == 1
    expect(board.locator("tr.own")).to_have_count(1)
    link = board.locator("tbody tr:not(.own) a").first
    name = link.text_content() or ""
    link.click()
    page.wait_for_url(lambda url: "/0/" not in url)
    look.complete()
    expect(page.locator("main")).to_be_visible()
    assert name.strip()


def test_every_page_tells_the_settings_of_its_run(look: Look) -> None:
    for run, layer in enumerate(("layer1", "layer2", "layer2")):
        page = look.go("hubs", run)
        page.get_by_text("Settings, hashes and metrics").click()
        expect(page.locator("footer dl")).to_contain_text("backbone.layer")
        expect(page.locator("footer dl")).to_contain_text(layer)
