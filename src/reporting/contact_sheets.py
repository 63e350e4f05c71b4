"""Pictures of galleries and of neighbors: images in a grid with captions."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from src.config.data import Data
from src.gallery import Gallery
from src.io.images import load_rgb
from src.io.unreadable import Unreadable
from src.reporting.fonts import Face, displayable
from src.reporting.text import format_number

GAP = 14  # pixels between cells
INK, FAINT, ACCENT, BLANK = "#1c1c1c", "#6b6b6b", "#1f5fa8", "#e8e8e8"
MAX_PIXELS = Data().max_pixels  # larger images are not decoded
SHEET_IMAGE = 130  # pixels of a square on an overview


@dataclass(frozen=True)
class Card:
    """An image and its caption."""

    path: Path
    heading: str  # bold, one line
    title: str  # up to two lines
    note: str  # gray, one line
    marked: bool = False  # with a frame, and the heading in color


@cache
def font(size: int, bold: bool = False) -> Face:
    """Return the fonts of one size."""
    return Face(size, bold)


def wrap_text(text: str, face: Face, width: int, lines: int = 1) -> list[str]:
    """Return text as at most `lines` lines of at most `width` pixels, with "…" if it is cut."""
    words = " ".join(text.split())
    rows: list[str] = []
    while words and len(rows) < lines:
        end = _fitting_letters(words, face, width)
        if end < len(words):
            space = words.rfind(" ", 1, end + 1)
            end = space if space > 0 else max(1, end)
        rows.append(words[:end])
        words = words[end:].lstrip()
    if words:
        last = f"{rows[-1]} {words}"
        rows[-1] = f"{last[: _fitting_letters(last, face, width, '…')].rstrip()}…"
    return rows


def _fitting_letters(text: str, face: Face, width: int, suffix: str = "") -> int:
    """Return how many letters from the start of text fit into width, with suffix behind them.

    Measures only about what fits, and that a few times, however long the text is.
    """

    def is_too_wide(count: int) -> bool:
        """Return whether that many letters are too wide."""
        return face.getlength(text[:count] + suffix) > width

    bound = 1
    while bound < len(text) and not is_too_wide(bound):
        bound *= 2
    return bisect_left(range(1, min(bound, len(text)) + 1), True, key=is_too_wide)


def thumbnail(path: Path, size: int) -> Image.Image:
    """Return the image at path scaled to fit a square of size pixels.

    An unreadable image becomes a gray square that says so.
    """
    try:
        image = load_rgb(path, MAX_PIXELS, lambda w, h: _decode_size(size, w, h))
    except Unreadable:
        image = Image.new("RGB", (size, size), BLANK)
        face = font(max(6, min(12, size // 8)))
        pen, middle = ImageDraw.Draw(image), (size / 2, size / 2)
        pen.text(middle, "unreadable", FAINT, face.base, anchor="mm")
    scale = size / max(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _decode_size(size: int, width: int, height: int) -> tuple[int, int]:
    """Return the width and height to decode: twice the thumbnail's, at most the image's."""
    scale = min(1.0, 2 * size / max(width, height))
    return ceil(scale * width), ceil(scale * height)


def card_height(size: int) -> int:
    """Return the height in pixels of a card whose image fits a square of size pixels."""
    return size + 6 + 4 * _line_height(size)


def _line_height(size: int) -> int:
    return round(1.45 * _text_size(size))


def _text_size(size: int) -> int:
    return max(10, min(16, size // 13))


def draw_card(page: Image.Image, card: Card, left: int, top: int, size: int) -> None:
    """Draw a card: the image in the lower left of a square of size pixels, the caption below."""
    pen, line_height, image = ImageDraw.Draw(page), _line_height(size), thumbnail(card.path, size)
    x, y = left, top + size - image.height
    page.paste(image, (x, y))
    if card.marked:
        pen.rectangle((x - 3, y - 3, x + image.width + 2, y + image.height + 2), None, ACCENT, 3)
    top += size + 6
    bold, plain = font(_text_size(size), True), font(_text_size(size))
    texts = [
        (row, bold, ACCENT if card.marked else INK) for row in wrap_text(card.heading, bold, size)
    ]
    texts += [(row, plain, INK) for row in wrap_text(card.title, plain, size, 2)]
    texts += [(row, plain, FAINT) for row in wrap_text(card.note, plain, size)]
    for number, (text, face, color) in enumerate(texts):
        face.draw(pen, (left, top + number * line_height), text, color)


def sheet(cards: Sequence[Card], columns: int, size: int, header: Sequence[str]) -> Image.Image:
    """Return a page of cards in rows of `columns`, under a header whose first line is bold."""
    rows = -(-len(cards) // columns)
    top = GAP + 26 * len(header) + GAP
    width = GAP + columns * (size + GAP)
    page = Image.new("RGB", (width, top + rows * (card_height(size) + GAP)), "white")
    _draw_header(page, header)
    for number, card in enumerate(cards):
        row, column = divmod(number, columns)
        left, y = GAP + column * (size + GAP), top + row * (card_height(size) + GAP)
        draw_card(page, card, left, y, size)
    return page


def _draw_header(page: Image.Image, lines: Sequence[str]) -> None:
    pen = ImageDraw.Draw(page)
    for number, text in enumerate(lines):
        face = font(18, True) if number == 0 else font(14)
        row = wrap_text(displayable(text), face, page.width - 2 * GAP)[:1]
        face.draw(pen, (GAP, GAP + 26 * number), "".join(row), INK if number == 0 else FAINT)


def neighbors_page(query: Card, cards: Sequence[Card], header: Sequence[str]) -> Image.Image:
    """Return a page with the query, large, and its neighbors beside it, best first, five a row."""
    size, large, columns = 200, 420, min(5, len(cards))
    rows = -(-len(cards) // columns)
    top = GAP + 26 * len(header) + GAP
    width = GAP + large + 3 * GAP + columns * (size + GAP)
    height = max(card_height(large), rows * (card_height(size) + GAP))
    page = Image.new("RGB", (width, top + height + GAP), "white")
    _draw_header(page, header)
    draw_card(page, query, GAP, top, large)
    for number, card in enumerate(cards):
        row, column = divmod(number, columns)
        left = GAP + large + 3 * GAP + column * (size + GAP)
        draw_card(page, card, left, top + row * (card_height(size) + GAP), size)
    return page


def card(gallery: Gallery, row: int, heading: str, marked: bool = False) -> Card:
    """Return the card of a gallery's image: title, else the file's name, then artist and date."""
    work = gallery.works.iloc[row]
    title = work.get("title", "") or Path(work["file"]).stem
    if " " not in title:  # a slug reads and wraps better as words
        title = title.replace("-", " ").replace("_", " ")
    person = work.get("artist", "") or work.get("folder", "")
    note = ", ".join(filter(None, [person, work.get("date", "")]))
    path = gallery.root / work["file"]
    return Card(path, heading, _one_line(title), _one_line(note), marked)


def _one_line(text: str) -> str:
    """Return text as it is drawn, with blanks for its line breaks."""
    return displayable(" ".join(text.split()))


def overview(
    gallery: Gallery, index: NDArray[np.int32], score: NDArray[np.float32], rows: Sequence[int]
) -> Image.Image:
    """Return a page with a line per query row: the image, framed, and up to ten neighbors.

    index and score are (n, k), best first.
    """
    shown = min(10, index.shape[1])
    cards = []
    for row in rows:
        cards.append(card(gallery, row, "query", marked=True))
        nearest = zip(index[row, :shown], score[row, :shown], strict=True)
        cards += [card(gallery, neighbor, format_number(value)) for neighbor, value in nearest]
    header = [f"{len(rows)} of {len(gallery)} paintings and their neighbors, best first"]
    return sheet(cards, shown + 1, SHEET_IMAGE, header)
