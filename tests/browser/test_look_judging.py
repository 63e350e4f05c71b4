"""Yes and no in Chromium, the table that they fill, and the metrics of a run that reads it."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from src.reporting.run_folder import RunFolder
from tests.support.browsed import browsed
from tests.support.looking import Look, looking
from tests.support.options import changed, small, store

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def table(tmp_path: Path, two_runs: list[Path]) -> Path:
    """Return the path of the table that the server fills."""
    name = RunFolder(two_runs[0]).gallery().name
    return tmp_path / "outputs" / "judgements" / f"{name}.csv"


@pytest.fixture
def look(chromium: "Browser", two_runs: list[Path], tmp_path: Path) -> Iterator[Look]:
    """Return a page at a server of its own, whose judge is called Ann."""
    words = [*two_runs, "--port", "0", "--outputs", tmp_path / "outputs", "--judge", "Ann"]
    with (
        browsed(tmp_path / "errors.txt", *words) as server,
        looking(chromium, f"http://{server.host}/", "server") as look,
    ):
        yield look


def button(page: Page, place: int, name: str) -> Locator:
    """Return the button of the neighbor at a place of the list, from 0."""
    return page.locator("#neighbors .card").nth(place).get_by_role("button", name=name)


def rows(page: Page) -> list[int]:
    """Return the rows of the neighbors."""
    groups = page.locator("#neighbors .verdict")
    return [int(row) for row in groups.evaluate_all("all => all.map(g => g.dataset.row)")]


def agreement(run: RunFolder, said: dict[tuple[str, str], bool]) -> float:
    """Return by plain loops how often a good neighbor is nearer than a bad one of its query."""
    files = run.gallery().files
    unit = run.features().astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    cosine = (unit @ unit.T).astype(np.float32)
    shares = []
    for query in sorted({query for query, _ in said}):
        own = {other: good for (first, other), good in said.items() if first == query}
        row = cosine[files.index(query)]
        good = [row[files.index(other)] for other, is_good in own.items() if is_good]
        bad = [row[files.index(other)] for other, is_good in own.items() if not is_good]
        wins = [(g > b) + (g == b) / 2 for g in good for b in bad]
        shares += [np.mean(wins)] if wins else []
    return float(np.mean(shares))


def test_judged_in_the_browser_it_is_a_metric_of_the_next_run(
    look: Look, table: Path, tmp_path: Path, shared_paintings: Path
) -> None:
    from src.run import run

    page = look.go("painting", row=0, k=10)
    expect(page.locator("#judged")).to_have_text("No pair is judged yet")
    for place, name in ((0, "No"), (1, "Yes"), (2, "No"), (3, "Yes")):
        button(page, place, name).click()
        expect(page.locator("#judged")).to_have_text(re.compile(rf"^{place + 1} pairs? judged$"))
    page = look.go("painting", row=3, k=10)
    for place, name in ((0, "Yes"), (1, "Yes"), (4, "No")):
        button(page, place, name).click()
    expect(page.locator("#judged")).to_have_text("7 pairs judged")
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["judge"] for line in lines} == {"Ann"}
    said = {(line["query"], line["neighbor"]): line["judgement"] == "1" for line in lines}
    assert len(said) == 7
    cfg = changed(small(shared_paintings, tmp_path / "other"), "data", judgements=str(table))
    folder = tmp_path / "run"
    store(cfg, folder)
    run(cfg, folder)
    metrics = RunFolder(folder).metrics()
    assert metrics is not None
    assert (metrics["judged/pairs"], metrics["judged/queries"]) == (7, 2)
    assert metrics["judged/agreement"] == pytest.approx(agreement(RunFolder(folder), said))
    assert 0.3 < metrics["judged/agreement"] < 1


def test_a_second_press_takes_back_and_the_other_button_changes(look: Look, table: Path) -> None:
    page = look.go("painting", row=1)
    yes, no = button(page, 0, "Yes"), button(page, 0, "No")
    yes.click()
    expect(yes).to_have_attribute("aria-pressed", "true")
    no.click()
    expect(no).to_have_attribute("aria-pressed", "true")
    expect(yes).to_have_attribute("aria-pressed", "false")
    page.reload()
    look.complete()
    expect(no).to_have_attribute("aria-pressed", "true")
    no.click()
    expect(no).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#judged")).to_have_text("No pair is judged yet")
    assert [line.split(",")[2] for line in table.read_text().splitlines()[1:]] == ["1", "0", ""]


def test_keys_judge_the_neighbor_that_is_focused(look: Look) -> None:
    page = look.go("painting", row=2)
    page.keyboard.press("y")  # nothing is focused
    page.keyboard.press("ArrowRight")
    page.keyboard.press("y")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    page.keyboard.press("Control+y")
    expect(button(page, 0, "Yes")).to_have_attribute("aria-pressed", "true")
    expect(button(page, 1, "No")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".verdict [aria-pressed=true]")).to_have_count(2)
    page.keyboard.press("Tab")  # from the link of the second neighbor to its buttons
    expect(button(page, 1, "Yes")).to_be_focused()
    page.keyboard.press("Enter")
    expect(button(page, 1, "Yes")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowRight")  # from a button to the next neighbor, not to the first one
    expect(page.locator("#neighbors .card").nth(2).locator("a")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("?")
    expect(page.get_by_text("on a painting's neighbor")).to_be_visible()
    page.keyboard.press("n")  # behind the list of keys nothing is judged
    expect(button(page, 1, "Yes")).to_have_attribute("aria-pressed", "true")


def test_what_is_shown_by_a_filter_is_judged_as_that_pair(look: Look) -> None:
    page = look.go("painting", row=0, only="other-artist")
    chosen = rows(page)[2]
    button(page, 2, "No").click()
    expect(page.locator("#judged")).to_have_text("1 pair judged")
    page = look.go("painting", 1, row=0, k=50)  # another run over the images
    expect(button(page, rows(page).index(chosen), "No")).to_have_attribute("aria-pressed", "true")


def test_two_pages_at_once_lose_nothing(look: Look, table: Path) -> None:
    page, other = look.go("painting", row=4, k=10), look.page.context.new_page()
    other.goto(look.address("painting", row=4, k=10))
    for place in range(2):
        button(page, place, "Yes").click()
        button(other, 2 + place, "No").click()
    expect(page.locator(".verdict [aria-pressed=true]")).to_have_count(2)
    expect(other.locator(".verdict [aria-pressed=true]")).to_have_count(2)
    page.reload()
    expect(page.locator(".verdict [aria-pressed=true]")).to_have_count(4)
    assert len(table.read_text().splitlines()) == 5


def test_what_is_not_kept_is_told(look: Look, table: Path) -> None:
    page = look.go("painting", row=5)
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("file,score\n")
    button(page, 0, "Yes").click()
    expect(page.locator("#judged")).to_have_text(re.compile("^Not kept: "))
    expect(button(page, 0, "Yes")).to_have_attribute("aria-pressed", "false")
    page.set_viewport_size({"width": 390, "height": 400})
    page.locator("#neighbors .verdict").last.scroll_into_view_if_needed()
    expect(page.locator("#judged")).to_be_in_viewport(ratio=1)  # wherever one presses
    page.route("**/judge?*", lambda route: route.abort())
    button(page, 1, "No").click()
    expect(page.locator("#judged")).to_have_text(re.compile("the server does not answer"))
    page = look.go("painting", row=5)
    expect(page.get_by_text("Neighbors cannot be judged")).to_be_visible()
    expect(page.locator(".verdict")).to_have_count(0)
    assert table.read_text() == "file,score\n"
    look.problems.clear()  # the answer 500
