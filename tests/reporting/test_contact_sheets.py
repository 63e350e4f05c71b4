from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

from src.gallery import Gallery
from src.gallery.folder import folder_gallery
from src.reporting.contact_sheets import (
    FAINT,
    About,
    Card,
    card,
    card_height,
    draw_card,
    neighbors_page,
    overview,
    sheet,
    thumbnail,
)
from src.reporting.hits import Hits
from src.reporting.pages import Box, Page, Picture, Text, font
from src.reporting.wrapping import wrap_text

LONG = "The Adoration of the Shepherds with Saint Longinus and Saint John the Evangelist " * 3


@pytest.fixture
def gallery(paintings: Path, tmp_path: Path) -> Gallery:
    return folder_gallery(paintings, None, None, 0, tmp_path)


@pytest.mark.parametrize("text", [LONG, "X" * 300, "", "short", "two\nlines", "Łódź, Ærø, Ἀθῆναι"])
@pytest.mark.parametrize("lines", [1, 2])
def test_text_fits_its_width_and_lines(text: str, lines: int) -> None:
    rows = wrap_text(text, font(12), 150, lines)
    assert len(rows) <= lines
    assert all(font(12).getlength(row) <= 150 for row in rows)
    whole = " ".join(text.split())
    assert "".join(rows).replace(" ", "") == whole.replace(" ", "") or rows[-1].endswith("…")


def test_cut_text_ends_in_an_ellipsis() -> None:
    assert wrap_text("The Adoration of the Shepherds", font(12), 120) == ["The Adoration of…"]


def test_a_card_stays_inside_its_cell(paintings: Path) -> None:
    blank = Page(400, 400)
    draw_card(blank, Card(paintings / "ada/0.png", LONG, LONG, LONG, is_query=True), 100, 100, 150)
    page = blank.draw()
    box = ImageChops.difference(page, Image.new("RGB", page.size, "white")).getbbox()
    assert box is not None
    assert box[0] >= 97 and box[1] >= 97  # the frame is 3 pixels wide
    assert box[2] <= 253 and box[3] <= 100 + card_height(150)


def test_cards_of_a_sheet_do_not_overlap(paintings: Path) -> None:
    cards = [Card(paintings / "ada/0.png", LONG, LONG, LONG)] * 6
    page = np.asarray(sheet(cards, 3, 100, About("header")).draw().convert("L"))
    for column in (14 + 100, 14 + 2 * 114 - 14):
        gap = page[60:, column + 1 : column + 13]  # a letter's edge may spill by a pixel
        assert (gap == 255).all()


def test_an_unreadable_image_is_a_gray_square(tmp_path: Path) -> None:
    page = Page(120, 200)
    draw_card(page, Card(tmp_path / "none.jpg", "query", "gone", ""), 10, 10, 100)
    assert page.draw().getpixel((15, 15)) == (232, 232, 232)


def test_a_neighbors_page_shows_query_and_neighbors(gallery: Gallery) -> None:
    cards = [card(gallery, row, "0.5") for row in range(1, 8)]
    page = neighbors_page(card(gallery, 0, "query", True), cards, About("title", ["run"]))
    assert page.width > 420 + 5 * 200
    assert page.draw().getpixel((14 + 210, 14 + 26 * 2 + 14 + 350))[0] > 150  # ada paints in red


def test_one_neighbor_is_enough_for_a_page(gallery: Gallery) -> None:
    page = neighbors_page(card(gallery, 0, "query"), [card(gallery, 1, "0.5")], About("title"))
    assert page.width < 900


def test_an_overview_has_a_line_for_each_query(gallery: Gallery) -> None:
    index, score = np.tile(np.arange(12, dtype=np.int32), (12, 1)), np.ones((12, 12), np.float32)
    hits = Hits(gallery, "folder")
    small, large = (overview(gallery, index, score, range(n), hits, About("")) for n in (2, 4))
    assert large.height - small.height == 2 * (card_height(130) + 14)
    assert small.width == 14 + 11 * (130 + 14)


def test_a_card_without_a_title_shows_the_file_name(gallery: Gallery) -> None:
    shown = card(gallery, 5, "0.9")
    assert (shown.title, shown.note) == ("1", "bea")


@pytest.mark.parametrize(
    ("size", "expected"), [((2000, 3), (96, 1)), ((3, 2000), (1, 96)), ((8, 4), (96, 48))]
)
def test_a_thumbnail_of_any_shape_has_pixels(size, expected, tmp_path: Path) -> None:
    Image.new("RGB", size, "red").save(tmp_path / "thin.png")
    assert thumbnail(tmp_path / "thin.png", 96).size == expected


@pytest.mark.parametrize(
    ("title", "date", "shown"),
    [
        ("Sea", "1909", ["Henri-Edmond", "Cross-Delacroix, 1909"]),
        ("A title that takes up two whole lines", "1909", ["Henri-Edmond Cr…, 1909"]),
        (
            "A title that takes up two whole lines",
            "reworked in about 1909",
            ["Henri-Edmond Cross-De…"],
        ),
    ],
)
def test_a_note_that_is_too_long_keeps_its_date(
    title: str, date: str, shown: list[str], tmp_path: Path
) -> None:
    note = f"Henri-Edmond Cross-Delacroix, {date}"
    page = Page(200, 300)
    draw_card(page, Card(tmp_path / "none.png", "0.5", title, note, date), 0, 0, 130)
    notes = [item.text for item in page.items if isinstance(item, Text) and item.color == FAINT]
    assert notes == shown


def test_hits_are_underlined_and_a_query_is_framed(paintings: Path) -> None:
    drawn = []
    for facts in ({}, {"is_hit": True}, {"is_query": True}):
        page = Page(200, 300)
        draw_card(page, Card(paintings / "ada/0.png", "", "", "", **facts), 20, 20, 100)
        drawn.append([item for item in page.items if isinstance(item, Box)])
    assert [len(boxes) for boxes in drawn] == [0, 1, 4]
    assert (drawn[1][0].y, drawn[1][0].width) == (120, 100)


def test_a_wide_query_is_at_the_top_of_its_page(tmp_path: Path) -> None:
    Image.new("RGB", (1000, 10), "red").save(tmp_path / "wide.png")
    query = Card(tmp_path / "wide.png", "query", "", "", is_query=True)
    page = neighbors_page(query, [query], About("title"))
    first, second = (item for item in page.items if isinstance(item, Picture))
    assert first.y < second.y
