"""Plots of a leaderboard: metrics by setting, and the overlap of the runs' neighbors."""

from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from src.leaderboard.comparison import Comparison
from src.leaderboard.runs import order
from src.reporting.contact_sheets import ACCENT, FAINT
from src.reporting.run_folder import Run

COLORS = (ACCENT, "#d1740f", "#3a8f4d", "#a23b72", "#0f8f8f", "#7a5cc0", "#b03a2e", FAINT)
PANELS, LETTERS = 3, 40  # beside one another; below one panel in a line
LETTER = 0.075  # inches of a letter of 8 points
CELLS = 24  # runs, up to which the heat map has its numbers written in


def setting_plot(board: Comparison) -> Figure:
    """The metric against each setting; a line joins the runs that differ in it alone."""
    settings, runs = board.settings, sorted(board.runs, key=lambda run: order(run.folder))
    columns = min(PANELS, len(settings))
    rows = ceil(len(settings) / columns)
    figure = Figure(figsize=(2 + 3.6 * columns, 4 * rows), dpi=110, layout="constrained")
    every = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes in every[len(settings) :]:
        axes.remove()
    for axes, name in zip(every, settings, strict=False):
        _profile(axes, runs, board.metric, name, [other for other in settings if other != name])
        axes.set_xlabel(plain(name))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#eeeeee")
        axes.set_axisbelow(True)
    for axes in every[::columns]:
        axes.set_ylabel(plain(board.metric))
    return figure


def _profile(axes: Axes, runs: list[Run], metric: str, name: str, others: list[str]) -> None:
    """One panel: values of the setting from left to right, lines colored by another setting."""
    values = {run.value(name): plain(run.short(name)) for run in runs}
    places = {value: at for at, value in enumerate(values)}
    hues = {o: list(dict.fromkeys(run.short(o) for run in runs)) for o in others}
    hue = next((o for o in others if len(hues[o]) <= len(COLORS)), None)
    lines: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        lines.setdefault(tuple(map(run.value, others)), []).append(run)
    named: set[str] = set()
    for number, line in enumerate(lines.values()):
        key = line[0].short(hue) if hue else ""
        # side by side, so that intervals do not hide one another
        shift = 0.3 * ((number + 0.5) / len(lines) - 0.5)
        at = [places[run.value(name)] + shift for run in line]
        middle = np.array([run.metrics[metric] for run in line])
        ends = [
            [run.metrics.get(f"{metric}_{end}", np.nan) for run in line] for end in ("low", "high")
        ]
        spread = np.abs(np.array(ends) - middle)
        color = COLORS[hues[hue].index(key)] if hue else ACCENT
        label = plain(key) if key not in named else None
        axes.errorbar(
            at, middle, spread, fmt="o-", ms=4, lw=1, elinewidth=0.7, color=color, label=label
        )
        named.add(key)
    axes.set_xticks(range(len(values)), list(values.values()))
    if sum(map(len, values.values())) > LETTERS:
        for tick in axes.get_xticklabels():
            tick.set(rotation=25, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.5, len(places) - 0.5)
    if hue:  # above, where it hides no point
        look = {"frameon": False, "fontsize": 8, "title_fontsize": 8, "handlelength": 1.2}
        axes.legend(title=plain(hue), loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, **look)


def plain(text: str) -> str:
    """text that matplotlib shows as it is, instead of reading formulas between dollar signs."""
    return text.replace("$", r"\$")


def heat_map(board: Comparison) -> Figure:
    """Jaccard index of each two runs' neighbors, runs best first; below, the names of the runs."""
    count = len(board.runs)
    names, shared = [plain(label) for label in board.labels], board.overlap
    side, beside = 0.42 * max(count, 4), LETTER * max(map(len, names))
    below = LETTER * max(map(len, board.names))
    figure = Figure(figsize=(side + beside + 2, side + below + 0.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shared, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(count), list(map(plain, board.names)), rotation=90, fontsize=8)
    axes.set_yticks(range(count), names, fontsize=8)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if count <= CELLS:
        for row, column in np.ndindex(count, count):
            dark = shared[row, column] > 0.6
            text = "" if np.isnan(shared[row, column]) else f"{shared[row, column]:.2f}".lstrip("0")
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "#333333",
            )
    figure.colorbar(image, shrink=0.6, label="Jaccard index")
    return figure
