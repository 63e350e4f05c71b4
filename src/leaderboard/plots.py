"""Plots of a board: a metric against each setting, and the overlap of the neighbors."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from src.leaderboard.board import Board
from src.leaderboard.runs import sort_key
from src.reporting.contact_sheets import ACCENT, FAINT
from src.reporting.fonts import displayable

COLORS = (ACCENT, "#d1740f", "#3a8f4d", "#a23b72", "#0f8f8f", "#7a5cc0", "#b03a2e", FAINT)
MAX_TICK_LETTERS = 40  # in all tick labels of a panel; with more, labels are rotated
CELL = 0.34  # inches of a pair of runs in the heat map
MAX_NUMBERED_RUNS = 24  # with more, the heat map shows colors only


def setting_plot(board: Board, name: str) -> Figure:
    """Plot the metric against one setting; a line joins runs that differ only in that setting.

    The plots of a board's settings have one scale. A dashed line is at the baseline, if there is
    one.
    """
    figure = Figure(figsize=(3.8, 3.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    _draw_panel(axes, board, name)
    if board.baseline:
        value = board.baseline.metrics[board.metric]
        axes.axhline(value, color=FAINT, lw=0.8, ls="--", zorder=0)
    axes.set_xlabel(escape_dollars(name))
    axes.set_ylabel(escape_dollars(board.metric))
    axes.set_ylim(*_limits(board))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    return figure


def _limits(board: Board) -> tuple[float, float]:
    """Return the ends of the axis of the metric: those of all values and intervals, and a bit."""
    values = np.array([_value_and_ends(board, at) for at in range(len(board.runs))])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.05 * (high - low) or 0.01 * abs(high) or 0.01
    return low - margin, high + margin


def _value_and_ends(board: Board, at: int) -> tuple[float, float, float]:
    """Return the metric of a run and its 95% interval, NaN where that is unknown."""
    metrics = board.runs[at].metrics
    value, low, high = (
        metrics.get(f"{board.metric}{end}", np.nan) for end in ("", "_low", "_high")
    )
    return float(value), float(low), float(high)


def _draw_panel(axes: Axes, board: Board, name: str) -> None:
    """Draw the values of setting name from left to right, in lines colored by another setting."""
    order = sorted(range(len(board.runs)), key=lambda at: sort_key(board.runs[at].folder))
    texts, rest = board.texts, [other for other in board.settings if other != name]
    position = {text: at for at, text in enumerate(dict.fromkeys(texts[name][at] for at in order))}
    hues = {other: list(dict.fromkeys(texts[other][at] for at in order)) for other in rest}
    hue = next((other for other in rest if len(hues[other]) <= len(COLORS)), None)
    lines: dict[tuple[str, ...], list[int]] = {}
    for at in order:
        lines.setdefault(tuple(texts[other][at] for other in rest), []).append(at)
    named: set[str] = set()
    for number, line in enumerate(lines.values()):
        key = texts[hue][line[0]] if hue else ""
        # shifted sideways, so that intervals do not hide one another
        shift = 0.3 * ((number + 0.5) / len(lines) - 0.5)
        x = [position[texts[name][at]] + shift for at in line]
        color = COLORS[hues[hue].index(key)] if hue else ACCENT
        label = None if key in named or not key else escape_dollars(key)
        _draw_line(axes, x, board, line, color, label)
        named.add(key)
    _label_ticks(axes, list(position))
    if hue:  # above the panel, where it hides no point
        style = {"frameon": False, "fontsize": 8, "title_fontsize": 8, "handlelength": 1.2}
        columns = max(1, min(4, MAX_TICK_LETTERS // (4 + max(map(len, hues[hue])))))
        axes.legend(
            title=escape_dollars(hue),
            loc="lower center",
            bbox_to_anchor=(0.5, 1),
            ncols=columns,
            **style,
        )


def _label_ticks(axes: Axes, texts: list[str]) -> None:
    """Write the values of a setting below the panel; "–" where it has no effect."""
    labels = [escape_dollars(text) if text else "–" for text in texts]
    axes.set_xticks(range(len(labels)), labels)
    if sum(map(len, labels)) > MAX_TICK_LETTERS:
        for tick in axes.get_xticklabels():
            tick.set(rotation=25, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.5, len(labels) - 0.5)


def _draw_line(
    axes: Axes, x: list[float], board: Board, line: list[int], color: str, label: str | None
) -> None:
    """Draw the metric of runs at x, with 95% intervals where they are known."""
    y, low, high = np.array([_value_and_ends(board, at) for at in line]).T
    errors = np.abs(np.array([low, high]) - y)
    axes.errorbar(x, y, errors, fmt="o-", ms=4, lw=1, elinewidth=0.7, color=color, label=label)


def escape_dollars(text: str) -> str:
    """Return text that matplotlib shows literally, without reading formulas between dollars."""
    return displayable(text).replace("$", r"\$")


def overlap_heat_map(board: Board) -> Figure:
    """Plot the Jaccard index of the neighbors of every two runs, numbered from the best."""
    count, overlap = len(board.runs), board.overlap
    side = CELL * max(count, 4) + 0.5
    is_numbered = count <= MAX_NUMBERED_RUNS
    size = (side if is_numbered else side + 1, side)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(overlap, vmin=0, vmax=1, cmap="Blues")
    numbers = [str(place) for place in range(1, count + 1)]
    axes.set_xticks(range(count), numbers, fontsize=8)
    axes.set_yticks(range(count), numbers, fontsize=8)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if not is_numbered:
        figure.colorbar(image, shrink=0.6, label="Jaccard index")
        return figure
    for row, column in np.ndindex(count, count):
        value = overlap[row, column]
        color = "white" if value > 0.6 else "#333333"
        text = f"{value:.2f}".lstrip("0")
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
    return figure
