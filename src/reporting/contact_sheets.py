"""Pictures of galleries and of neighbors: images in a grid with captions.

Sizes are in the units of a Page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from src.config.data import Data
from src.gallery import Gallery
from src.gallery.captions import caption_of, readable_title
from src.io.images import load_rgb
from src.io.unreadable import Unreadable
from src.reporting.fonts import Face, displayable
from src.reporting.hits import Hits
from src.reporting.pages import SCREEN_DPI, Box, Page, Picture, font, line_height, lines_of
from src.reporting.text import format_number
from src.reporting.wrapping import fitting_letters, wrap_text

GAP = 14  # between cells
UNDERLINE = 3  # height of a hit's underline and of a query's frame
INK, FAINT, ACCENT, BLANK, WARNING = "#1c1c1c", "#6b6b6b", "#1f5fa8", "#e8e8e8", "#8a4b00"
TITLE_SIZE, TEXT_SIZE, SOURCE_SIZE = 18, 14, 11  # of text outside of cards
SHORT_DATE = 12  # letters of a date that is shown whole
MAX_PIXELS = Data().max_pixels  # larger images are not decoded
UNREADABLE, NO_PICTURE = "unreadable", "no picture"
SHEET_IMAGE = 130  # side of a square on an overview


@dataclass(frozen=True)
class Card:
    """An image and its caption."""

    path: Path
    heading: str  # bold, one line
    title: str  # up to two lines
    note: str  # gray, one line; two where the title is short
    date: str = ""  # with which the note ends; a short one is not cut
    is_query: bool = False  # with a frame, and the heading in color
    is_hit: bool = False  # underlined


@dataclass(frozen=True)
class About:
    """What a page says besides its images."""

    title: str  # bold
    facts: Sequence[str] = ()  # gray, below it
    warning: str = ""  # in another color
    underlined: str = ""  # what the line below some images means
    source: str = ""  # small, at the bottom


def thumbnail(path: Path, size: int) -> Image.Image:
    """Return the image at path scaled to fit a square of size pixels.

    One that is not there, or cannot be read, becomes a gray square that says so.
    """
    try:
        return scaled_image(path, size)
    except Unreadable:
        return gray_square(size, UNREADABLE if path.exists() else NO_PICTURE)


def scaled_image(path: Path, size: int, enlarge: bool = True) -> Image.Image:
    """Return the image at path scaled to fit a square of size pixels, or as it is if it is smaller.

    A side has at least one pixel. Raises Unreadable.
    """
    image = load_rgb(path, MAX_PIXELS, lambda w, h: _decode_size(size, w, h))
    longer = max(image.size)
    scale = size / (longer if enlarge else max(longer, size))
    width, height = (max(1, round(scale * side)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def gray_square(size: int, text: str = UNREADABLE) -> Image.Image:
    """Return a gray square that stands for an image that cannot be shown, and says why."""
    image = Image.new("RGB", (size, size), BLANK)
    face = font(max(6, min(12, size // 8)))
    pen, middle = ImageDraw.Draw(image), (size / 2, size / 2)
    pen.text(middle, text, FAINT, face.base, anchor="mm")
    return image


def _decode_size(size: int, width: int, height: int) -> tuple[int, int]:
    """Return the width and height to decode: twice the thumbnail's, at most the image's."""
    scale = min(1.0, 2 * size / max(width, height))
    return ceil(scale * width), ceil(scale * height)


def card_height(size: int) -> int:
    """Return the height of a card whose image fits a square of this size."""
    return size + 6 + 4 * line_height(_text_size(size))


def _text_size(size: int) -> int:
    return max(10, min(16, size // 13))


def draw_card(
    page: Page, card: Card, left: int, top: int, size: int, is_alone: bool = False
) -> None:
    """Draw a card: the image in the lower left of a square of this size, the caption below.

    One that is alone, without others beside it, is in the upper left.
    """
    image = thumbnail(card.path, page.pixels(size))
    width, height = (side / page.scale for side in image.size)
    if is_alone:
        top -= size - round(height)
    x, y = left, top + size - height
    page.add(Picture(image, x, y))
    if card.is_query:
        page.frame(x, y, width, height, UNDERLINE, ACCENT)
    elif card.is_hit:
        page.add(Box(x, top + size, width, UNDERLINE, ACCENT))
    y, text = top + size + 6, _text_size(size)
    plain, room = page.face(text), page.pixels(size)
    title = wrap_text(card.title, plain, room, 2)
    for rows, color, bold in (
        (wrap_text(card.heading, page.face(text, True), room), _ink(card), True),
        (title, INK, False),
        (_wrap_note(card, plain, room, 3 - len(title)), FAINT, False),
    ):
        page.add(*lines_of(rows, left, y, (text, color, bold)))
        y += len(rows) * line_height(text)


def _ink(card: Card) -> str:
    """Return the color of the heading."""
    return ACCENT if card.is_query else INK


def _wrap_note(card: Card, face: Face, width: int, lines: int) -> list[str]:
    """Return the note in at most `lines` lines; if it is cut, then before the date."""
    rows, end = wrap_text(card.note, face, width, lines), f"…, {card.date}"
    if not 0 < len(card.date) <= SHORT_DATE or not rows or rows[-1].endswith(card.date):
        return rows
    person = card.note.removesuffix(card.date).rstrip(", ")
    kept = person[: fitting_letters(person, face, width, end)].rstrip()
    return wrap_text(f"{kept}{end}" if kept else card.date, face, width)


def _write(
    page: Page, text: str, y: int, size: int, color: str, bold: bool, indent: int = 0
) -> int:
    """Write text over the width of the page, in at most three lines; return where it ends."""
    width = page.pixels(page.width - 2 * GAP - indent)
    rows = wrap_text(displayable(text), page.face(size, bold), width, 3)
    page.add(*lines_of(rows, GAP + indent, y, (size, color, bold)))
    return y + len(rows) * line_height(size)


def draw_header(page: Page, about: About) -> int:
    """Write what is above the images; return where they may begin."""
    y = _write(page, about.title, GAP, TITLE_SIZE, INK, True) + 2
    for fact in about.facts:
        y = _write(page, fact, y, TEXT_SIZE, FAINT, False)
    if about.warning:
        y = _write(page, about.warning, y, TEXT_SIZE, WARNING, True)
    if about.underlined:
        page.add(Box(GAP, y + 13, 28, UNDERLINE, ACCENT))
        y = _write(page, about.underlined, y, TEXT_SIZE, FAINT, False, indent=36)
    return y + GAP + UNDERLINE


def draw_source(page: Page, about: About, y: int) -> None:
    """Write the last line of the page, and end the page below it."""
    page.height = (
        _write(page, about.source, y, SOURCE_SIZE, FAINT, False) + GAP if about.source else y
    )


def sheet(
    cards: Sequence[Card], columns: int, size: int, about: About, dpi: int = SCREEN_DPI
) -> Page:
    """Return a page of cards in rows of `columns`."""
    page = Page(GAP + columns * (size + GAP), dpi=dpi)
    top, step = draw_header(page, about), card_height(size) + GAP
    for number, card in enumerate(cards):
        row, column = divmod(number, columns)
        draw_card(page, card, GAP + column * (size + GAP), top + row * step, size)
    draw_source(page, about, top + -(-len(cards) // columns) * step)
    return page


def neighbors_page(query: Card, cards: Sequence[Card], about: About, dpi: int = SCREEN_DPI) -> Page:
    """Return a page with the query, large, and its neighbors beside it, best first, five a row."""
    size, large, columns = 200, 420, min(5, len(cards))
    left = GAP + large + 3 * GAP
    page = Page(left + columns * (size + GAP), dpi=dpi)
    top, step = draw_header(page, about), card_height(size) + GAP
    draw_card(page, query, GAP, top, large, is_alone=True)
    for number, card in enumerate(cards):
        row, column = divmod(number, columns)
        draw_card(page, card, left + column * (size + GAP), top + row * step, size)
    height = max(card_height(large) + GAP, -(-len(cards) // columns) * step)
    draw_source(page, about, top + height)
    return page


def card(
    gallery: Gallery, row: int, heading: str, is_query: bool = False, is_hit: bool = False
) -> Card:
    """Return the card of a gallery's image: title, else the file's name, then artist and date."""
    file, caption = gallery.files[row], caption_of(gallery.work(row))
    title = caption.title or readable_title(Path(file).stem)
    folder = gallery.works["folder"][row] if "folder" in gallery.works else ""
    note = ", ".join(filter(None, [caption.artist or folder, caption.date]))
    title, note, date = map(_one_line, (title, note, caption.date))
    return Card(gallery.root / file, heading, title, note, date, is_query, is_hit)


def _one_line(text: str) -> str:
    """Return text as it is drawn, with blanks for its line breaks."""
    return displayable(" ".join(text.split()))


def overview(
    gallery: Gallery,
    index: NDArray[np.int32],
    score: NDArray[np.float32],
    rows: Sequence[int],
    hits: Hits,
    about: About,
) -> Page:
    """Return a page with a line per query row: the image, framed, and up to ten neighbors.

    index and score are (n, k), best first.
    """
    shown, cards = min(10, index.shape[1]), []
    for row in rows:
        cards.append(card(gallery, row, "query", is_query=True))
        nearest = zip(index[row, :shown].tolist(), score[row, :shown].tolist(), strict=True)
        cards += [
            card(gallery, neighbor, format_number(value), is_hit=hits(row, neighbor))
            for neighbor, value in nearest
        ]
    return sheet(cards, shown + 1, SHEET_IMAGE, about)
