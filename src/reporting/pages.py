"""A page of images, boxes and text, drawn in pixels or as a PDF whose text is text.

Places and sizes are in units of 1/144 inch, whatever the resolution.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from PIL import Image, ImageDraw

from src.reporting.fonts import Face

UNITS = 144  # in an inch
SCREEN_DPI, PRINT_DPI = 144, 300


@cache
def font(size: float, bold: bool = False) -> Face:
    """Return the fonts of one size in pixels."""
    return Face(size, bold)


@dataclass(frozen=True)
class Picture:
    """An image with its upper left corner."""

    image: Image.Image
    x: float
    y: float


@dataclass(frozen=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    color: str


@dataclass(frozen=True)
class Text:
    """One line of text with its upper left corner."""

    text: str
    x: float
    y: float
    size: float
    color: str
    bold: bool


@dataclass
class Page:
    """What is on a page, in the order in which it is drawn. The height may be set at the end."""

    width: int
    height: int = 0
    dpi: int = SCREEN_DPI
    items: list[Picture | Box | Text] = field(default_factory=list)

    @property
    def scale(self) -> float:
        """Return the pixels of a unit."""
        return self.dpi / UNITS

    def pixels(self, units: float) -> int:
        """Return a length in pixels."""
        return round(units * self.scale)

    def face(self, size: float, bold: bool = False) -> Face:
        """Return the fonts of a size, which measure in pixels."""
        return font(size * self.scale, bold)

    def add(self, *items: Picture | Box | Text) -> None:
        """Draw items above those that are there."""
        self.items += items

    def frame(self, x: float, y: float, width: float, height: float, edge: int, color: str) -> None:
        """Draw the edge around a rectangle."""
        across, down = width + 2 * edge, height
        self.add(Box(x - edge, y - edge, across, edge, color), Box(x - edge, y, edge, down, color))
        self.add(
            Box(x - edge, y + height, across, edge, color), Box(x + width, y, edge, down, color)
        )

    def draw(self) -> Image.Image:
        """Return the page in pixels."""
        page = Image.new("RGB", (self.pixels(self.width), self.pixels(self.height)), "white")
        pen = ImageDraw.Draw(page)
        for item in self.items:
            x, y = self.pixels(item.x), self.pixels(item.y)
            if isinstance(item, Picture):
                page.paste(item.image, (x, y))
            elif isinstance(item, Box):
                right, down = self.pixels(item.x + item.width), self.pixels(item.y + item.height)
                pen.rectangle((x, y, max(x, right - 1), max(y, down - 1)), item.color)
            else:
                self.face(item.size, item.bold).draw(pen, (x, y), item.text, item.color)
        return page


def lines_of(
    texts: Sequence[str], x: float, y: float, style: tuple[float, str, bool]
) -> list[Text]:
    """Return texts one below the other, in a style of size, color and bold."""
    size, color, bold = style
    return [
        Text(text, x, y + number * line_height(size), size, color, bold)
        for number, text in enumerate(texts)
    ]


def line_height(size: float) -> int:
    """Return the distance of two lines of text."""
    return round(1.45 * size)
