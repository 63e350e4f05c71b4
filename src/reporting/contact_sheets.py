"""Pictures of galleries and neighbors: images in a grid with captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from src.config.data import Data
from src.gallery import Gallery
from src.io.images import Unreadable, load_rgb

GAP = 14  # pixels between cells
INK, FAINT, ACCENT, BLANK = "#1c1c1c", "#6b6b6b", "#1f5fa8", "#e8e8e8"
MAX_PIXELS = Data().max_pixels


@dataclass(frozen=True)
class Card:
    """An image and its caption: a heading, a title of up to two lines, a line in gray."""

    path: Path
    heading: str
    title: str
    note: str
    marked: bool = False  # framed, with its heading in color


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib; it has Latin, Greek and Cyrillic letters."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)


def fitted(text: str, face: ImageFont.FreeTypeFont, width: int, lines: int = 1) -> list[str]:
    """text broken into at most that many lines of that many pixels; "…" where it is cut."""
    words = " ".join(text.split())
    rows: list[str] = []
    while words and len(rows) < lines:
        end = len(words)
        while face.getlength(words[:end]) > width and end > 1:
            space = words.rfind(" ", 1, end)
            end = space if space > 0 else end - 1
        rows.append(words[:end])
        words = words[end:].lstrip()
    if words:
        last = f"{rows[-1]} {words}"
        while last and face.getlength(f"{last}…") > width:
            last = last[:-1]
        rows[-1] = f"{last.rstrip()}…"
    return rows


def thumbnail(path: Path, size: int) -> Image.Image:
    """An image made to fit a square of size pixels; a gray one that says so if it is unreadable."""
    try:
        image = load_rgb(path, MAX_PIXELS, lambda w, h: _twice(size, w, h))
    except Unreadable:
        image = Image.new("RGB", (size, size), BLANK)
        face = font(max(6, min(12, size // 8)))
        ImageDraw.Draw(image).text((size / 2, size / 2), "unreadable", FAINT, face, anchor="mm")
    scale = size / max(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _twice(size: int, width: int, height: int) -> tuple[int, int]:
    """What of a larger image is enough for size pixels."""
    scale = min(1.0, 2 * size / max(width, height))
    return ceil(scale * width), ceil(scale * height)


def card_height(size: int) -> int:
    """Pixels of a card whose image fits a square of size pixels."""
    return size + 6 + 4 * _line(size)


def _line(size: int) -> int:
    return round(1.45 * _text(size))


def _text(size: int) -> int:
    return max(10, min(16, size // 13))


def draw_card(page: Image.Image, card: Card, left: int, top: int, size: int) -> None:
    """Put a card's image, in the lower left of a square of size pixels, and its caption below."""
    pen, line, image = ImageDraw.Draw(page), _line(size), thumbnail(card.path, size)
    x, y = left, top + size - image.height
    page.paste(image, (x, y))
    if card.marked:
        pen.rectangle((x - 3, y - 3, x + image.width + 2, y + image.height + 2), None, ACCENT, 3)
    top += size + 6
    bold, plain = font(_text(size), True), font(_text(size))
    texts = [
        (row, bold, ACCENT if card.marked else INK) for row in fitted(card.heading, bold, size)
    ]
    texts += [(row, plain, INK) for row in fitted(card.title, plain, size, 2)]
    texts += [(row, plain, FAINT) for row in fitted(card.note, plain, size)]
    for number, (text, face, color) in enumerate(texts):
        pen.text((left, top + number * line), text, color, face)


def sheet(cards: Sequence[Card], columns: int, size: int, header: Sequence[str]) -> Image.Image:
    """Cards in rows of so many columns, under a header whose first line is bold."""
    rows = -(-len(cards) // columns)
    top = GAP + 26 * len(header) + GAP
    width = GAP + columns * (size + GAP)
    page = Image.new("RGB", (width, top + rows * (card_height(size) + GAP)), "white")
    _header(page, header)
    for number, card in enumerate(cards):
        row, column = divmod(number, columns)
        left, down = GAP + column * (size + GAP), top + row * (card_height(size) + GAP)
        draw_card(page, card, left, down, size)
    return page


def _header(page: Image.Image, lines: Sequence[str]) -> None:
    pen = ImageDraw.Draw(page)
    for number, text in enumerate(lines):
        face = font(18, True) if number == 0 else font(14)
        row = fitted(text, face, page.width - 2 * GAP)[:1]
        pen.text((GAP, GAP + 26 * number), "".join(row), INK if number == 0 else FAINT, face)


def neighbors_page(query: Card, cards: Sequence[Card], header: Sequence[str]) -> Image.Image:
    """A painting, large, and its neighbors beside it, five to a row, best first."""
    size, large, columns = 200, 420, min(5, len(cards))
    rows = -(-len(cards) // columns)
    top = GAP + 26 * len(header) + GAP
    width = GAP + large + 3 * GAP + columns * (size + GAP)
    height = max(card_height(large), rows * (card_height(size) + GAP))
    page = Image.new("RGB", (width, top + height + GAP), "white")
    _header(page, header)
    draw_card(page, query, GAP, top, large)
    for number, card in enumerate(cards):
        row, column = divmod(number, columns)
        left = GAP + large + 3 * GAP + column * (size + GAP)
        draw_card(page, card, left, top + row * (card_height(size) + GAP), size)
    return page


def card(gallery: Gallery, row: int, heading: str, marked: bool = False) -> Card:
    """An image of a gallery, with its title (else its file's name) and artist."""
    work = gallery.works.iloc[row]
    title = work.get("title", "") or Path(work["file"]).stem
    if " " not in title:  # a slug, which reads and breaks better as words
        title = title.replace("-", " ").replace("_", " ")
    known = [work.get("artist", ""), work.get("date", "")]
    path = gallery.root / work["file"]
    return Card(path, heading, title, ", ".join(filter(None, known)), marked)


def overview(
    gallery: Gallery, index: NDArray[np.int32], score: NDArray[np.float32], rows: Sequence[int]
) -> Image.Image:
    """One line for each of some queries: the painting, framed, then its neighbors, at most ten."""
    shown = min(10, index.shape[1])
    cards = []
    for row in rows:
        cards.append(card(gallery, row, "query", marked=True))
        nearest = zip(index[row, :shown], score[row, :shown], strict=True)
        cards += [card(gallery, other, f"{value:.3f}") for other, value in nearest]
    header = [f"{len(rows)} of {len(gallery)} paintings and their nearest, best first"]
    return sheet(cards, shown + 1, 130, header)
