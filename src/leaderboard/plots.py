"""Plots of a leaderboard: a metric against each setting, and the overlap of the neighbors."""

from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from src.leaderboard.comparison import Comparison
from src.leaderboard.runs import Run, sort_key
from src.reporting.contact_sheets import ACCENT, FAINT
from src.reporting.fonts import displayable

COLORS = (ACCENT, "#d1740f", "#3a8f4d", "#a23b72", "#0f8f8f", "#7a5cc0", "#b03a2e", FAINT)
MAX_PANELS = 3  # side by side
MAX_TICK_LETTERS = 40  # in all tick labels of a panel; with more, labels are rotated
LETTER_WIDTH = 0.075  # inches, at 8 points
MAX_NUMBERED_RUNS = 24  # with more, the heat map shows colors only


def setting_plot(comparison: Comparison) -> Figure:
    """Plot the metric against each setting; a line joins runs that differ only in that setting."""
    settings = comparison.settings
    runs = sorted(comparison.runs, key=lambda run: sort_key(run.folder))
    columns = min(MAX_PANELS, len(settings))
    rows = ceil(len(settings) / columns)
    figure = Figure(figsize=(2 + 3.6 * columns, 4 * rows), dpi=110, layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes in panels[len(settings) :]:
        axes.remove()
    for axes, name in zip(panels, settings, strict=False):
        rest = [other for other in settings if other != name]
        _draw_panel(axes, runs, comparison.metric, name, rest)
        axes.set_xlabel(escape_dollars(name))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#eeeeee")
        axes.set_axisbelow(True)
    for axes in panels[::columns]:
        axes.set_ylabel(escape_dollars(comparison.metric))
    return figure


def _draw_panel(axes: Axes, runs: list[Run], metric: str, name: str, rest: list[str]) -> None:
    """Draw the values of setting name from left to right, in lines colored by one of rest."""
    ticks = {run.value(name): escape_dollars(run.short_value(name)) for run in runs}
    position = {value: at for at, value in enumerate(ticks)}
    hues = {other: list(dict.fromkeys(run.short_value(other) for run in runs)) for other in rest}
    hue = next((other for other in rest if len(hues[other]) <= len(COLORS)), None)
    lines: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        lines.setdefault(tuple(map(run.value, rest)), []).append(run)
    named: set[str] = set()
    for number, line in enumerate(lines.values()):
        key = line[0].short_value(hue) if hue else ""
        # shifted sideways, so that intervals do not hide one another
        shift = 0.3 * ((number + 0.5) / len(lines) - 0.5)
        x = [position[run.value(name)] + shift for run in line]
        color = COLORS[hues[hue].index(key)] if hue else ACCENT
        _draw_line(axes, x, line, metric, color, None if key in named else escape_dollars(key))
        named.add(key)
    axes.set_xticks(range(len(ticks)), list(ticks.values()))
    if sum(map(len, ticks.values())) > MAX_TICK_LETTERS:
        for tick in axes.get_xticklabels():
            tick.set(rotation=25, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.5, len(position) - 0.5)
    if hue:  # above the panel, where it hides no point
        style = {"frameon": False, "fontsize": 8, "title_fontsize": 8, "handlelength": 1.2}
        title = escape_dollars(hue)
        axes.legend(title=title, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, **style)


def _draw_line(
    axes: Axes, x: list[float], runs: list[Run], metric: str, color: str, label: str | None
) -> None:
    """Draw the metric of runs at x, with 95% intervals where they are known."""
    y = np.array([run.metrics[metric] for run in runs])
    ends = [[run.metrics.get(f"{metric}_{end}", np.nan) for run in runs] for end in ("low", "high")]
    errors = np.abs(np.array(ends) - y)
    axes.errorbar(x, y, errors, fmt="o-", ms=4, lw=1, elinewidth=0.7, color=color, label=label)


def escape_dollars(text: str) -> str:
    """Return text that matplotlib shows literally, without reading formulas between dollars."""
    return displayable(text).replace("$", r"\$")


def overlap_heat_map(comparison: Comparison) -> Figure:
    """Plot the Jaccard index of the neighbors of every two runs, best first."""
    count, overlap = len(comparison.runs), comparison.overlap
    labels, names = (
        [escape_dollars(text) for text in texts] for texts in (comparison.labels, comparison.names)
    )
    side, left = 0.42 * max(count, 4), LETTER_WIDTH * max(map(len, labels))
    below = LETTER_WIDTH * max(map(len, comparison.names))
    figure = Figure(figsize=(side + left + 2, side + below + 0.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(overlap, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(count), names, rotation=90, fontsize=8)
    axes.set_yticks(range(count), labels, fontsize=8)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if count <= MAX_NUMBERED_RUNS:
        for row, column in np.ndindex(count, count):
            value = overlap[row, column]
            text = "" if np.isnan(value) else f"{value:.2f}".lstrip("0")
            color = "white" if value > 0.6 else "#333333"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
    figure.colorbar(image, shrink=0.6, label="Jaccard index")
    return figure
