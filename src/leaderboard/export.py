"""Compare runs:  python -m src.leaderboard [FOLDER ...] [--sort artist/map_at_10]

Each folder is a run or holds runs, a sweep's for example; without one, the newest sweep. Writes
leaderboard.csv, .md and .html beside the runs: only the settings that differ, the metrics with
their intervals, best first; then the runs that failed, with the command that runs them again.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from src.io.files import atomic_write
from src.leaderboard.comparison import Comparison
from src.leaderboard.html import page


def write_leaderboard(board: Comparison, folder: Path) -> None:
    """Print the table, and write leaderboard.csv, .md and .html into folder."""
    text = _text(board)
    print(text)
    with atomic_write(folder / "leaderboard.md") as part:
        part.write_text(text, "utf-8", "surrogateescape")
    if board.runs:
        with atomic_write(folder / "leaderboard.csv") as part:
            board.table.to_csv(part, index=False)
        with atomic_write(folder / "leaderboard.html") as part:
            part.write_text(page(board, folder), "utf-8", "surrogateescape")
    files = ", ".join(sorted(path.name for path in folder.glob("leaderboard.*")))
    print(f"files in {os.path.relpath(folder)}: {files}")


def _text(board: Comparison) -> str:
    parts = []
    if board.runs:
        parts += [f"{board.title}, best first", _short(board)]
    if len(board.runs) > 1:
        shared = board.overlap.round(2).tolist()
        lines = [[name, *map(str, row)] for name, row in zip(board.names, shared, strict=True)]
        parts.append("neighbors that two runs share (Jaccard index)")
        parts.append(_markdown(["run", *board.names], lines))
    if board.without:
        names = ", ".join(run.folder.name for run in board.without)
        parts.append(f"without {board.metric}: {names}")
    if board.failed:
        parts.append(_failures(board))
    return "\n\n".join(parts) + "\n"


def _short(board: Comparison) -> str:
    """The settings and the main metrics."""
    first, *others = (n for n in board.metrics() if "-no_same" not in n or n == board.metric)
    columns = [first, *(["behind"] if len(board.runs) > 1 else []), *others]
    whole = columns[: len(columns) - len(others)]  # with their intervals
    lines = [
        [line["run"], *map(run.short, board.settings)]
        + [_number(line, name, name in whole) for name in columns]
        for run, line in zip(board.runs, board.table.to_dict("records"), strict=True)
    ]
    heads = ["behind the best" if name == "behind" else name for name in columns]
    return _markdown(["run", *board.settings, *heads], lines)


def _number(line: dict[Any, Any], name: str, whole: bool) -> str:
    """A metric, and its interval where that is asked for; nothing for NaN."""
    value, low, high = (line.get(f"{name}{end}", np.nan) for end in ("", "_low", "_high"))
    if not np.isfinite(value):
        return ""
    return f"{value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if whole and np.isfinite(low) else "")


def _failures(board: Comparison) -> str:
    count = len(board.runs) + len(board.without) + len(board.failed)
    return "\n".join(
        [
            f"not ended: {len(board.failed)} of {count}",
            "",
            *(f"    {run.folder.name}: {run.error}" for run in board.failed),
            "",
            "to run them again:",
            "",
            *(f"    {run.command}" for run in board.failed),
        ]
    )


def _markdown(heads: list[str], lines: list[list[str]]) -> str:
    """A table of Markdown that reads well as it is, too."""
    rows = [heads, *lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in rows
    )
