"""Cells of CSV files: no text is a formula, and all text comes back."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from src.io.csv_cells import escape_cell, unescape_cell, write_rows

# Mostly the signs that matter
texts = st.text(st.sampled_from("'=+-@\t\r\n 1.eEx\u00a0\uff1d")) | st.text()


@given(texts)
@example("'=1+1")
@example("'-5")
def test_any_text_comes_back(text: str) -> None:
    assert unescape_cell(escape_cell(text)) == text


@given(texts)
def test_no_cell_is_a_formula(text: str) -> None:
    cell = escape_cell(text)
    try:
        float(cell)
    except ValueError:
        assert not cell.startswith(("\t", "\r", "\n"))
        assert not cell.lstrip().startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20"))
    assert cell in (text, f"'{text}")


@pytest.mark.parametrize("text", ["-0.013", "+1", "-.5", "-1e-5", "1630s", "Monet", "'t Hooft", ""])
def test_numbers_and_plain_text_stay(text: str) -> None:
    assert escape_cell(text) == text == unescape_cell(text)


@pytest.mark.parametrize(
    "text", ["=1+1", "@SUM(A1)", "-2+3", "+cmd|' /C calc'!A0", " =1", "-x.jpg"]
)
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert escape_cell(text) == f"'{text}"


@pytest.mark.parametrize(("escape_formulas", "cell"), [(True, "'=1"), (False, "=1")])
def test_rows_are_escaped_on_demand(escape_formulas: bool, cell: str) -> None:
    file = io.StringIO(newline="")
    write_rows(file, [["file", "n"], ["=1", -2]], escape_formulas)
    assert list(csv.reader(io.StringIO(file.getvalue()))) == [["file", "n"], [cell, "-2"]]
