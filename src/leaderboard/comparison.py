"""Runs compared: which settings differ, who is best and by how much, and who finds the same.

n = images, k = neighbors of each. No torch, so that it is quick.
"""

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.errors import UserError, did_you_mean
from src.evaluation.bootstrap import intervals
from src.reporting.run_folder import Run

RESAMPLES = 1000
LOWER_IS_BETTER = {  # better when lower, and so are seconds/... and .../fewer_than_10
    *("inter", "hubness", "orphans", "unproven_rows", "skipped", "missing"),
    *("waiting_for_data", "peak_memory_gb", "matrix_mb", "near_duplicates"),
}
IRRELEVANT_SETTINGS = {
    "outputs",
    "backbone.layers",
}  # do not change what a run finds; nor does tracking
MAIN = ("inter", "hubness", "seconds/embed", "seconds/rank", "matrix_mb")  # beside those of labels


@dataclass(frozen=True)
class Comparison:
    """Runs by a metric, best first."""

    metric: str
    settings: list[str]  # that differ
    runs: list[Run]  # that have the metric
    without: list[Run]  # that ended, but lack it
    failed: list[Run]

    @property
    def title(self) -> str:
        """How many runs there are, and what they are sorted by."""
        return f"{len(self.runs)} run{'' if len(self.runs) == 1 else 's'} by {self.metric}"

    @cached_property
    def names(self) -> list[str]:
        """Of runs: their folders' names, with more of the path where those are not unique."""
        names = [run.folder.name for run in self.runs]
        if len(set(names)) == len(names):
            return names
        parent = os.path.commonpath([run.folder.absolute() for run in self.runs])
        return [os.path.relpath(run.folder, parent) for run in self.runs]

    @cached_property
    def labels(self) -> list[str]:
        """What sets each of runs apart: the values of the settings that differ, in short."""
        found = [" · ".join(map(run.short, self.settings)) for run in self.runs]
        return [label or name for label, name in zip(found, self.names, strict=True)]

    def metrics(self) -> list[str]:
        """The main ones: that to sort by, those of labels, and others in which the runs differ."""
        known = dict.fromkeys(name for run in self.runs for name in run.metrics)
        maps = [name for name in known if name.endswith("/map_at_10")]
        others = [
            name
            for name in MAIN
            if len(self.runs) == 1 or len({run.metrics.get(name) for run in self.runs}) > 1
        ]
        first = self.metric.rpartition("/")[0] + "/precision_at_1"
        wanted = dict.fromkeys([self.metric, first, *maps, *others])
        return [name for name in wanted if name in known]

    @cached_property
    def table(self) -> pd.DataFrame:
        """A line for each of runs: the settings that differ, how far behind the best, all metrics.

        behind has the 95% interval of a paired bootstrap over the queries (behind_low,
        behind_high) where the two runs have the same ones.
        """
        lines = [
            {"run": name}
            | {setting: run.settings.get(setting) for setting in self.settings}
            | _gap_to_best(self.runs[0], run, self.metric)
            | run.metrics
            for name, run in zip(self.names, self.runs, strict=True)
        ]
        return pd.DataFrame(lines)

    @cached_property
    def overlap(self) -> NDArray[np.float64]:
        """(r, r) Jaccard index of each two runs' neighbors: the mean over images of shared / all.

        Of as many of the nearest as both have; NaN where the images differ.
        """
        count = len(self.runs)
        lists = [(run.images(), run.neighbors()) for run in self.runs]
        found = np.full((count, count), np.nan)
        for i, j in zip(*np.triu_indices(count), strict=True):
            if lists[i][0] == lists[j][0]:
                found[i, j] = found[j, i] = _jaccard(lists[i][1], lists[j][1])
        return found


def compare(runs: list[Run], sort: str | None) -> Comparison:
    """The runs by the metric to sort by, or by a label's. Raises UserError where none has it."""
    metric = metric_of(runs, sort)
    ended = [run for run in runs if not run.error]
    return Comparison(
        metric,
        differing(runs),
        sorted((run for run in ended if metric in run.metrics), key=lambda run: _rank(run, metric)),
        [run for run in ended if metric not in run.metrics],
        [run for run in runs if run.error],
    )


def differing(runs: list[Run]) -> list[str]:
    """The settings that matter and are not the same in all runs that have been started."""
    begun = [run.settings for run in runs if run.settings]
    names = dict.fromkeys(name for settings in begun for name in settings)
    return [
        name
        for name in names
        if len({str(each.get(name)) for each in begun}) > 1
        and name not in IRRELEVANT_SETTINGS
        and not name.startswith("tracking.")
    ]


def metric_of(runs: list[Run], wanted: str | None) -> str:
    """What runs are sorted by: wanted, else a label's mAP, the artist's first, else intra.

    Raises UserError where no run has it, as a number.
    """
    known = dict.fromkeys(
        name
        for run in runs
        for name, value in run.metrics.items()
        if isinstance(value, int | float)
    )
    if wanted is None:
        labels = [n for n in known if n.endswith("/map_at_10") and "-no_same" not in n]
        return next(iter(sorted(labels, key=lambda name: not name.startswith("artist/"))), "intra")
    if wanted not in known:
        raise UserError(
            f"--sort {wanted}: no run has that metric{did_you_mean(wanted, set(known))}"
        )
    return wanted


def _sign(metric: str) -> int:
    """1 where higher is better, -1 where lower is."""
    lower = (
        metric in LOWER_IS_BETTER
        or metric.startswith("seconds/")
        or metric.endswith("/fewer_than_10")
    )
    return -1 if lower else 1


def _rank(run: Run, metric: str) -> float:
    return -_sign(metric) * float(run.metrics[metric])


def _gap_to_best(best: Run, run: Run, metric: str) -> dict[str, float]:
    """By how much the best is better, in the metric's own unit."""
    if run is best:
        return {"behind": np.nan}
    behind = {"behind": _sign(metric) * (best.metrics[metric] - run.metrics[metric])}
    first, second = best.queries(metric), run.queries(metric)
    if first is None or second is None or best.images() != run.images():
        return behind
    if not np.array_equal(np.isnan(first), np.isnan(second)):
        return behind
    return behind | intervals({"behind": _sign(metric) * (first - second)}, RESAMPLES, seed=0)


def _jaccard(first: NDArray[np.int32], second: NDArray[np.int32]) -> float:
    k = min(first.shape[1], second.shape[1])
    both = np.sort(np.concatenate([first[:, :k], second[:, :k]], axis=1), axis=1)
    shared = (both[:, 1:] == both[:, :-1]).sum(axis=1)
    return float((shared / (2 * k - shared)).mean())
