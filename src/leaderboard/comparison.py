"""Compare runs: settings that differ, order by a metric, gap to the best, shared neighbors.

n = images, k = neighbors of each, r = runs. Imports no torch, to start quickly.
"""

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.errors import UserError, did_you_mean
from src.evaluation.bootstrap import intervals
from src.evaluation.metrics import HEADLINE_METRICS, is_filtered, lower_is_better
from src.leaderboard.runs import Run
from src.runtime.progress import progress

RESAMPLES = 1000
# These do not change the results of a run; nor do the options of tracking
IRRELEVANT_SETTINGS = {"outputs", "backbone.layers"}


@dataclass(frozen=True)
class Comparison:
    """Runs ordered by a metric, best first."""

    metric: str  # the runs are sorted by it
    settings: list[str]  # names of those that differ
    runs: list[Run]  # complete runs that have the metric
    missing_metric: list[Run]  # complete runs that lack it
    incomplete: list[Run]

    @property
    def title(self) -> str:
        """Return the number of runs and the metric."""
        return f"{len(self.runs)} run{'' if len(self.runs) == 1 else 's'} by {self.metric}"

    @cached_property
    def names(self) -> list[str]:
        """Return the name of each run: its folder's, with parents if that is not unique."""
        names = [run.folder.name for run in self.runs]
        if len(set(names)) == len(names):
            return names
        parent = os.path.commonpath([run.folder.absolute() for run in self.runs])
        return [os.path.relpath(run.folder, parent) for run in self.runs]

    @cached_property
    def labels(self) -> list[str]:
        """Return a label for each run: its values of the settings that differ, else its name."""
        labels = [" · ".join(map(run.short_value, self.settings)) for run in self.runs]
        return [label or name for label, name in zip(labels, self.names, strict=True)]

    def metrics(self) -> list[str]:
        """Return the metrics to show: the one to sort by, those of labels, and the headline
        metrics in which the runs differ."""
        available = dict.fromkeys(name for run in self.runs for name in run.metrics)
        maps = [name for name in available if name.endswith("/map_at_10")]
        headline = [
            name
            for name in HEADLINE_METRICS
            if len(self.runs) == 1 or len({run.metrics.get(name) for run in self.runs}) > 1
        ]
        precision = self.metric.rpartition("/")[0] + "/precision_at_1"
        shown = dict.fromkeys([self.metric, precision, *maps, *headline])
        return [name for name in shown if name in available]

    @cached_property
    def table(self) -> pd.DataFrame:
        """Return a row per run: name, settings that differ, gap to the best, all metrics.

        The column behind is the gap in the metric's unit. behind_low and behind_high are its 95%
        interval by a paired bootstrap over the queries, if the two runs have the same queries.
        """
        rows = [
            {"run": name}
            | {setting: run.settings.get(setting) for setting in self.settings}
            | _gap_to_best(self.runs[0], run, self.metric)
            | run.metrics
            for name, run in progress(
                zip(self.names, self.runs, strict=True), "resampling", len(self.runs), " runs"
            )
        ]
        return pd.DataFrame(rows)

    @cached_property
    def overlap(self) -> NDArray[np.float64]:
        """Return (r, r) the neighbors that two runs share: the mean Jaccard index over images.

        Of lists with different k, the nearest of the longer one count. NaN if the images differ.
        """
        count = len(self.runs)
        lists = [(run.images(), run.files.neighbors()[0]) for run in self.runs]
        overlap = np.full((count, count), np.nan)
        pairs = list(zip(*np.triu_indices(count), strict=True))
        for i, j in progress(pairs, "shared neighbors", len(pairs), " pairs"):
            if lists[i][0] == lists[j][0]:
                overlap[i, j] = overlap[j, i] = _jaccard(lists[i][1], lists[j][1])
        return overlap


def compare(runs: list[Run], sort: str | None) -> Comparison:
    """Order the runs by the metric sort, or by the default metric if sort is None.

    Raises UserError if no run has the metric.
    """
    metric = sort_metric(runs, sort)
    complete = [run for run in runs if not run.error]
    sign = _sign(metric)
    return Comparison(
        metric,
        differing_settings(runs),
        sorted(
            (run for run in complete if metric in run.metrics),
            key=lambda run: -sign * float(run.metrics[metric]),
        ),
        [run for run in complete if metric not in run.metrics],
        [run for run in runs if run.error],
    )


def differing_settings(runs: list[Run]) -> list[str]:
    """Return the names of the relevant settings that differ between the runs that started."""
    started = [run.settings for run in runs if run.settings]
    names = dict.fromkeys(name for settings in started for name in settings)
    return [
        name
        for name in names
        if len({str(settings.get(name)) for settings in started}) > 1
        and name not in IRRELEVANT_SETTINGS
        and not name.startswith("tracking.")
    ]


def sort_metric(runs: list[Run], sort: str | None) -> str:
    """Return the metric to sort by: sort, else map_at_10 of artist or another label, else intra.

    Raises UserError if no run has sort as a number.
    """
    available = dict.fromkeys(
        name
        for run in runs
        for name, value in run.metrics.items()
        if isinstance(value, int | float)
    )
    if sort is None:
        maps = [n for n in available if n.endswith("/map_at_10") and not is_filtered(n)]
        return next(iter(sorted(maps, key=lambda name: not name.startswith("artist/"))), "intra")
    if sort not in available:
        raise UserError(f"--sort {sort}: no run has that metric{did_you_mean(sort, available)}")
    return sort


def _sign(metric: str) -> int:
    """Return 1 if higher values are better, -1 if lower values are."""
    return -1 if lower_is_better(metric) else 1


def _gap_to_best(best: Run, run: Run, metric: str) -> dict[str, float]:
    """Return the gap of run to best in the metric's unit, with its interval if known."""
    if run is best:
        return {"behind": np.nan}
    gap = {"behind": _sign(metric) * (best.metrics[metric] - run.metrics[metric])}
    best_values, values = best.files.query_values(metric), run.files.query_values(metric)
    if best_values is None or values is None or best.images() != run.images():
        return gap
    if not np.array_equal(np.isnan(best_values), np.isnan(values)):
        return gap
    return gap | intervals({"behind": _sign(metric) * (best_values - values)}, RESAMPLES, seed=0)


def _jaccard(first: NDArray[np.int32], second: NDArray[np.int32]) -> float:
    """Return the mean over images of shared / all neighbors of two lists (n, k)."""
    k = min(first.shape[1], second.shape[1])
    both = np.sort(np.concatenate([first[:, :k], second[:, :k]], axis=1), axis=1)
    shared = (both[:, 1:] == both[:, :-1]).sum(axis=1)
    return float((shared / (2 * k - shared)).mean())
