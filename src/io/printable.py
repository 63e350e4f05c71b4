r"""Text as it may be shown: what has no shape of its own is escaped, as \x1b or \u202e.

Titles, names of files and answers of servers are written by others. Escape sequences in them could
repaint the terminal or set its title, line breaks forge a line of a log, and overrides of direction
reverse what a line says.
"""

import re
import unicodedata

# Formats (Cf) with a shape: Arabic and Syriac signs that enclose the digits or letters behind them
ENCLOSING = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
# Formats without a shape that shape what is before them: joiners in Persian, Hindi or emoji, and
# marks of direction in Hebrew or Arabic. In Latin they would only hide. None goes beyond its place,
# as embeddings, overrides and isolates of direction do
SHAPING = frozenset("\u200c\u200d\u200e\u200f\u061c")
SHAPED = re.compile(r"[\u0590-\u1dff\u2070-\U0010ffff]")  # from Hebrew on; not Latin Extended


def printable(text: object) -> str:
    r"""Return text as one line on which all can be seen.

    By Unicode category, control characters (Cc), formats (Cf), surrogates (Cs, bytes of a file
    name that are not UTF-8), private and unassigned characters (Co, Cn), and separators of lines
    and paragraphs (Zl, Zp) are escaped. Of formats, ENCLOSING have a shape, and SHAPING stay behind
    a letter of a script that needs them, or an emoji.

    >>> print(printable("Mo\x1b[2Jnet\n"))
    Mo\x1b[2Jnet\n
    """
    return _escaped(str(text), "")


def printable_lines(text: object) -> str:
    """Return text as `printable` does, but for its line feeds and tabs: those of our own tables."""
    return _escaped(str(text), "\n\t")


def _escaped(text: str, kept: str) -> str:
    """Return text with what cannot be seen escaped, except for the characters of `kept`."""
    if text.isprintable():
        return text
    pairs = zip(" " + text, text, strict=False)
    return "".join(
        sign if sign in kept or is_visible(sign, before) else _escape(sign)
        for before, sign in pairs
    )


def is_visible(sign: str, before: str) -> bool:
    """Return whether a character can be seen, or shapes the one before it."""
    if sign.isprintable() or sign in ENCLOSING:
        return True
    if sign in SHAPING:
        return SHAPED.match(before) is not None
    return unicodedata.category(sign) == "Zs"  # blanks of any width


def without_invisible(text: str) -> str:
    r"""Return text without the control characters and formats (Cc, Cf) that `printable` escapes.

    Blanks stay, tabs and separators of lines among them; so do bytes of a file name that are not
    UTF-8, and private and unassigned characters, which may be letters of names that are newer than
    this program knows.

    >>> without_invisible("Claude\u202e Mo\x1bnet")
    'Claude Monet'
    """
    if text.isprintable():
        return text
    pairs = zip(" " + text, text, strict=False)
    return "".join(sign for before, sign in pairs if not _is_invisible(sign, before))


def one_line(text: str) -> str:
    r"""Return text without_invisible characters, with single blanks between its words.

    >>> one_line(" Claude\tMo\u200bnet\n")
    'Claude Monet'
    """
    return " ".join(without_invisible(text).split())


def _is_invisible(sign: str, before: str) -> bool:
    if sign.isspace() or is_visible(sign, before):
        return False
    return unicodedata.category(sign) in ("Cc", "Cf")


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
