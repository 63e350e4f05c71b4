"""Print paragraphs and tables that fit the width of the terminal."""

from pathlib import Path
from textwrap import fill

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

UNLIMITED = 10_000  # columns of a terminal
NO_BREAK = "\xa0"  # a blank that does not end a line


def console() -> Console:
    """Return a console that prints text as it is, without colors."""
    return Console(highlight=False, markup=False, soft_wrap=True, color_system=None)


def table(*heads: str) -> Table:
    """Return an empty table with these headings."""
    return Table(*heads, box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))


def show(part: str | Table, to: Console) -> None:
    """Print a paragraph or a table. Where a table is too wide, its rows become lines of text.

    rich would cut the numbers. A heading and its value stay on one line.
    """
    if isinstance(part, str):
        to.print(fill(part, to.width, break_long_words=False, break_on_hyphens=False))
        return
    wide = to.options.update_width(UNLIMITED)
    if to.measure(part, options=wide).maximum <= to.width:
        to.print(part)
        return
    columns = [
        [f"{column.header} {cell}" if cell else "" for cell in column.cells]
        for column in part.columns
    ]
    for row in zip(*columns, strict=True):
        line = ", ".join(pair.replace(" ", NO_BREAK) for pair in row if pair)
        text = fill(line, to.width, break_long_words=False, break_on_hyphens=False)
        to.print(text.replace(NO_BREAK, " "))


def from_here(path: Path) -> Path:
    """Return the path relative to the working directory if it is below it."""
    whole = path.resolve()
    return whole.relative_to(Path.cwd()) if Path.cwd() in whole.parents else path
