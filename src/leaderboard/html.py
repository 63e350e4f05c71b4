"""The leaderboard as one page: a table, plots, and the neighbors of the same paintings.

It holds its images, so that it can be sent; leaderboard.jinja is its shape. No torch.
"""

import base64
import io
import os
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from src.errors import UserError
from src.gallery import Gallery
from src.leaderboard.comparison import Comparison
from src.leaderboard.plots import heat_map, setting_plot
from src.reporting.contact_sheets import card, thumbnail
from src.reporting.run_folder import gallery_of

QUERIES, SHOWN = 5, 10  # paintings drawn, and neighbors of each
SMALL, LARGE = 96, 320  # pixels of a thumbnail, and of a query


class Cell(NamedTuple):
    """Of the table: text to read, a value to sort by, and what is drawn beside it."""

    text: str
    value: str | float = ""
    number: bool = True
    interval: str = ""
    range: tuple[float, float, float] | None = None  # start, width and point, in percent
    link: str = ""


def page(board: Comparison, folder: Path) -> str:
    """HTML, to be written into folder, which links are relative to."""
    templates = FileSystemLoader(Path(__file__).parent)
    made = Environment(loader=templates, autoescape=True, undefined=StrictUndefined)
    best, metric = board.runs[0], board.metric
    heads = [*board.settings, metric, "behind the best", *board.metrics()[1:]]
    facts = f"{best.metrics['images']} images of {best.images()[0]}, in {folder.name}. Best:"
    several = len(board.runs) > 1
    return made.get_template("leaderboard.jinja").render(
        title=board.title,
        facts=f"{facts} {board.labels[0]}, with {best.metrics[metric]:.3f}.",
        metric=metric,
        heads=["run", *heads],
        settings=len(board.settings),
        lines=_lines(board, folder),
        plot=_svg(setting_plot(board)) if several and board.settings else "",
        heat=_svg(heat_map(board)) if several else "",
        failed=board.failed,
        **_neighbors(board),
    )


def _lines(board: Comparison, folder: Path) -> list[list[Cell]]:
    """The cells of each run."""
    metric, lines = board.metric, []
    shown = [metric, "behind", *board.metrics()[1:]]
    ends = [name for name in (metric, f"{metric}_low", f"{metric}_high") if name in board.table]
    reached = board.table[ends].to_numpy(np.float64)
    limits = float(np.nanmin(reached)), float(np.nanmax(reached))
    for run, line in zip(board.runs, board.table.to_dict("records"), strict=True):
        link = quote(
            os.path.relpath(run.folder / "neighbors.jpg", folder), errors="surrogateescape"
        )
        cells = [Cell(line["run"], line["run"], False, link=link)]
        cells += [Cell(run.short(name), run.value(name), False) for name in board.settings]
        for name in shown:
            value, low, high = (line.get(f"{name}{end}", np.nan) for end in ("", "_low", "_high"))
            cells.append(_number(value, low, high, limits if name == metric else None))
        lines.append(cells)
    return lines


def _number(value: float, low: float, high: float, limits: tuple[float, float] | None) -> Cell:
    """A metric with its interval, drawn where there are limits; nothing for NaN."""
    if not np.isfinite(value):
        return Cell("")
    if np.isfinite(low):
        interval = f"[{low:.3f}, {high:.3f}]"
    else:
        interval, low, high = "", value, value
    bar = None
    if limits:
        start, stop, point = np.interp([low, high, value], limits, (0, 100)).round(2).tolist()
        bar = (start, stop - start, point)
    return Cell(f"{value:.3f}", float(value), True, interval, bar)


def _svg(figure: Figure) -> str:
    """base64, the same for the same figure."""
    into = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "page", "font.family": "sans-serif"}):
        figure.savefig(into, format="svg", metadata={"Date": None})
    return base64.b64encode(into.getvalue()).decode()


def _neighbors(board: Comparison) -> dict[str, Any]:
    """For the template: the same queries under each run over the best one's images, thumbnails."""
    best = board.runs[0]
    lists = [
        (label, run.neighbors(), run.scores())
        for label, run in zip(board.labels, board.runs, strict=True)
        if run.images() == best.images()
    ]
    label = board.metric.rpartition("/")[0].partition("-no_same")[0]
    empty: dict[str, Any] = {"queries": [], "thumbnails": {}, "label": "", "missing": ""}
    try:
        gallery = gallery_of(best.folder)
    except (UserError, OSError) as error:  # runs are kept longer than images, or copied without
        return empty | {"missing": f" The images are not there: {error}"}
    labels = gallery.labels(label) if label in gallery.works else np.full(len(gallery), -1)
    known = best.queries(board.metric)
    rows = np.arange(len(gallery)) if known is None else np.flatnonzero(~np.isnan(known))
    drawn = np.random.default_rng(0).choice(rows, min(QUERIES, len(rows)), replace=False)
    queries = [_query(gallery, row, lists, labels) for row in sorted(drawn.tolist())]
    shown = {
        other["row"] for query in queries for each in query["lists"] for other in each["others"]
    }
    sizes = dict.fromkeys(shown, SMALL) | {query["row"]: LARGE for query in queries}
    out, several = len(board.runs) - len(lists), f" of {len(board.runs)} runs"
    return {
        "queries": queries,
        "thumbnails": {row: _thumbnail(gallery, row, size) for row, size in sizes.items()},
        "label": label if label in gallery.works else "",
        "missing": f" {out}{several} are over other images, and left out." if out else "",
    }


def _query(
    gallery: Gallery,
    row: int,
    lists: list[tuple[str, NDArray[np.int32], NDArray[np.float32]]],
    labels: NDArray[np.int64],
) -> dict[str, Any]:
    """A painting, and its neighbors in each list."""
    found = []
    for name, index, score in lists:
        nearest = zip(index[row, :SHOWN].tolist(), score[row, :SHOWN].tolist(), strict=True)
        others = [
            {
                "row": other,
                "title": f"{value:.3f}  {gallery.caption(other)}",
                "same": labels[row] >= 0 and labels[row] == labels[other],
            }
            for other, value in nearest
        ]
        found.append({"name": name, "others": others})
    own = card(gallery, row, "")
    return {"row": row, "title": own.title, "note": own.note, "lists": found}


def _thumbnail(gallery: Gallery, row: int, size: int) -> str:
    """base64 of a JPEG."""
    into = io.BytesIO()
    thumbnail(gallery.root / gallery.files[row], size).save(into, "JPEG", quality=80)
    return base64.b64encode(into.getvalue()).decode()
