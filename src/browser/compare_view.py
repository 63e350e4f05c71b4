"""Two to four runs side by side: the neighbors that each finds for the same painting."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from src.browser.disagreement import comparable_runs, precision_of, why_left_out
from src.browser.opened import OpenRun
from src.browser.site import Page, Parameters, Site, row_of
from src.config.overrides import shell_quote
from src.reporting.phrases import describe_order
from src.reporting.terminal import from_here

MAX_SHOWN = 4  # runs side by side
MAX_WRITTEN = 8  # runs whose columns an export has, of which a script shows those that are chosen
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Neighbor(NamedTuple):
    """A neighbor in a column."""

    row: int
    score: float
    is_hit: bool  # it shares the main label with the painting
    also: list[tuple[str, int, int]]  # other columns that have it: letter, number of run, rank


class Column(NamedTuple):
    """The neighbors that a run finds, best first."""

    letter: str
    run: OpenRun
    is_shown: bool
    precision: float  # average precision of the list, or NaN
    neighbors: list[Neighbor]

    @property
    def order(self) -> str:
        """Return why the scores do not fall from neighbor to neighbor, "" if they do."""
        return describe_order(self.run.settings)

    @property
    def hits(self) -> int:
        """Return how many neighbors share the main label."""
        return sum(neighbor.is_hit for neighbor in self.neighbors)


def _written(run: OpenRun, runs: list[OpenRun]) -> list[OpenRun]:
    """Return the runs that an export has columns for: the page's own, and the first of the others.

    In their order.
    """
    others = [other for other in runs if other is not run][: MAX_WRITTEN - 1]
    return sorted([run, *others], key=lambda run: run.number)


def compare_view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
    """Return the painting in `row` under the `runs` of an address, "0,2". Raises NotThere."""
    row, runs = row_of(run, parameters), comparable_runs(run, site.runs)
    chosen = chosen_runs(run, runs, parameters.get("runs", ""))
    written = _written(run, runs) if site.is_static else chosen
    columns = list(columns_of(row, written, chosen))
    context = {
        "row": row,
        "label": precision_of(run).label,
        "columns": columns,
        "pairs": list(pairs(columns)),
        "choices": list(choices(run, written if site.is_static else runs, chosen)),
        "left_out": why_left_out(run, site.runs),
        "not_written": len(runs) - len(written) if site.is_static else 0,
        "command": command(site, run),
        "scripts": ["compare.js"],
    }
    return Page(run.caption(row).title, "compare.jinja", context)


def chosen_runs(run: OpenRun, runs: Sequence[OpenRun], text: str) -> list[OpenRun]:
    """Return those of the comparable runs that the text names by number, at most MAX_SHOWN.

    The run of the page is always among them. Without a text, they are the first ones.
    """
    numbers = set(text.split(","))
    others = [other for other in runs if other is not run]
    named = [other for other in others if str(other.number) in numbers]
    shown = [run, *(named if text else others)[: MAX_SHOWN - 1]]
    return [other for other in runs if other in shown]


def columns_of(row: int, runs: Sequence[OpenRun], chosen: Sequence[OpenRun]) -> Iterator[Column]:
    """Yield the neighbors of a painting in each run."""
    ranks = [{other: rank for rank, other in enumerate(run.index[row].tolist(), 1)} for run in runs]
    for at, run in enumerate(runs):

        def also(other: int, own: int = at) -> list[tuple[str, int, int]]:
            """Return in which of the other columns an image is, and its rank there."""
            return [
                (letter_of(there), there.number, ranks[place][other])
                for place, there in enumerate(runs)
                if place != own and other in ranks[place]
            ]

        found = zip(
            run.index[row].tolist(), run.score[row].tolist(), hits_of(run, row), strict=True
        )
        neighbors = [Neighbor(*neighbor, also(neighbor[0])) for neighbor in found]
        value = float(precision_of(run).values[row])
        yield Column(letter_of(run), run, run in chosen, value, neighbors)


def letter_of(run: OpenRun) -> str:
    """Return the letter that stands for an open run in short marks."""
    return LETTERS[run.number % len(LETTERS)]


def hits_of(run: OpenRun, row: int) -> list[bool]:
    """Return for each neighbor of a painting whether it has its value of the main label."""
    label = precision_of(run).label
    if not label or run.labels[label].codes[row] < 0:
        return [False] * run.index.shape[1]
    codes = run.labels[label].codes
    found: list[bool] = (codes[run.index[row]] == codes[row]).tolist()
    return found


def pairs(columns: Sequence[Column]) -> Iterator[tuple[Column, Column, int, int]]:
    """Yield each two columns with the neighbors that both have, and that each has."""
    for first, second in combinations(columns, 2):
        k = min(len(first.neighbors), len(second.neighbors))
        rows = [{neighbor.row for neighbor in column.neighbors[:k]} for column in (first, second)]
        yield first, second, len(rows[0] & rows[1]), k


def choices(
    own: OpenRun, runs: Sequence[OpenRun], chosen: Sequence[OpenRun]
) -> Iterator[tuple[OpenRun, bool, str]]:
    """Yield each run, whether it is shown, and the `runs` of the address that changes that.

    There is no such address, "", for a run more than MAX_SHOWN, nor for the page's own.
    """
    numbers = [run.number for run in chosen]
    for run in runs:
        is_shown = run in chosen
        changed = {*numbers} ^ {run.number}
        is_possible = run is not own and len(changed) <= MAX_SHOWN
        yield run, is_shown, ",".join(map(str, sorted(changed))) if is_possible else ""


def command(site: Site, run: OpenRun) -> str:
    """Return the command that opens a run beside another one; an export tells no path."""
    path = "RUN" if site.is_static else shell_quote(str(from_here(run.files.path)))
    return f"python -m src.browse {path} OTHER_RUN"
