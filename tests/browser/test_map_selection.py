"""What is selected on the map in Chromium: as cards, as a file, in the address."""

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import expect

from src.io.csv_cells import escape_cell
from tests.support.looked_at import EVIL, EVIL_FILE, EVIL_FILE_ROW, EVIL_ROW, N, artist
from tests.support.looking import Look, drawn
from tests.support.map_looking import (
    CANVAS,
    apart,
    corners,
    drag,
    lone_row,
    place,
    selected,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_shift_and_drag_selects_a_box(look: Look) -> None:
    page = drawn(look)
    page.keyboard.down("Shift")
    drag(page, *corners(page))
    page.keyboard.up("Shift")
    expect(page.locator("#selected")).to_have_text(
        f"{N} images selected; the first 100 are shown, and the CSV file has all"
    )
    expect(page.locator("#cards .card")).to_have_count(100)
    expect(page.locator("#cards .card b").nth(EVIL_ROW)).to_have_text(EVIL)
    page.locator(CANVAS).focus()
    page.keyboard.press("Escape")
    expect(page.locator("#selection")).to_be_hidden()


def test_a_lasso_selects_what_lies_in_it_and_the_address_reopens_it(look: Look) -> None:
    page = drawn(look)
    page.get_by_role("button", name="Lasso").click()
    row = lone_row(page)
    x, y = place(page, row)
    drag(page, (x - 14, y - 14), (x + 14, y - 14), (x + 14, y + 14), (x - 14, y + 14))
    inside = [other for other in range(N) if max(map(abs, apart(page, other, (x, y)))) < 14]
    assert row in inside
    assert selected(page) == inside
    page.wait_for_url(lambda url: "lasso=" in url)
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.locator("#map[data-drawn]").wait_for()
    assert selected(page) == inside
    page.locator(f"#cards [data-row='{row}'] a").click()
    look.arrives("painting")
    assert page.url.endswith(f"?row={row}")


def test_the_selection_is_a_file_for_spreadsheets(look: Look) -> None:
    page = drawn(look, box="-1,-1,65536,65536")
    expect(page.locator("#cards .card")).to_have_count(100)
    with page.expect_download() as found:
        page.get_by_role("button", name="Download as CSV").click()
    text = Path(found.value.path()).read_bytes().decode()
    assert text.count("\r\n") == N + 1
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(rows[0]) == ["row", "file", "title", "artist", "date"]
    assert [row["row"] for row in rows] == [str(row) for row in range(N)]
    assert rows[EVIL_ROW]["title"] == EVIL
    assert rows[EVIL_FILE_ROW]["file"] == EVIL_FILE
    assert [row["artist"] for row in rows] == [artist(row) for row in range(N)]


def test_cells_are_escaped_as_the_program_does(look: Look) -> None:
    page = drawn(look)
    texts = [
        "=1+1",
        "+1",
        "-1e3",
        "-a",
        "@x",
        "\tx",
        "\rx",
        "'=1",
        " =1",
        "＝1",
        "\x85=1",
        "a=1",
        "1.5",
    ]
    cells = page.evaluate("texts => csvText([texts])", [*texts, 'say "a, b"', "two\nlines"])
    line = next(csv.reader(io.StringIO(cells, newline="")))
    assert line == [*map(escape_cell, texts), 'say "a, b"', "two\nlines"]
