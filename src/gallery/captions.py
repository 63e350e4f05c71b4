"""Captions of images: title, artist and date as a reader would write them."""

import re
from collections.abc import Mapping
from typing import NamedTuple

COLUMNS = ("title", "title_slug", "artist", "date", "year")  # of works.csv, those that are there

# Words without a possessive
SMALL = {
    *("a", "an", "and", "at", "by", "de", "del", "di", "for", "from", "in", "la", "near", "of"),
    *("on", "or", "the", "to", "toward", "towards", "with"),
}


class Caption(NamedTuple):
    """What is said about an image, "" for what is unknown."""

    title: str
    artist: str
    date: str

    def __str__(self) -> str:
        """Return title, artist and date, separated by commas."""
        return ", ".join(filter(None, self))


def caption_of(work: Mapping[str, str]) -> Caption:
    """Return the caption of a row of works.csv, of which it needs COLUMNS.

    A title from file names or addresses becomes words, and a year is told once.

    >>> str(caption_of({"title": "the-tedder-1884", "artist": "Pissarro", "year": "1884.0"}))
    'The tedder, Pissarro, 1884'
    """
    date = date_of(work)
    slug = work.get("title_slug", "")
    title = work.get("title", "") or slug
    title = readable_title(title, date, is_slug=title == slug)
    is_dated = date and re.search(rf"(?<!\w){re.escape(date)}(?!\w)", title)
    return Caption(title, work.get("artist", ""), "" if is_dated else date)


def date_of(work: Mapping[str, str]) -> str:
    """Return the date of a row of works.csv, else its year, "" if neither is known."""
    return _plain_number(work.get("date", "") or work.get("year", ""))


def _plain_number(text: str) -> str:
    """Return 1884 for 1884.0, as a spreadsheet with empty cells writes a year; else the text."""
    return re.sub(r"(-?\d+)\.0+", r"\1", text) if re.fullmatch(r"-?\d+\.0+", text) else text


def readable_title(text: str, date: str = "", is_slug: bool = False) -> str:
    """Return a title that a program wrote without blanks as words, any other as it is.

    A hyphen in "Self-Portrait" is one, and in lower case it stands for a blank. The date is left
    out at the end. With is_slug, a single word is such a title, too.

    >>> readable_title("girl-with-a-flute"), readable_title("the-tedder-1884-1", "1884")
    ('Girl with a flute', 'The tedder (1)')
    >>> readable_title("the-child-s-caress"), readable_title("church-of-s-maria")
    ("The child's caress", 'Church of s maria')
    """
    words = [part for part in re.split(r"[-_()]+", text) if part.isalpha() and len(part) > 1]
    is_joined = "_" in text or ("-" in text and text == text.lower())
    if " " in text or not words or not (is_joined or is_slug):
        return text
    ended = rf"(?:[-_]{re.escape(date)}(?:[-_](\d{{1,2}}))?)?" if date.isdecimal() else "(){0}"
    found = re.fullmatch(rf"(.+?){ended}(?:\((\d{{1,2}})\))?", text, re.DOTALL)
    assert found is not None  # its first group takes any text
    title, *numbers = found.groups()
    title = title.replace("_", " ")
    if text == text.lower():
        title = re.sub(r"(\w+) s(?= |$)", _possessive, title.replace("-", " "))
        title = title[:1].upper() + title[1:]
    return " ".join([title, *(f"({number})" for number in numbers if number)])


def _possessive(found: re.Match[str]) -> str:
    """Return "child's" for "child s"; behind SMALL words, s is short for saint."""
    return found[0] if found[1] in SMALL else f"{found[1]}'s"
