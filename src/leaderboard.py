"""Compare runs:  python -m src.leaderboard [FOLDER ...] [--sort artist/map_at_10]

Each folder is a run or holds runs, a sweep's for example; without one, the newest sweep. Writes
leaderboard.csv and leaderboard.md beside the runs: only the settings that differ, the metrics with
their intervals, best first; then the runs that failed, with the command that runs them again.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.checks import UserError, near
from src.files import replacing
from src.intervals import intervals
from src.runs import Run, newest_sweep, read

RESAMPLES = 1000
SHOWN = ("inter", "hubness", "seconds/embed", "seconds/rank")  # in the short table, with each mAP
LOWER = ("inter", "hubness", "orphans", "seconds", "peak_memory_gb")  # better when lower


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
        print(write(runs, options.sort, folders[0]))
    except (UserError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return int(any(run.error for run in runs))


def differing(runs: list[Run]) -> list[str]:
    """The settings that are not the same in all runs."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return [name for name in names if len({str(run.settings.get(name)) for run in runs}) > 1]


def metric_of(runs: list[Run], wanted: str | None) -> str:
    """What runs are sorted by: wanted, else a label's mAP, the artist's first, else intra.

    Raises UserError where no run has it.
    """
    known = dict.fromkeys(name for run in runs for name in run.metrics)
    if wanted is None:
        labels = [n for n in known if n.endswith("/map_at_10") and "-no_same" not in n]
        return next(iter(sorted(labels, key=lambda name: not name.startswith("artist/"))), "intra")
    if wanted not in known:
        raise UserError(f"--sort {wanted}: no run has that metric{near(wanted, set(known))}")
    return wanted


def ranked(runs: list[Run], metric: str) -> list[Run]:
    """The runs that have the metric, best first."""
    sign = 1 if metric.startswith(LOWER) else -1
    ended = [run for run in runs if metric in run.metrics]
    return sorted(ended, key=lambda run: sign * run.metrics[metric])


def table(best_first: list[Run], metric: str, settings: list[str]) -> pd.DataFrame:
    """A line for each run: these settings, by how much the best is ahead, all metrics.

    behind is that difference, with the 95% interval of a paired bootstrap over the queries
    (behind_low, behind_high) where the two runs have the same ones.
    """
    lines = [
        {"run": run.folder.name}
        | {name: run.settings.get(name) for name in settings}
        | _behind(best_first[0], run, metric)
        | run.metrics
        for run in best_first
    ]
    return pd.DataFrame(lines)


def _behind(best: Run, run: Run, metric: str) -> dict[str, float]:
    if run is best:
        return {"behind": np.nan}
    behind = {"behind": abs(best.metrics[metric] - run.metrics[metric])}
    first, second = best.queries(metric), run.queries(metric)
    if first is None or second is None or best.images() != run.images():
        return behind
    if not np.array_equal(np.isnan(first), np.isnan(second)):
        return behind
    return behind | intervals({"behind": first - second}, RESAMPLES, seed=0)


def overlap(runs: list[Run]) -> pd.DataFrame:
    """Jaccard index of each two runs' neighbors: the mean over images of shared / all of theirs.

    Of as many of the nearest as both have; NaN where the images differ.
    """
    lists = [(run.images(), run.neighbors()) for run in runs]
    values = [
        [_jaccard(a, b) if own == other else np.nan for other, b in lists] for own, a in lists
    ]
    names = [run.folder.name for run in runs]
    return pd.DataFrame(values, names, names)


def _jaccard(first: NDArray[np.int32], second: NDArray[np.int32]) -> float:
    k = min(first.shape[1], second.shape[1])
    both = np.sort(np.concatenate([first[:, :k], second[:, :k]], axis=1), axis=1)
    shared = (both[:, 1:] == both[:, :-1]).sum(axis=1)
    return float((shared / (2 * k - shared)).mean())


def write(runs: list[Run], sort: str | None, folder: Path) -> str:
    """Write leaderboard.csv and leaderboard.md into folder; what to print. Raises UserError."""
    failed = [run for run in runs if run.error]
    parts, metric = [], metric_of(runs, sort)
    if best_first := ranked(runs, metric):
        settings = differing(runs)
        found = table(best_first, metric, settings)
        with replacing(folder / "leaderboard.csv") as part:
            found.to_csv(part, index=False)
        parts += [f"{len(found)} runs by {metric}, best first", _short(found, settings, metric)]
    if len(best_first) > 1:
        shared = overlap(best_first).round(2).reset_index(names="run")
        parts += ["neighbors that two runs share (Jaccard index)", _markdown(shared)]
    if failed:
        parts.append(_failures(failed, len(runs)))
    text = "\n\n".join(parts) + "\n"
    with replacing(folder / "leaderboard.md") as part:
        part.write_text(text)
    names = ", ".join(sorted(path.name for path in folder.glob("leaderboard.*")))
    return f"{text}\nfiles in {os.path.relpath(folder)}: {names}"


def _short(found: pd.DataFrame, settings: list[str], metric: str) -> str:
    """The settings and a few metrics."""
    lines = found[["run", *settings]].copy()
    lines[metric] = [_interval(line, metric) for _, line in found.iterrows()]
    if len(found) > 1:
        lines["behind the best"] = [_interval(line, "behind") for _, line in found.iterrows()]
    for name in map(str, found):
        own = name == metric.partition("/")[0] + "/precision_at_1"
        of_label = name.endswith("/map_at_10") and "-no_same" not in name
        if name != metric and (own or of_label or name in SHOWN):
            lines[name] = [f"{value:.3f}" for value in found[name]]
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
            *(f"    python -m src.run {shlex.join(_again(run))}" for run in failed),
        ]
    )


def _again(run: Run) -> list[str]:
    """The options that make this run alone, in its own folder."""
    return [*run.overrides, "hydra.mode=RUN", f"hydra.run.dir={os.path.relpath(run.folder)}"]


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
