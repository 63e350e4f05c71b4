"""Pages in pixels and as PDF: sharp, inside their edges, with text that can be searched."""

import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.reporting.page_files import save_page
from src.reporting.pages import Box, Page, Picture, Text

WORDS = "Girl with a flute, Łódź: $5 and $6"


def page(dpi: int, *texts: str) -> Page:
    """Return a page with a box, an image of 40 pixels, and texts."""
    made = Page(200, 100, dpi)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))
    made.add(Box(10, 20, 30, 3, "#1f5fa8"), Picture(image, 150, 10))
    made.add(*(Text(text, 10, 40 + 20 * n, 10, "#000000", False) for n, text in enumerate(texts)))
    return made


def streams(path: Path) -> bytes:
    """Return the parts of a PDF, uncompressed where it can be."""
    content, parts = path.read_bytes(), [b""]
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        try:
            parts.append(zlib.decompress(match[1]))
        except zlib.error:
            continue
    return content + b"\n".join(parts)


@pytest.mark.parametrize("dpi", [72, 144, 300])
def test_places_and_sizes_scale_with_the_resolution(dpi: int) -> None:
    drawn = np.asarray(page(dpi).draw())
    assert drawn.shape == (round(100 * dpi / 144), round(200 * dpi / 144), 3)
    blue = (drawn == (0x1F, 0x5F, 0xA8)).all(axis=2)
    rows, columns = (np.flatnonzero(blue.any(axis=axis)) for axis in (1, 0))
    assert columns[0] == round(10 * dpi / 144) and columns[-1] + 1 == round(40 * dpi / 144)
    assert rows[0] == round(20 * dpi / 144) and rows[-1] + 1 == round(23 * dpi / 144)


def test_text_of_print_has_more_detail_than_enlarged_text_of_the_screen() -> None:
    small, large = (page(dpi, WORDS).draw().convert("L") for dpi in (144, 576))
    enlarged = np.asarray(small.resize(large.size, Image.Resampling.BICUBIC), np.int16)
    edges = [np.abs(np.diff(np.asarray(image, np.int16))).max() for image in (large, enlarged)]
    assert edges[0] > 1.2 * edges[1]


def test_a_pdf_has_its_text_as_text_and_its_images_whole(tmp_path: Path) -> None:
    save_page(page(300, WORDS), tmp_path / "a.pdf", WORDS)
    content = streams(tmp_path / "a.pdf")
    assert b"/MediaBox [ 0 0 100 50 ]" in content  # in points
    assert b"/CIDFontType2" in content and b"/Type3" not in content  # TrueType, as journals ask for
    shown = b"".join(re.findall(rb"\(\0(.)\)", content))
    assert b"Girl with a flute, " in shown  # each letter for itself, so that a search finds it
    assert b"<0141>" in content  # what to search for Ł
    assert b"/Width 40" in content and content.count(b"/Subtype /Image") == 1


@pytest.mark.parametrize("text", ["\u05e6\u05d9\u05d5\u05e8", "\u0644\u0648\u062d\u0629"])
def test_letters_of_other_directions_are_images_in_a_pdf(text: str, tmp_path: Path) -> None:
    save_page(page(300, text), tmp_path / "a.pdf", "")
    assert streams(tmp_path / "a.pdf").count(b"/Subtype /Image") == 3  # with its transparency


def test_equal_pages_are_equal_files(tmp_path: Path) -> None:
    for suffix in ("pdf", "png", "jpg"):
        for name in "ab":
            save_page(page(300, WORDS), tmp_path / f"{name}.{suffix}", WORDS)
        contents = [(tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab"]
        assert contents[0] == contents[1]
