"""Served pages in Chromium without JavaScript, and while their server ends and starts again."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from src.browser.views import VIEWS
from tests.support.browsed import Browsed, browsed
from tests.support.looked_at import ARTISTS, LookedAt, N, artist, picture, title
from tests.support.looking import Look, looking

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def plain(chromium: Browser, served: Browsed) -> Iterator[Look]:
    """Return a page in which JavaScript is switched off."""
    base = f"http://{served.host}/"
    with looking(chromium, base, "server", java_script_enabled=False) as look:
        yield look


def test_without_javascript_the_gallery_searches_filters_and_turns(plain: Look) -> None:
    page = plain.go("gallery")
    page.get_by_role("link", name="Next", exact=True).click()
    expect(page.locator(".results .card")).to_have_count(N - 100)
    page.get_by_role("searchbox").fill("elise")
    page.get_by_role("button", name="Show").click()
    mine = sum(artist(row) == ARTISTS[0] for row in range(N))
    expect(page.locator("[data-part=found]")).to_have_text(f"{mine} of {N} images")
    page.locator("[data-column=style] a").first.click()
    expect(page.locator(".chips li")).to_have_count(2)
    page.locator(".results .card a").first.click()
    plain.arrives("painting")


def test_without_javascript_a_painting_filters_and_leads_on(plain: Look) -> None:
    page = plain.go("painting", row=22)
    expect(page.locator("h1")).to_have_text(title(22))
    for part in (page.locator("#judging"), page.locator(".verdict").first):
        expect(part).to_have_count(1)
        expect(part).to_be_hidden()  # no verdict could be sent
    page.get_by_role("link", name="other artists only").click()
    expect(page.locator("#found")).to_contain_text("10 nearest")
    page.get_by_text("With a label").click()
    page.get_by_role("combobox", name="school").select_option("French")
    page.locator("#choose").get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("only=other-artist.*f.school=French"))
    page.get_by_role("link", name="Compare runs").click()
    plain.arrives("compare")
    expect(page.locator("#columns > section")).to_have_count(3)


@pytest.mark.parametrize("name", VIEWS)
def test_without_javascript_every_page_has_its_content(plain: Look, name: str) -> None:
    page = plain.go(name, row=5)
    expect(page.locator("h1")).to_be_visible()
    assert len(page.locator("main").inner_text()) > 50


def test_without_javascript_duplicates_are_grouped_by_a_button(plain: Look) -> None:
    page = plain.go("duplicates", 2)
    page.get_by_label("Threshold").fill("1")
    page.get_by_role("button", name="Group").click()
    page.wait_for_url(re.compile("from=1"))
    expect(page.locator(".group")).to_have_count(1)


def test_an_open_page_goes_on_after_its_server_was_killed(
    chromium: Browser, looked: LookedAt, tmp_path: Path
) -> None:
    words = [*looked.runs, "--outputs", tmp_path / "outputs", "--port"]
    with browsed(tmp_path / "first.txt", *words, "0") as first:
        port = first.port
        with looking(chromium, f"http://{first.host}/", "server") as look:
            page = look.go("query")
            page.locator("#file").set_input_files(picture(tmp_path / "a.png", 5))
            expect(page.get_by_role("button", name="Find neighbors")).to_be_visible()
            assert first.stop(signal.SIGKILL) == -signal.SIGKILL
            page.get_by_role("button", name="Find neighbors").click()
            expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
            assert any("ERR_CONNECTION_REFUSED" in text for text in look.problems)
            look.problems.clear()
            with browsed(tmp_path / "second.txt", *words, str(port)):
                page.get_by_role("button", name="Find neighbors").click()
                page.wait_for_url(re.compile("image="))
                expect(page.locator(".answers .card")).to_have_count(20)
                page.get_by_role("link", name="Gallery", exact=True).click()
                look.arrives("gallery")
                expect(page.locator(".results .card")).to_have_count(100)


def test_an_address_that_is_not_there_is_a_page(chromium: Browser, served: Browsed) -> None:
    with looking(chromium, f"http://{served.host}/", "server") as look:
        for address in ("9/gallery.html", "0/nothing.html", "nothing", "0/painting.html?row=999"):
            answer = look.page.goto(look.base + address)
            assert answer is not None and answer.status == 404
            look.complete()
            look.page.get_by_role("link", name=re.compile("first page|Gallery")).first.click()
            look.arrives("gallery")
        assert len(look.problems) > 3
        assert all("404" in text for text in look.problems)
        look.problems.clear()
