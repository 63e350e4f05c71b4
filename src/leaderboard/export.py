"""Write a comparison of runs as leaderboard.md, .csv and .html, and print it."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from src.evaluation.metrics import is_filtered
from src.io.csv_cells import escape_cell
from src.io.files import atomic_write
from src.io.printable import printable
from src.leaderboard.comparison import Comparison
from src.leaderboard.html import render_page
from src.reporting.text import format_interval, format_number, markdown_table
from src.runtime.streams import print_lines


def write_leaderboard(comparison: Comparison, folder: Path, escape_formulas: bool = True) -> None:
    """Print the table, and write leaderboard.md, .csv and .html into folder, all in UTF-8.

    The last two need at least one complete run. What is not printable is escaped, and in the CSV
    also what a spreadsheet would compute, unless escape_formulas is false.
    """
    text = _text(comparison)
    print_lines(*text.split("\n"))
    with atomic_write(folder / "leaderboard.md") as part:
        part.write_text(text, "utf-8")
    if comparison.runs:
        cell = partial(_csv_cell, escape_formulas=escape_formulas)
        with atomic_write(folder / "leaderboard.csv") as part:
            table = comparison.table.rename(columns=cell).map(cell)
            table.to_csv(part, index=False)
        page = render_page(comparison, folder)
        with atomic_write(folder / "leaderboard.html") as part:
            part.write_text(page, "utf-8")
    files = ", ".join(sorted(path.name for path in folder.glob("leaderboard.*")))
    print_lines(f"files in {os.path.relpath(folder)}: {files}")


def _csv_cell(value: Any, escape_formulas: bool) -> Any:
    """Return text as it stands in the CSV, any other value as it is."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return escape_cell(text) if escape_formulas else text


def _text(comparison: Comparison) -> str:
    """Return the leaderboard as Markdown."""
    parts = []
    if comparison.runs:
        parts += [printable(f"{comparison.title}, best first"), _main_table(comparison)]
    if len(comparison.runs) > 1:
        parts += ["neighbors that two runs share (Jaccard index)", _overlap_table(comparison)]
    if comparison.missing_metric:
        names = ", ".join(run.folder.name for run in comparison.missing_metric)
        parts.append(printable(f"without {comparison.metric}: {names}"))
    if comparison.incomplete:
        parts.append(_incomplete_runs(comparison))
    return "\n\n".join(parts) + "\n"


def _main_table(comparison: Comparison) -> str:
    """Return the settings that differ and the main metrics; the first ones with intervals."""
    first, *others = (
        name for name in comparison.metrics() if not is_filtered(name) or name == comparison.metric
    )
    with_interval = [first, *(["behind"] if len(comparison.runs) > 1 else [])]
    columns = [*with_interval, *others]
    lines = [
        [row["run"], *map(run.short_value, comparison.settings)]
        + [_cell(row, name, name in with_interval) for name in columns]
        for run, row in zip(comparison.runs, comparison.table.to_dict("records"), strict=True)
    ]
    heads = ["behind the best" if name == "behind" else name for name in columns]
    return markdown_table(["run", *comparison.settings, *heads], lines)


def _cell(row: dict[Any, Any], name: str, with_interval: bool) -> str:
    """Return a metric as text, "" if it is missing, followed by its interval on request."""
    text = format_number(row.get(name))
    interval = format_interval(row.get(f"{name}_low"), row.get(f"{name}_high"))
    return f"{text} {interval}" if text and with_interval and interval else text


def _overlap_table(comparison: Comparison) -> str:
    shared = comparison.overlap.round(2).tolist()
    lines = [[name, *map(str, row)] for name, row in zip(comparison.names, shared, strict=True)]
    return markdown_table(["run", *comparison.names], lines)


def _incomplete_runs(comparison: Comparison) -> str:
    """Return the incomplete runs with their errors and the commands that repeat them."""
    incomplete = comparison.incomplete
    count = len(comparison.runs) + len(comparison.missing_metric) + len(incomplete)
    return "\n".join(
        [
            f"incomplete: {len(incomplete)} of {count}",
            "",
            *(printable(f"    {run.folder.name}: {run.error}") for run in incomplete),
            "",
            "to run them again:",
            "",
            *(f"    {run.command}" for run in incomplete),
        ]
    )
