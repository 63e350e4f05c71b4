"""Write a leaderboard as leaderboard.md, .csv and .html, and print it."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from src.evaluation.metrics import is_filtered
from src.io.csv_cells import escape_cell
from src.io.files import atomic_write
from src.io.printable import printable
from src.leaderboard.board import Board
from src.leaderboard.comparison import MAX_WRITTEN, Leaderboard
from src.leaderboard.html import render_page
from src.leaderboard.notes import LEARNED_NOTHING, SEVERAL, gap_text, notes
from src.reporting import terminal
from src.reporting.terminal import from_here
from src.reporting.text import format_interval, format_number, markdown_table
from src.runtime.streams import print_lines

MAX_HEAD = 10  # letters of a run's name above a column; longer ones are numbered
MAX_PRINTED = 20  # incomplete runs, with their commands, in the terminal


def write_leaderboard(leaderboard: Leaderboard, folder: Path, escape_formulas: bool = True) -> None:
    """Print the tables, and write leaderboard.md, .csv and .html into folder, all in UTF-8.

    The last two need at least one complete run. What is not printable is escaped, and in the CSV
    also what a spreadsheet would compute, unless escape_formulas is false.
    """
    text = _text(leaderboard)
    print_leaderboard(leaderboard)
    with atomic_write(folder / "leaderboard.md") as part:
        part.write_text(text, "utf-8")
    if leaderboard.boards:
        cell = partial(_csv_cell, escape_formulas=escape_formulas)
        with atomic_write(folder / "leaderboard.csv") as part:
            table = leaderboard.table.rename(columns=cell).map(cell)
            table.to_csv(part, index=False)
        page = render_page(leaderboard, folder)
        with atomic_write(folder / "leaderboard.html") as part:
            part.write_text(page, "utf-8")
    files = ", ".join(sorted(path.name for path in folder.glob("leaderboard.*")))
    print_lines(f"files in {from_here(folder)}: {files}")


def _csv_cell(value: Any, escape_formulas: bool) -> Any:
    """Return text as it stands in the CSV, any other value as it is."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return escape_cell(text) if escape_formulas else text


def _text(leaderboard: Leaderboard) -> str:
    """Return the leaderboard as Markdown."""
    parts = [SEVERAL] if len(leaderboard.boards) > 1 else []
    for heading, board in zip(leaderboard.headings, leaderboard.boards, strict=True):
        folder = f", in {os.path.relpath(board.folder)}" if len(leaderboard.boards) > 1 else ""
        title = f"{board.title}, best first{folder}"
        parts += [printable(f"## {heading}"), printable(title), *_board_parts(board)]
    if leaderboard.incomplete:
        parts.append(_incomplete_runs(leaderboard, MAX_WRITTEN))
    return "\n\n".join(parts) + "\n"


def _board_parts(board: Board) -> list[str]:
    """Return the tables of a board with their notes."""
    parts = [_main_table(board), *map(printable, notes(board))]
    if len(board.runs) > 1:
        parts += ["neighbors that two runs share (Jaccard index)", _overlap_table(board)]
    return parts + [printable(text) for text in [_without_metric(board)] if text]


def _without_metric(board: Board) -> str:
    """Return which runs lack the metric to sort by, "" if none does."""
    names = ", ".join(run.folder.name for run in board.missing_metric)
    return f"without {board.metric}: {names}" if names else ""


def _main_table(board: Board) -> str:
    """Return the settings that differ and the main metrics; the first ones with intervals."""
    first, *others = (
        name for name in board.metrics() if not is_filtered(name) or name == board.metric
    )
    lines = []
    for at, row in enumerate(board.table.to_dict("records")):
        mark = f" ({row['mark']})" if row["mark"] else ""
        settings = [texts[at] for texts in board.texts.values()]
        metrics = [_cell(row, first, True), *_comparison(board, row)]
        metrics += [_cell(row, name, False) for name in others]
        lines.append([f"{row['run']}{mark}", *settings, *metrics])
    heads = [board.heading(first), *_comparison_heads(board), *map(board.heading, others)]
    return markdown_table(["run", *board.settings, *heads], lines)


def _comparison_heads(board: Board) -> list[str]:
    """Return the headings of the columns that compare the runs."""
    return [*([board.gap[1]] if len(board.runs) > 1 else []), *board.half_columns.values()]


def _comparison(board: Board, row: dict[Any, Any]) -> list[str]:
    """Return the cells of a run in these columns."""
    gap = [gap_text(board, row)] if len(board.runs) > 1 else []
    return [*gap, *(format_number(row[name]) for name in board.half_columns)]


def _cell(row: dict[Any, Any], name: str, with_interval: bool) -> str:
    """Return a metric as text, "" if it is missing, followed by its interval on request."""
    text = format_number(row.get(name))
    interval = format_interval(row.get(f"{name}_low"), row.get(f"{name}_high"))
    return f"{text} {interval}" if text and with_interval and interval else text


def _overlap_table(board: Board) -> str:
    heads = board.names
    if max(map(len, heads)) > MAX_HEAD:
        heads = [str(place) for place in range(1, len(heads) + 1)]
    rows = zip(board.names, heads, board.overlap, strict=True)
    lines = [
        [name if head == name else f"{head}: {name}", *(f"{value:.2f}" for value in row)]
        for name, head, row in rows
    ]
    return markdown_table(["run", *heads], lines)


def print_leaderboard(leaderboard: Leaderboard) -> None:
    """Print a table for each board: the settings that differ, the metric to sort by, P@1.

    leaderboard.md has more columns, and the neighbors that runs share.
    """
    to = terminal.console()
    if len(leaderboard.boards) > 1:
        terminal.show(SEVERAL, to)
    for heading, board in zip(leaderboard.headings, leaderboard.boards, strict=True):
        terminal.show(printable(f"{heading}: {board.title}, best first"), to)
        terminal.show(_short_table(board), to)
        for note in notes(board):
            terminal.show(printable(f"* {note}" if note == LEARNED_NOTHING else note), to)
        if text := _without_metric(board):
            terminal.show(printable(text), to)
    if leaderboard.incomplete:
        print_lines(*_incomplete_runs(leaderboard, MAX_PRINTED).split("\n"))


def _short_table(board: Board) -> Table:
    """Return the main columns of a board, with short headings; * marks random weights.

    A run's role, such as that of the baseline, stands behind its name.
    """
    heads = [name.rpartition(".")[2] for name in board.settings]
    settings = heads if len(set(heads)) == len(heads) else board.settings
    compared = _comparison_heads(board)
    precision = ["P@1" for _ in board.precision]
    table = terminal.table("run", *settings, board.metric, *compared, *precision)
    for at, row in enumerate(board.table.to_dict("records")):
        roles = f" ({', '.join(board.roles[at])})" if board.roles[at] else ""
        name = f"{row['run']}{' *' if board.marks[at] else ''}{roles}"
        cells = [name, *(texts[at] for texts in board.texts.values())]
        cells += [_cell(row, board.metric, True), *_comparison(board, row)]
        cells += [_cell(row, name, False) for name in board.precision]
        table.add_row(*map(printable, cells))
    return table


def _incomplete_runs(leaderboard: Leaderboard, most: int) -> str:
    """Return the incomplete runs with their errors and the commands that repeat them.

    Of each, there are `most`; a last line says how many more there are.
    """
    incomplete = leaderboard.incomplete
    shown, more = incomplete[:most], len(incomplete) - most
    where = "python -m src.leaderboard with the folder of one prints its command"
    if most < MAX_WRITTEN:
        where = f"see leaderboard.md, which has up to {MAX_WRITTEN:,}"
    rest = [f"    # and {more:,} more: {where}"] if more > 0 else []
    return "\n".join(
        [
            f"incomplete: {len(incomplete)} of {leaderboard.total}",
            "",
            *(printable(f"    {run.folder.name}: {run.error}") for run in shown),
            *rest,
            "",
            "to run them again:",
            "",
            *(f"    {run.command}" for run in shown),
            *rest,
        ]
    )
