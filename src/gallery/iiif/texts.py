"""The texts of a IIIF document: one language of several, without HTML, on one line."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import islice
from typing import Any

from src.gallery.names import normal_text
from src.io.json_text import as_list

MAX_VALUES = 100  # of one label or value
MAX_SOURCE = 10_000  # characters of a text that are looked at
MAX_TEXT = 2_000  # characters of a text that are kept
TAG = re.compile(r"</?[A-Za-z][^>]{0,2000}>")
ENTITY = re.compile(r"&(?:#\w{1,8}|\w{2,32});")
NO_LANGUAGE = ("", "none", "@none")


def texts(value: Any, language: str) -> list[str]:
    """Return the different texts of a label or value of Presentation 2 or 3, [] if it has none.

    Of several languages it takes the given one, else texts without a language, else English, else
    the first. Anything that is no text is left out.
    """
    pairs = [(tag, plain_text(text)) for tag, text in islice(_pairs(value), MAX_VALUES)]
    chosen = _choose([tag for tag, text in pairs if text], language)
    return list(dict.fromkeys(text for tag, text in pairs if text and tag == chosen))


def _pairs(value: Any) -> Iterator[tuple[str, str]]:
    """Yield (language, text) of every text; the language is "" if it has none."""
    for item in as_list(value):
        if not isinstance(item, dict):
            yield from _text("", item)
        elif "@value" in item:  # Presentation 2
            yield from _text(item.get("@language"), item["@value"])
        else:  # Presentation 3: texts by language
            for tag, several in item.items():
                for text in as_list(several):
                    yield from _text(tag, text)


def _text(tag: Any, value: Any) -> Iterator[tuple[str, str]]:
    """Yield a text or a number with its language."""
    language = tag.casefold() if isinstance(tag, str) else ""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        yield "" if language in NO_LANGUAGE else language, str(value)


def _choose(tags: list[str], language: str) -> str:
    """Return the language that is shown, of those of texts in their order."""
    for wanted in (language.casefold(), "", "en"):
        for tag in tags:
            if tag == wanted or (wanted and tag.startswith(f"{wanted}-")):  # en-GB for en
                return tag
    return next(iter(tags), "")


def plain_text(text: str) -> str:
    """Return text without tags and entities of HTML, as normal_text, of at most MAX_TEXT signs.

    >>> plain_text("<p>Vermeer &amp; <b>others</b></p>")
    'Vermeer & others'
    """
    text = text[:MAX_SOURCE]
    if TAG.search(text) or ENTITY.search(text):
        reader = _Reader()
        reader.feed(text)
        reader.close()
        text = "".join(reader.parts)
    text = text.encode("utf-8", "replace").decode()  # a half of a surrogate pair is no letter
    return normal_text(text)[:MAX_TEXT].strip()


class _Reader(HTMLParser):
    """Collect the text of HTML; breaks and paragraphs become blanks."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0  # open elements whose content is no text

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Add a blank where a line begins."""
        self._hidden += tag in ("script", "style")
        if tag in ("br", "p", "div", "li"):
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """Add a blank where a paragraph ends."""
        self._hidden = max(0, self._hidden - (tag in ("script", "style")))
        if tag in ("p", "div", "li"):
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        """Add text."""
        if not self._hidden:
            self.parts.append(data)
