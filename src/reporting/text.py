"""Numbers and tables as text, the same in the terminal, the leaderboard and the trackers."""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from rich.cells import cell_len

from src.io.printable import printable


def format_number(value: float | None) -> str:
    """Return value with three decimals, "" for None, NaN and infinity."""
    return "" if value is None or not isfinite(value) else f"{value:.3f}"


def format_signed(value: float | None) -> str:
    """Return a difference with its sign and three decimals, "" for None, NaN and infinity.

    >>> format_signed(0.0125), format_signed(-0.5), format_signed(-0.0001)
    ('+0.013', '-0.500', '0.000')
    """
    text = format_number(value)
    return text.lstrip("-") if text.strip("-0.") == "" else f"{value:+.3f}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number of things, in English; the plural is that of an s, unless it is given.

    >>> counted(1, "image"), counted(1200, "image"), counted(2, "class", "classes")
    ('1 image', '1,200 images', '2 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def listed(texts: Sequence[str], shown: int = 8) -> str:
    """Return texts with commas, and how many more there are than are shown.

    >>> listed(["a", "b", "c"], shown=2)
    'a, b and 1 more'
    """
    more = len(texts) - shown
    return ", ".join(texts[:shown]) + (f" and {more} more" if more > 0 else "")


def format_interval(low: float | None, high: float | None, signed: bool = False) -> str:
    """Return "[low, high]", with their signs if asked for, "" if low is None, NaN or infinite."""
    written = format_signed if signed else format_number
    return f"[{written(low)}, {written(high)}]" if written(low) else ""


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose columns also line up as plain text.

    A cell is one line, whatever is in it.
    """
    lines = [[printable(cell).replace("|", r"\|") for cell in line] for line in (heads, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(map(_padded, line, widths))} |" for line in lines)


def _padded(cell: str, width: int) -> str:
    """Return the cell with blanks up to width, in which a Chinese character counts as two."""
    return cell + " " * (width - cell_len(cell))


def as_utf8(text: str) -> str:
    """Return text with the undecodable bytes of file names replaced, so that UTF-8 can hold it."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def printable_value(value: Any) -> Any:
    """Return text without what could hide or reverse the text around it, any other value as is.

    Jinja calls it for every value that a template shows; markup that a template made stays.
    """
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
