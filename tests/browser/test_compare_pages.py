"""The pages that compare runs and group images, in Chromium: by server and from an export."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from src.browser.export import export
from src.browser.export_plan import Export
from src.browser.opened import open_runs
from src.browser.site import Site
from src.browser.views import NAVIGATION
from src.io.outputs import Outputs
from tests.support.browsed import browsed

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def served(two_runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of the server of both runs."""
    outputs = tmp_path_factory.mktemp("served")
    words = ["--port", "0", "--outputs", outputs]
    with browsed(outputs / "errors.txt", *two_runs, *words) as server:
        yield f"http://{server.host}"


@pytest.fixture(scope="module")
def exported(two_runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of the files of both runs."""
    folder = tmp_path_factory.mktemp("exported")
    site = Site(open_runs(two_runs), Outputs(folder / "outputs"), NAVIGATION)
    return export(site, Export(folder / "pages")).parent.as_uri()


@pytest.fixture(params=["served", "exported"])
def address(request: pytest.FixtureRequest) -> str:
    """Return where the pages are, by server and from a disk."""
    value: str = request.getfixturevalue(request.param)
    return value


def test_shared_neighbors_are_joined_and_light_up_together(address: str, browser: "Page") -> None:
    browser.goto(f"{address}/0/compare.html?row=5")
    browser.locator("#columns path").first.wait_for(state="attached")
    lists = [
        [card.get_attribute("data-row") for card in column.locator("li").all()]
        for column in browser.locator("#columns > section").all()
    ]
    joined = [line.get_attribute("data-row") for line in browser.locator("#columns path").all()]
    assert sorted(filter(None, joined)) == sorted(set(lists[0]) & set(lists[1]))
    link = browser.locator(f'#columns li[data-row="{joined[0]}"] a').first
    link.focus()
    assert browser.locator("#columns li.same").count() == 2
    link.press("Enter")
    browser.wait_for_url(f"**/compare.html?row={joined[0]}")
    browser.locator("h1").wait_for()
    browser.go_back()
    browser.locator("#columns path").first.wait_for(state="attached")
    assert browser.url.endswith("row=5")


def test_an_address_hides_a_run_and_a_choice_shows_it_again(address: str, browser: "Page") -> None:
    browser.goto(f"{address}/1/compare.html?row=2&runs=1")
    columns = browser.locator("#columns > section:visible")
    columns.first.wait_for()
    assert columns.count() == 1 and browser.locator(".also:visible").count() == 0
    browser.locator(".chips a").first.click()
    browser.wait_for_url(re.compile("runs=0(%2C|,)1"))
    columns.nth(1).wait_for()
    assert columns.count() == 2


def test_lists_of_disagreements_are_chosen_by_address_and_click(
    address: str, browser: "Page"
) -> None:
    browser.goto(f"{address}/0/disagreements.html")
    heading = browser.locator("section h2:visible")
    assert heading.all_inner_texts() == ["Fewest shared neighbors"]
    browser.locator(".chips a:visible", has_text="Gains most").click()
    browser.wait_for_url("**/disagreements.html?with=1&by=gains")
    assert heading.all_inner_texts() == ["Gains most from A to B"]
    browser.reload()
    assert heading.all_inner_texts() == ["Gains most from A to B"]
    browser.goto(f"{address}/0/hubs.html?list=never")
    assert browser.locator("section:visible").count() == 1
    assert "in no list" in heading.inner_text()


def groups_shown(page: "Page") -> list[str]:
    """Return the texts of the groups, and the pictures."""
    texts = page.locator("#groups section").all_inner_texts()
    pictures = page.locator("#groups img").evaluate_all("all => all.map(x => [x.alt, x.src])")
    return [*texts, *map(str, pictures), page.locator("#found").inner_text()]


MOVE = """(range, value) => {
  range.value = value
  range.dispatchEvent(new Event("input", {bubbles: true}))
}"""


@pytest.mark.parametrize("share", [0, 0.3, 0.7, 1])
def test_groups_follow_the_threshold_as_the_server_makes_them(
    share: float, served: str, exported: str, browser: "Page"
) -> None:
    browser.goto(f"{served}/0/duplicates.html")
    lowest = float(browser.locator("#from").get_attribute("min") or 0)
    threshold = f"{lowest + share * (1 - lowest):.4f}"
    browser.route("**/*.js", lambda route: route.fulfill(body=""))
    browser.goto(f"{served}/0/duplicates.html?from={threshold}")
    expected = groups_shown(browser)
    browser.unroute("**/*.js")
    for address in (served, exported):
        browser.goto(f"{address}/0/duplicates.html")
        browser.locator("#save").wait_for()
        browser.locator("#from").evaluate(MOVE, threshold)
        for _ in range(2):  # the second time after a reload of the address
            browser.wait_for_function(
                "from => location.search.includes(from)", arg=f"from={float(threshold):g}"
            )
            browser.locator("#found", has_text=expected[-1]).wait_for()
            assert [text.replace(exported, served) for text in groups_shown(browser)] == expected
            browser.reload()
            browser.locator("#save").wait_for()


def test_groups_are_saved_as_csv(address: str, browser: "Page") -> None:
    browser.goto(f"{address}/0/duplicates.html?from=0")
    with browser.expect_download() as download:
        browser.locator("#save").click()
    with open(download.value.path(), newline="") as file:
        head, *lines = csv.reader(file)
    assert head == ["group", "score", "file", "other", "in common"]
    found = browser.locator("#found").inner_text()
    assert found.startswith(f"{len(lines)} pairs join ")
    assert lines and all(file.endswith(".png") for _, _, file, _, _ in lines)


@pytest.mark.parametrize("width", [1400, 800, 390])
def test_no_page_is_wider_than_the_window(width: int, address: str, browser: "Page") -> None:
    browser.set_viewport_size({"width": width, "height": 800})
    for page in (
        "compare.html?row=1",
        "disagreements.html",
        "hubs.html",
        "duplicates.html",
        "skipped.html",
        "runs.html",
    ):
        browser.goto(f"{address}/0/{page}")
        browser.locator("h1").wait_for()
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
