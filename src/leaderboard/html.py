"""Render the leaderboard as one self-contained HTML file: tables, plots, example neighbors.

leaderboard.jinja is the template. Imports no torch.
"""

import base64
import io
import os
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure

from src.evaluation.metrics import describe_metric, find_metric, lower_is_better
from src.leaderboard.board import Board
from src.leaderboard.comparison import MAX_WRITTEN, Leaderboard
from src.leaderboard.examples import Thumbnails, example_neighbors
from src.leaderboard.notes import SEVERAL, board_notes, sign_of, table_notes
from src.leaderboard.paired import unequal_settings
from src.leaderboard.plots import overlap_heat_map, setting_plot
from src.leaderboard.words import describe_setting
from src.reporting.fonts import displayable, plot_families
from src.reporting.text import format_interval, format_number, format_signed, printable_value

GAPS = {
    "behind": "How far a run is behind the best one, in the unit of the metric.",
    "difference": "The run minus the baseline, in the unit of the metric. † is explained below.",
}
PAIRED = (
    " The interval is paired, query by query, so it tells two runs apart where their own intervals"
    " overlap; one that holds 0 does not."
)
HALF = (
    "The metric of the queries in one half of the label's classes, which is fixed by a hash of"
    " their names."
)


class Head(NamedTuple):
    """The heading of a column, what it means, and whether the column holds numbers."""

    text: str
    about: str
    number: bool = True


class Cell(NamedTuple):
    """A cell of the table: text, the value to sort by, and the interval as text and as a bar."""

    text: str
    value: str | float = ""
    number: bool = True
    interval: str = ""
    range: tuple[float, float, float] | None = None  # start, width and point of the bar, in percent
    link: str = ""
    mark: str = ""
    roles: Sequence[str] = ()  # of the run among the others
    sign: str | None = None  # behind a difference: that of a significant one, "" for another


def render_page(leaderboard: Leaderboard, folder: Path) -> str:
    """Return HTML with links relative to folder."""
    templates = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=templates, autoescape=True, undefined=StrictUndefined, finalize=printable_value
    )
    thumbnails, boards = Thumbnails(), leaderboard.boards
    sections = [
        _section(heading, board, folder, thumbnails)
        for heading, board in zip(leaderboard.headings, boards, strict=True)
    ]
    several = len(boards) > 1
    return environment.get_template("leaderboard.jinja").render(
        title=f"{len(leaderboard.runs)} runs on {len(boards)} boards"
        if several
        else boards[0].title,
        folder=folder.name,
        several=SEVERAL if several else "",
        boards=sections,
        thumbnails=thumbnails.draw(),
        incomplete=leaderboard.incomplete[:MAX_WRITTEN],
        more=max(0, len(leaderboard.incomplete) - MAX_WRITTEN),
    )


def _section(heading: str, board: Board, folder: Path, thumbnails: Thumbnails) -> dict[str, Any]:
    """Return what the template shows of a board."""
    best, several = board.runs[0], len(board.runs) > 1
    return {
        "heading": heading,
        "title": board.title,
        "metric": board.metric,
        "best": f"{board.labels[0]}, with {format_number(best.metrics[board.metric])}",
        "notes": board_notes(board),
        "table_notes": table_notes(board),
        "heads": heads(board),
        "lines": table_rows(board, _pictures(board, folder)),
        "plots": [
            (name, _svg(partial(setting_plot, board, name), board))
            for name in (board.settings if several else [])
        ],
        "has_baseline": board.baseline is not None,
        "labels": board.labels,
        "heat": _svg(partial(overlap_heat_map, board), board) if several else "",
        "missing_metric": [run.folder.name for run in board.missing_metric],
        **example_neighbors(board, thumbnails),
    }


def heads(board: Board) -> list[Head]:
    """Return the headings of the table."""
    first, *others = (
        Head(board.heading(name), _about_metric(name) + _why_not_compared(board, name))
        for name in board.metrics()
    )
    gap, text = board.gap
    halves = [Head(heading, HALF) for heading in board.half_columns.values()]
    settings = [Head(name, f"Setting: {describe_setting(name)}", False) for name in board.settings]
    run = Head(
        "run", "The run's folder; the link opens its picture of queries and neighbors.", False
    )
    return [run, *settings, first, Head(text, GAPS[gap] + PAIRED), *halves, *others]


def _about_metric(name: str) -> str:
    """Return what a metric means and which values are better."""
    text = describe_metric(name) or "A metric of metrics.json"
    label, metric = name.rpartition("/")[0], find_metric(name)
    better = "lower" if lower_is_better(name) else "higher"
    known = f"; {better} is better" if label else ""
    is_mean = metric is not None and metric.pattern.startswith("<label>/")
    interval = " In brackets: the 95% bootstrap interval." if is_mean else ""
    return f"{text[0].upper()}{text[1:]}{known}.{interval}"


def _why_not_compared(board: Board, name: str) -> str:
    """Return why the values of a metric cannot be compared between the runs, "" if they can."""
    names = " and ".join(unequal_settings(name, board.runs))
    return f" It depends on {names}, in which these runs differ: do not compare." if names else ""


def _pictures(board: Board, folder: Path) -> list[str]:
    """Return for each run the address of its picture of queries, relative to folder."""
    paths = [os.path.relpath(run.files.overview, folder) for run in board.runs]
    return [quote(os.fsencode(path)) for path in paths]


def table_rows(board: Board, links: Sequence[str]) -> list[list[Cell]]:
    """Return the cells of each run; the first one leads to the run's link."""
    metric, table, rows = board.metric, board.table, []
    shown = [metric, board.gap[0], *board.half_columns, *board.metrics()[1:]]
    ends = [name for name in (metric, f"{metric}_low", f"{metric}_high") if name in table]
    values = table[ends].to_numpy(np.float64)
    limits = float(np.nanmin(values)), float(np.nanmax(values))
    for at, (run, line) in enumerate(zip(board.runs, table.to_dict("records"), strict=True)):
        first = Cell(line["run"], line["run"], False, link=links[at], mark=board.marks[at])
        cells = [first._replace(roles=board.roles[at])]
        cells += [
            Cell(texts[at], _sortable(run.settings.get(name), texts[at]), False)
            for name, texts in board.texts.items()
        ]
        for name in shown:
            value, low, high = (line.get(f"{name}{end}", np.nan) for end in ("", "_low", "_high"))
            if name == "difference":
                cells.append(_difference_cell(value, low, high, sign_of(line)))
            else:
                cells.append(_number_cell(value, low, high, limits if name == metric else None))
        rows.append(cells)
    return rows


def _sortable(value: Any, text: str) -> str | float:
    """Return the value of a setting to sort by: a number, else its text."""
    return value if isinstance(value, int | float) else text


def _number_cell(value: float, low: float, high: float, limits: tuple[float, float] | None) -> Cell:
    """Return a metric with its interval, and a bar between the limits; an empty cell for NaN."""
    if not (text := format_number(value)):
        return Cell("")
    interval = format_interval(low, high)
    if not interval:
        low = high = value
    bar = None
    if limits:
        start, stop, point = np.interp([low, high, value], limits, (0, 100)).round(2).tolist()
        bar = (start, stop - start, point)
    return Cell(text, float(value), True, interval, bar)


def _difference_cell(value: float, low: float, high: float, sign: str) -> Cell:
    """Return a difference to the baseline with its interval; an empty cell for NaN."""
    if not (text := format_signed(value)):
        return Cell("")
    return Cell(text, float(value), True, format_interval(low, high, signed=True), sign=sign)


def _svg(plot: "partial[Figure]", board: Board) -> str:
    """Return base64 of a plot as SVG, equal for equal boards."""
    buffer = io.BytesIO()
    texts = [text for texts in board.texts.values() for text in texts]
    letters = displayable("".join([*board.labels, *board.names, *texts]))
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "page",
        "font.family": plot_families(letters),
    }
    with rc_context(style), warnings.catch_warnings():
        # the browser draws the letters, in fonts of its own: only their width is unknown here
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        plot().savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    return base64.b64encode(buffer.getvalue()).decode()
