"""Cells of CSV files that people open in a spreadsheet, which takes some texts for formulas.

Such a text gets an apostrophe in front, the usual sign for spreadsheets and people; reading takes
it off again. The option escape_formulas=false leaves it as it is.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from src.io.files import atomic_write

# A spreadsheet computes what begins like this, blanks aside; the wide signs are those of Japanese
FORMULA = re.compile(r"'*(?:\s*[=+\-@＝＋－＠]|[\t\r\n])")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def escape_cell(text: str) -> str:
    """Return text with an apostrophe in front if a spreadsheet took it for a formula.

    Numbers stay numbers. A text that has the apostrophe already gets a second one, so that
    unescape_cell is the exact inverse.

    >>> escape_cell("=1+1"), escape_cell("-0.013"), escape_cell("'=1")
    ("'=1+1", '-0.013', "''=1")
    """
    return f"'{text}" if _is_formula(text) else text


def unescape_cell(text: str) -> str:
    """Return the text from which escape_cell made a cell."""
    return text[1:] if text.startswith("'") and _is_formula(text[1:]) else text


def write_rows(file: TextIO, rows: Iterable[Sequence[Any]], escape_formulas: bool) -> None:
    """Write the rows of a CSV, texts as escape_cell returns them if escape_formulas."""
    if escape_formulas:
        rows = ([escape_cell(x) if isinstance(x, str) else x for x in row] for row in rows)
    csv.writer(file).writerows(rows)


def write_table(
    path: Path, heads: Sequence[str], rows: Iterable[Sequence[Any]], escape_formulas: bool
) -> None:
    """Write a CSV of heads and rows, as write_rows does; it appears whole or not at all."""
    with (
        atomic_write(path) as part,
        part.open("x", -1, "utf-8", "surrogateescape", newline="") as file,
    ):
        write_rows(file, [heads, *rows], escape_formulas)


def _is_formula(text: str) -> bool:
    return bool(FORMULA.match(text)) and not NUMBER.fullmatch(text)
