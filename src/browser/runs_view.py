"""The open runs compared, as on the leaderboard, and the metrics of one with their meaning."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from src.browser.addresses import page_address
from src.browser.opened import OpenRun
from src.browser.site import Page, Parameters, Site
from src.config.overrides import shell_quote
from src.evaluation.metric_table import SUFFIXES
from src.evaluation.metrics import JUDGED, describe_metric, find_metric
from src.leaderboard.comparison import compare
from src.leaderboard.html import Cell, Head, heads, table_rows
from src.leaderboard.notes import SEVERAL, notes
from src.leaderboard.runs import read_run
from src.reporting.terminal import from_here
from src.reporting.text import format_interval, format_number

JUDGEMENTS = "Judged pairs"
OTHERS = "The run as a whole"


class Section(NamedTuple):
    """A board as a table."""

    heading: str
    title: str
    notes: list[str]
    heads: list[Head]
    lines: list[list[Cell]]
    numbers: list[int]  # of the open runs, by line


class Line(NamedTuple):
    """A metric of one run."""

    name: str
    value: str
    interval: str
    chance: str
    over_classes: str  # the mean over classes, with its interval and chance
    about: str


def runs_view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
    """Return the boards of the open runs, and the metrics of this one."""
    paths = [shell_quote(str(from_here(other.files.path))) for other in site.runs]
    context = {
        "sections": sections(tuple(site.runs)) if len(site.runs) > 1 else [],
        "several": SEVERAL,
        "tables": tables(run.metrics),
        "folders": "RUN" if site.is_static else " ".join(paths),  # an export tells no paths
    }
    return Page("Runs", "runs.jinja", context)


@lru_cache(maxsize=8)
def sections(runs: tuple[OpenRun, ...]) -> list[Section]:
    """Return the boards of runs; the first visit waits for the intervals of the gaps."""
    numbers = {run.files.path: run.number for run in runs}
    leaderboard = compare([read_run(run.files.path) for run in runs], None)
    found = []
    for heading, board in zip(leaderboard.headings, leaderboard.boards, strict=True):
        order = [numbers[run.folder] for run in board.runs]
        lines = table_rows(board, [page_address("gallery", number) for number in order])
        named = [
            [line[0]._replace(text=runs[number].name), *line[1:]]
            for number, line in zip(order, lines, strict=True)
        ]
        found.append(Section(heading, board.title, notes(board), heads(board), named, order))
    return found


def tables(metrics: dict[str, Any]) -> list[tuple[str, list[Line]]]:
    """Return the metrics of a run by label, of judged pairs, those of the run as a whole last."""
    found: dict[str, list[Line]] = {}
    for name in filter(lambda name: not _is_suffixed(name, metrics), metrics):
        heading, own = _place(name)
        value, low, high, chance = (
            metrics.get(f"{name}{x}") for x in ("", "_low", "_high", "_chance")
        )
        line = Line(
            own,
            _text(value),
            format_interval(low, high),
            format_number(chance),
            _over_classes(name, metrics),
            describe_metric(name),
        )
        found.setdefault(heading, []).append(line)
    return sorted(found.items(), key=lambda table: table[0] == OTHERS)


def _over_classes(name: str, metrics: dict[str, Any]) -> str:
    """Return the mean of a metric over classes: "0.260 [0.200, 0.320], by chance 0.125"."""
    value, low, high, chance = (
        metrics.get(f"{name}_macro{x}") for x in ("", "_low", "_high", "_chance")
    )
    mean = " ".join(filter(None, [format_number(value), format_interval(low, high)]))
    by_chance = f"by chance {format_number(chance)}" if format_number(chance) else ""
    return ", ".join(filter(None, [mean, by_chance]))


def _place(name: str) -> tuple[str, str]:
    """Return the heading of the table that a metric is in, and its name there."""
    if name.startswith(JUDGED):
        return JUDGEMENTS, name.removeprefix(JUDGED)
    metric = find_metric(name)
    if metric is not None and metric.pattern.startswith("<label>/"):
        label, _, own = name.rpartition("/")
        return label, own
    return OTHERS, name


def _is_suffixed(name: str, metrics: Iterable[str]) -> bool:
    """Return whether a metric is the interval, chance or macro mean of another one."""
    return any(name.endswith(end) and name.removesuffix(end) in metrics for end in SUFFIXES)


def _text(value: Any) -> str:
    return format_number(value) if isinstance(value, float) else str(value)
