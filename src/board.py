"""Runs compared: which settings differ, who is best and by how much, and who finds the same.

n = images, k = neighbors of each. No torch, so that it is quick.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.checks import UserError, near
from src.intervals import intervals
from src.runs import Run

RESAMPLES = 1000
LOWER = (
    "inter",
    "hubness",
    "orphans",
    "seconds",
    "peak_memory_gb",
    "matrix_mb",
)  # better when lower


@dataclass(frozen=True)
class Board:
    """Runs by a metric, best first."""

    metric: str
    settings: list[str]  # that differ
    runs: list[Run]  # that have the metric
    failed: list[Run]
    table: pd.DataFrame  # a line for each of runs
    shared: pd.DataFrame  # overlap of each two of runs

    def label(self, run: Run) -> str:
        """What sets a run apart: the values of the settings that differ."""
        return " · ".join(map(run.value, self.settings)) or run.folder.name


def compare(runs: list[Run], sort: str | None) -> Board:
    """The runs by the metric to sort by, or by a label's. Raises UserError where none has it."""
    metric, settings = metric_of(runs, sort), differing(runs)
    best_first, failed = ranked(runs, metric), [run for run in runs if run.error]
    found = table(best_first, metric, settings) if best_first else pd.DataFrame()
    return Board(metric, settings, best_first, failed, found, overlap(best_first))


def differing(runs: list[Run]) -> list[str]:
    """The settings that are not the same in all runs that have been started."""
    begun = [run.settings for run in runs if run.settings]
    names = dict.fromkeys(name for settings in begun for name in settings)
    return [name for name in names if len({str(each.get(name)) for each in begun}) > 1]


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
