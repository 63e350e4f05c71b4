"""Captions cut to a width: as if every length was tried, but measuring only what is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from src.reporting.pages import font
from src.reporting.wrapping import wrap_text

LETTERS = "aiWTVA.,- \n\t\u0301\u0308éßŁΩЖ"  # narrow, wide, kerned, combining, blank
LONG = {
    "one word": "Wanderer" * 12_500,
    "many words": "sea and " * 50_000,
    "lines": "sea\n" * 25_000,
    "combining marks": "e" + "\u0301" * 100_000 + "nd",
    "blanks": "sea" + " " * 100_000 + "and",
}


class CountedFont:
    """A font that counts the letters that it measures."""

    def __init__(self, face: ImageFont.FreeTypeFont) -> None:
        self.face, self.letters = face, 0

    def getlength(self, text: str) -> float:
        """Return the width of text in pixels."""
        self.letters += len(text)
        return self.face.getlength(text)


def by_every_length(text: str, face: ImageFont.FreeTypeFont, width: int, lines: int) -> list[str]:
    """Wrap text by measuring every length from the whole down, as the first version did."""
    words, rows = " ".join(text.split()), list[str]()
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


@given(
    st.text(LETTERS, max_size=60),
    st.sampled_from([1, 8, 20, 60, 150]),
    st.sampled_from([1, 2, 3]),
    st.booleans(),
)
def test_captions_are_those_that_trying_every_length_gives(text, width, lines, bold):
    face = font(12, bold)
    assert wrap_text(text, face, width, lines) == by_every_length(text, face, width, lines)


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_long_text_is_hardly_measured_beyond_what_fits(text):
    counted = CountedFont(font(12))
    rows = wrap_text(text, counted, 150, 2)
    shown = sum(map(len, rows))
    assert counted.letters <= 10 * max(100, shown * shown.bit_length())
    assert len(rows) <= 2 and all(font(12).getlength(row) <= 150 for row in rows)
