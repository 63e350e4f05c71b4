"""Render the leaderboard as one self-contained HTML file: table, plots, example neighbors.

leaderboard.jinja is the template. Imports no torch.
"""

import base64
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from src.errors import UserError
from src.evaluation.metrics import FILTER
from src.gallery import Gallery
from src.io.printable import printable
from src.leaderboard.comparison import Comparison
from src.leaderboard.plots import overlap_heat_map, setting_plot
from src.reporting.contact_sheets import card, thumbnail
from src.reporting.fonts import displayable, plot_families
from src.reporting.text import format_interval, format_number
from src.runtime.progress import progress

QUERIES, NEIGHBORS = 5, 10  # example queries, and neighbors of each
SMALL, LARGE = 96, 320  # pixels of a neighbor's thumbnail and of a query's


class Cell(NamedTuple):
    """A cell of the table: text, the value to sort by, and the interval as text and as a bar."""

    text: str
    value: str | float = ""
    number: bool = True
    interval: str = ""
    range: tuple[float, float, float] | None = None  # start, width and point of the bar, in percent
    link: str = ""


# The neighbors of one run: its label, index (n, k) and score (n, k)
NeighborList = tuple[str, NDArray[np.int32], NDArray[np.float32]]


def render_page(comparison: Comparison, folder: Path) -> str:
    """Return HTML with links relative to folder."""
    templates = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=templates, autoescape=True, undefined=StrictUndefined, finalize=_printable
    )
    best, metric = comparison.runs[0], comparison.metric
    heads = [*comparison.settings, metric, "behind the best", *comparison.metrics()[1:]]
    facts = f"{best.metrics['images']} images of {best.images()[0]}, in {folder.name}. Best:"
    several = len(comparison.runs) > 1
    return environment.get_template("leaderboard.jinja").render(
        title=comparison.title,
        facts=f"{facts} {comparison.labels[0]}, with {format_number(best.metrics[metric])}.",
        metric=metric,
        heads=["run", *heads],
        settings=len(comparison.settings),
        lines=_table_rows(comparison, folder),
        plot=_svg(setting_plot, comparison) if several and comparison.settings else "",
        heat=_svg(overlap_heat_map, comparison) if several else "",
        incomplete=comparison.incomplete,
        **_example_neighbors(comparison),
    )


def _printable(value: Any) -> Any:
    """Return text without what could hide or reverse the text around it, any other value as is."""
    return printable(value) if isinstance(value, str) else value


def _table_rows(comparison: Comparison, folder: Path) -> list[list[Cell]]:
    """Return the cells of each run."""
    metric, table, rows = comparison.metric, comparison.table, []
    shown = [metric, "behind", *comparison.metrics()[1:]]
    ends = [name for name in (metric, f"{metric}_low", f"{metric}_high") if name in table]
    values = table[ends].to_numpy(np.float64)
    limits = float(np.nanmin(values)), float(np.nanmax(values))
    for run, line in zip(comparison.runs, table.to_dict("records"), strict=True):
        link = quote(os.fsencode(os.path.relpath(run.files.overview, folder)))
        cells = [Cell(line["run"], line["run"], False, link=link)]
        cells += [
            Cell(run.short_value(name), run.value(name), False) for name in comparison.settings
        ]
        for name in shown:
            value, low, high = (line.get(f"{name}{end}", np.nan) for end in ("", "_low", "_high"))
            cells.append(_number_cell(value, low, high, limits if name == metric else None))
        rows.append(cells)
    return rows


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


def _svg(plot: Callable[[Comparison], Figure], comparison: Comparison) -> str:
    """Return base64 of a plot as SVG, equal for equal comparisons."""
    buffer = io.BytesIO()
    letters = displayable("".join([*comparison.labels, *comparison.names]))
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "page",
        "font.family": plot_families(letters),
    }
    with rc_context(style), warnings.catch_warnings():
        # the browser draws the letters, in fonts of its own: only their width is unknown here
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        plot(comparison).savefig(buffer, format="svg", metadata={"Date": None})
    return base64.b64encode(buffer.getvalue()).decode()


def _example_neighbors(comparison: Comparison) -> dict[str, Any]:
    """Return for the template: the same queries under each run with the best run's images."""
    best = comparison.runs[0]
    lists = [
        (label, *run.files.neighbors())
        for label, run in zip(comparison.labels, comparison.runs, strict=True)
        if run.images() == best.images()
    ]
    try:
        gallery = best.files.gallery()
    except (UserError, OSError) as error:  # the images were deleted, or the runs were copied
        missing = f" The images are missing: {error}"
        return {"queries": [], "thumbnails": {}, "label": "", "missing": missing}
    label = comparison.metric.rpartition("/")[0].partition(FILTER)[0]
    labels = gallery.labels(label) if label in gallery.works else np.full(len(gallery), -1)
    values = best.files.query_values(comparison.metric)
    rows = np.arange(len(gallery)) if values is None else np.flatnonzero(~np.isnan(values))
    drawn = np.random.default_rng(0).choice(rows, min(QUERIES, len(rows)), replace=False)
    queries = [_query(gallery, row, lists, labels) for row in sorted(drawn.tolist())]
    neighbors = {
        neighbor["row"]
        for query in queries
        for shown in query["lists"]
        for neighbor in shown["neighbors"]
    }
    sizes = dict.fromkeys(neighbors, SMALL) | {query["row"]: LARGE for query in queries}
    shown = progress(sizes.items(), "drawing thumbnails", len(sizes), " images")
    count = len(comparison.runs)
    excluded = f" {count - len(lists)} of {count} runs have other images and are not shown."
    return {
        "queries": queries,
        "thumbnails": {row: _thumbnail(gallery, row, size) for row, size in shown},
        "label": label if label in gallery.works else "",
        "missing": excluded if len(lists) < count else "",
    }


def _query(
    gallery: Gallery, row: int, lists: list[NeighborList], labels: NDArray[np.int64]
) -> dict[str, Any]:
    """Return an image and its neighbors in each list, for the template."""
    shown = []
    for name, index, score in lists:
        nearest = zip(index[row, :NEIGHBORS].tolist(), score[row, :NEIGHBORS].tolist(), strict=True)
        neighbors = [
            {
                "row": neighbor,
                "title": f"{format_number(value)}  {gallery.caption(neighbor)}",
                "same": labels[row] >= 0 and labels[row] == labels[neighbor],
            }
            for neighbor, value in nearest
        ]
        shown.append({"name": name, "neighbors": neighbors})
    query = card(gallery, row, "")
    return {"row": row, "title": query.title, "note": query.note, "lists": shown}


def _thumbnail(gallery: Gallery, row: int, size: int) -> str:
    """Return base64 of a JPEG that fits a square of size pixels."""
    buffer = io.BytesIO()
    thumbnail(gallery.root / gallery.files[row], size).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()
