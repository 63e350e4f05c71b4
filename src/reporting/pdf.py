"""Write a page as PDF: images with all their pixels, and text as text.

Letters that DejaVu Sans lacks, and those that are not simply drawn one behind the other, are images
in the page's resolution.
"""

import unicodedata
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from PIL import Image, ImageColor, ImageDraw

from src import __version__
from src.reporting.fonts import base_font, has_letters
from src.reporting.pages import UNITS, Box, Page, Picture, Text, font

POINTS = 72  # in an inch
RIGHT_TO_LEFT = {"R", "AL", "AN"}  # classes of letters


def write_pdf(page: Page, path: Path, title: str) -> None:
    """Write the page; equal pages have equal files."""
    figure = Figure(figsize=(page.width / UNITS, page.height / UNITS), dpi=POINTS)
    axes = figure.add_axes((0, 0, 1, 1))
    for item in page.items:
        if isinstance(item, Box):
            corner = item.x, item.y
            axes.add_patch(Rectangle(corner, item.width, item.height, color=item.color, lw=0))
        elif isinstance(item, Picture):
            _place(axes, page, item)
        elif _is_simple(item):
            _write(axes, item)
        else:
            _place(axes, page, _drawn(page, item))
    axes.set(xlim=(0, page.width), ylim=(page.height, 0))
    axes.set_axis_off()
    program = f"painting-similarity {__version__}"
    facts = {"Title": title, "Creator": program, "CreationDate": None}
    with rc_context({"pdf.fonttype": 42}):  # TrueType: text that can be searched and edited
        figure.savefig(path, format="pdf", metadata=facts)


def _place(axes: Axes, page: Page, item: Picture) -> None:
    """Draw an image with all its pixels."""
    width, height = (side / page.scale for side in item.image.size)
    corners = (item.x, item.x + width, item.y + height, item.y)
    axes.imshow(np.asarray(item.image), extent=corners, aspect="auto", interpolation="none")


def _write(axes: Axes, item: Text) -> None:
    """Write text in DejaVu Sans."""
    face = FontProperties(fname=base_font(item.bold).path, size=item.size * POINTS / UNITS)
    baseline = item.y + font(item.size, item.bold).base.getmetrics()[0]
    style: dict[str, Any] = {"fontproperties": face, "color": item.color, "parse_math": False}
    text = axes.text(item.x, baseline, item.text, **style)
    if hasattr(text, "set_fontfeatures"):  # matplotlib 3.11 joins letters: no search finds "flute"
        text.set_fontfeatures(["-liga"])


def _is_simple(item: Text) -> bool:
    """Return whether DejaVu Sans has all letters, and each stands behind the one before."""
    for sign in item.text:
        is_mark = unicodedata.category(sign)[0] == "M"
        if is_mark or unicodedata.bidirectional(sign) in RIGHT_TO_LEFT:
            return False
    return has_letters(base_font(item.bold), item.text)


def _drawn(page: Page, item: Text) -> Picture:
    """Return text as an image without a background."""
    face = page.face(item.size, item.bold)
    size = ceil(face.getlength(item.text)) + 1, sum(face.base.getmetrics())
    ink = Image.new("L", size, 0)
    face.draw(ImageDraw.Draw(ink), (0, 0), item.text, "white")
    image = Image.new("RGBA", size, ImageColor.getrgb(item.color))
    image.putalpha(ink)
    return Picture(image, item.x, item.y)
