"""Compare runs:  python -m src.leaderboard [FOLDER ...] [--sort artist/map_at_10]

Each folder is a run or holds runs, a sweep's for example; without one, the newest sweep. Writes
leaderboard.csv, .md and .html beside the runs: only the settings that differ, the metrics with
their intervals, best first; then the runs that failed, with the command that runs them again.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from src.board import Board, compare
from src.checks import UserError
from src.files import replacing
from src.page import page
from src.runs import Run, newest_sweep, read

# in the short table, where they differ, with each mAP
SHOWN = ("inter", "hubness", "seconds/embed", "seconds/rank", "matrix_mb")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and where it was written; the exit code, 1 where a run has failed."""
    parser = argparse.ArgumentParser("python -m src.leaderboard", description="Compare runs.")
    parser.add_argument("folders", nargs="*", type=Path, help="runs, or folders of runs")
    parser.add_argument("--sort", help="a metric of metrics.json; default: a label's map_at_10")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="where sweeps are")
    options = parser.parse_args(arguments)
    try:
        folders = options.folders or [newest_sweep(options.outputs)]
        runs = read(folders)
        print(write(compare(runs, options.sort), folders[0]))
    except (UserError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return int(any(run.error for run in runs))


def write(board: Board, folder: Path) -> str:
    """Write leaderboard.csv, .md and .html into folder; what to print."""
    text, name = _text(board), os.path.relpath(folder)
    if board.runs:
        with replacing(folder / "leaderboard.csv") as part:
            board.table.to_csv(part, index=False)
        with replacing(folder / "leaderboard.html") as part:
            part.write_text(page(board, folder), "utf-8", "surrogateescape")
    with replacing(folder / "leaderboard.md") as part:
        part.write_text(text, "utf-8", "surrogateescape")
    files = ", ".join(sorted(path.name for path in folder.glob("leaderboard.*")))
    return f"{text}\nfiles in {name}: {files}"


def _text(board: Board) -> str:
    parts = []
    if board.runs:
        parts += [f"{len(board.runs)} runs by {board.metric}, best first", _short(board)]
    if len(board.runs) > 1:
        shared = board.shared.round(2).reset_index(names="run")
        parts += ["neighbors that two runs share (Jaccard index)", _markdown(shared)]
    if board.failed:
        parts.append(_failures(board.failed, len(board.runs) + len(board.failed)))
    return "\n\n".join(parts) + "\n"


def _short(board: Board) -> str:
    """The settings and a few metrics."""
    found, metric = board.table, board.metric
    lines = found[["run", *board.settings]].copy()
    lines[metric] = [_interval(line, metric) for _, line in found.iterrows()]
    if len(found) > 1:
        lines["behind the best"] = [_interval(line, "behind") for _, line in found.iterrows()]
    for name in map(str, found):
        own = name == metric.partition("/")[0] + "/precision_at_1"
        of_label = name.endswith("/map_at_10") and "-no_same" not in name
        differs = len(found) == 1 or found[name].nunique(dropna=False) > 1
        if name != metric and (own or of_label or (name in SHOWN and differs)):
            lines[name] = [f"{value:.3f}" if value == value else "" for value in found[name]]
    return _markdown(lines)


def _interval(line: "pd.Series[Any]", name: str) -> str:
    low, high = (line.get(f"{name}_{end}", np.nan) for end in ("low", "high"))
    value = f"{line[name]:.3f}" if np.isfinite(line[name]) else ""
    return f"{value} [{low:.3f}, {high:.3f}]" if np.isfinite(low) else value


def _failures(failed: list[Run], count: int) -> str:
    return "\n".join(
        [
            f"not ended: {len(failed)} of {count}",
            "",
            *(f"    {run.folder.name}: {run.error}" for run in failed),
            "",
            "to run them again:",
            "",
            *(f"    {run.command}" for run in failed),
        ]
    )


def _markdown(lines: pd.DataFrame) -> str:
    """A table of Markdown that reads well as it is, too."""
    rows = [[str(cell) for cell in row] for row in [list(lines), *lines.to_numpy().tolist()]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
