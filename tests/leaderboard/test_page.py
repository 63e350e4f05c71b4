"""The page in Chromium, on screens of several widths."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from src.gallery.folder import folder_gallery
from src.leaderboard.__main__ import main
from tests.support.made_runs import update_metrics, write_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
WIDTHS = (390, 800, 1400)
LONG = "unbroken" * 30


@pytest.fixture(scope="module")
def page_path(shared_paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of two boards with many columns, long names and a run that failed.

    Each board has a baseline, and is chosen from on halves of two artists.
    """
    folder = tmp_path_factory.mktemp("page")
    table = folder / "labels.csv"
    rows = [f"{name.lower()}/{n}.png,{name},{LONG}" for name in ("Ada", "Bea") for n in range(4)]
    table.write_text("\n".join(["file,artist,title", *rows]))
    gallery = folder_gallery(shared_paintings, table, None, 0, folder)
    np.save(folder / "image_names.npy", np.array(gallery.files))
    draw = np.random.default_rng(0)
    for number in range(8):
        index = np.array(
            [draw.permutation(np.delete(np.arange(12), row))[:10] for row in range(12)]
        )
        board, layer = divmod(number, 4)
        paths = {"gallery": f"../../galleries/{gallery.name}", "embeddings": "../.."}
        settings = {
            "backbone": {
                "name": f"network{layer}",
                "weights": "random",
                "layer": LONG + str(layer),
            },
            "similarity": {"postprocess": "none", "top_k": layer},
        }
        run = folder / "sweep" / f"{board}{layer}"
        write_run(run, draw.random(12), index, paths | {"images": str(board)}, **settings)
        more = {f"label{label}/map_at_10": draw.random() for label in range(6)}
        update_metrics(run, **more, hubness=draw.random())
    failed = folder / "sweep" / "9"
    shutil.copytree(run, failed)
    (failed / "metrics.json").unlink()
    main([str(folder / "sweep"), "--baseline", "backbone.name=network1", "--halves"])
    return folder / "sweep" / "leaderboard.html"


def opened(browser: "Page", path: Path, width: int) -> "Page":
    """Return the page at a width of the screen."""
    browser.set_viewport_size({"width": width, "height": 844})
    browser.goto(path.as_uri())
    return browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_as_wide_as_the_screen(
    width: int, scheme: str, page_path: Path, browser: "Page"
) -> None:
    browser.emulate_media(color_scheme=scheme)
    page = opened(browser, page_path, width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    outside = page.evaluate(
        """width => [...document.querySelectorAll("body *")]
        .filter(e => !e.closest(".wide, pre, [hidden]"))
        .filter(e => e.getBoundingClientRect().right > width + 1)
        .map(e => e.outerHTML.slice(0, 80))""",
        width,
    )
    assert outside == []


def test_on_a_phone_the_neighbors_are_below_their_query(page_path: Path, browser: "Page") -> None:
    page = opened(browser, page_path, 390)
    query = page.locator(".query").first
    figure, strip = query.locator("figure").bounding_box(), query.locator(".strip").first
    box = strip.bounding_box()
    assert figure and box and box["y"] >= figure["y"] + figure["height"]
    images = [image.bounding_box() for image in strip.locator(".t").all()]
    assert len(images) == 10 and len({image["y"] for image in images if image}) == 2
    assert min(image["width"] for image in images if image) > 50
    wide = opened(browser, page_path, 1400).locator(".query").first
    figure, box = wide.locator("figure").bounding_box(), wide.locator(".strip").first.bounding_box()
    assert figure and box and box["x"] >= figure["x"] + figure["width"]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_that_scrolls_shows_it_and_keeps_its_first_column(
    width: int, page_path: Path, browser: "Page"
) -> None:
    page = opened(browser, page_path, width)
    box = page.locator(".wide").first
    shown = """side => getComputedStyle(document.querySelector(".scroll"), side).opacity === "1" """
    page.wait_for_function(shown, arg="::after")
    assert not page.evaluate(shown, "::before")
    first, second = page.locator("#board td").nth(0), page.locator("#board td.number").nth(2)
    places = first.bounding_box(), second.bounding_box()
    box.evaluate("box => { box.scrollLeft = box.scrollWidth }")
    page.wait_for_function(shown, arg="::before")
    assert not page.evaluate(shown, "::after")
    assert first.bounding_box() == places[0] and second.bounding_box() != places[1]
    kept = page.evaluate("""() => [...document.querySelectorAll("#board th.kept")]
        .reduce((sum, head) => sum + head.offsetWidth, 0)""")
    assert 0 < kept < 0.6 * width


def test_headings_explain_themselves_by_pointer_focus_and_touch(
    page_path: Path, browser: "Page"
) -> None:
    page = opened(browser, page_path, 390)
    tip, heads = page.locator("#tip"), page.locator("#board th")
    assert tip.is_hidden()
    for at in range(heads.count()):
        button = heads.nth(at).locator("button").first
        about = page.locator(f"#{button.get_attribute('aria-describedby')}").text_content()
        assert about and len(about) > 20
        button.focus()  # also one that has to scroll into the box first
        assert tip.inner_text().strip() == about.strip()
        place, head = tip.bounding_box(), button.bounding_box()
        assert place and head and place["x"] >= 0 and place["x"] + place["width"] <= 390
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    heads.nth(0).locator(".sort").hover()
    assert "folder" in tip.inner_text()
    page.mouse.move(200, 5)
    assert tip.is_hidden()
    context = page.context.browser.new_context(
        has_touch=True, viewport={"width": 390, "height": 844}
    )
    phone = context.new_page()
    phone.goto(page_path.as_uri())
    order = phone.locator("#board td:first-child").all_inner_texts()
    phone.locator("#board .about").nth(0).tap()
    assert "folder" in phone.locator("#tip").inner_text()
    assert phone.locator("#board td:first-child").all_inner_texts() == order  # a tap on ? sorts not
    phone.locator("h1").tap()
    assert phone.locator("#tip").is_hidden()
    phone.locator(".strip .t").first.tap()
    assert LONG in phone.locator("#tip").inner_text()  # the title
    context.close()


def test_roles_and_differences_stand_in_their_rows(page_path: Path, browser: "Page") -> None:
    page = opened(browser, page_path, 1400)
    for board in ("#board", "#board-2"):
        rows = page.locator(f"{board} tbody tr")
        baseline = rows.filter(has_text="baseline")
        assert baseline.count() == 1 and "network1" in baseline.inner_text()
        assert rows.filter(has_text="chosen on half A").count() == 1
        heads = page.locator(f"{board} th .sort").all_inner_texts()
        at = [" ".join(head.split()) for head in heads].index("difference to the baseline")
        texts = [row.locator("td").nth(at).inner_text().strip() for row in rows.all()]
        assert texts.count("") == 1 and all(text[0] in "+-" for text in texts if text)
        page.locator(f"{board} th .sort").nth(at).click()
        texts = page.locator(f"{board} tbody td:nth-child({at + 1})").all_inner_texts()
        values = [float(text.split()[0]) for text in texts if text.strip()]
        assert values == sorted(values, reverse=True)


def test_images_are_reached_by_keys(page_path: Path, browser: "Page") -> None:
    page = opened(browser, page_path, 1400)
    strip = page.locator(".strip").first.locator(".t")
    strip.nth(0).focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tip").inner_text().strip() == " ".join(
        (strip.nth(1).get_attribute("aria-label") or "").split()
    )
    assert page.locator(".strip").first.locator("[tabindex='0']").count() == 1


def test_each_board_is_sorted_alone_and_the_table_is_linked(
    page_path: Path, browser: "Page"
) -> None:
    page = opened(browser, page_path, 1400)
    runs = [f"#board{end} td:first-child a" for end in ("", "-2")]
    before = [page.locator(selector).all_inner_texts() for selector in runs]
    page.locator("#board th .sort").first.click()
    first = page.locator(runs[0]).all_inner_texts()
    assert first == sorted(before[0], reverse=True) and set(first) == set(before[0])
    assert page.locator(runs[1]).all_inner_texts() == before[1]
    link = page.get_by_role("link", name="leaderboard.csv").get_attribute("href")
    assert link and (page_path.parent / link).is_file()
    assert page.locator(".mark").count() == 8
