"""A board: comparable runs in the order of a metric, their differences, shared neighbors.

n = images, k = neighbors of each, r = runs. Imports no torch, to start quickly.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.evaluation.hubness import shared_neighbors
from src.evaluation.metrics import (
    AGREEMENT,
    FILTER,
    HEADLINE_METRICS,
    JUDGED,
    direction,
    main_names,
    ranks_settings,
)
from src.leaderboard.classes import read_classes
from src.leaderboard.halves import NAMES, Halves
from src.leaderboard.paired import Paired, unequal_settings
from src.leaderboard.runs import Run
from src.leaderboard.words import column_texts, run_labels
from src.reporting.baselines import MARK, is_random
from src.reporting.phrases import describe_run
from src.runtime.progress import progress

HALF_COLUMNS = {f"half_{name.lower()}": f"half {name}" for name in NAMES}  # with their headings


@dataclass(frozen=True)
class Board:
    """Comparable runs ordered by a metric, best first."""

    metric: str  # the runs are sorted by it
    settings: list[str]  # names of those that differ and can change a result
    runs: list[Run]  # those that have the metric
    names: list[str]  # of these runs: their folders, below the deepest one that holds all
    missing_metric: list[Run]  # those that lack it
    baseline: Run | None = None  # the one of the runs that the others are compared with
    is_halved: bool = False  # whether the best is also chosen on one half of the label's classes

    @property
    def title(self) -> str:
        """Return the number of runs and the metric."""
        return f"{len(self.runs)} run{'' if len(self.runs) == 1 else 's'} by {self.metric}"

    @property
    def collection(self) -> str:
        """Return the number of images, where they are from, and the table of their labels.

        By a metric of judgements, also theirs.
        """
        best = self.runs[0]
        source = best.settings.get("data.images") or best.images()[0].rpartition("-")[0]
        name = Path(str(source)).name or best.images()[0]
        tables = ["labels", "judgements"] if self.metric.startswith(JUDGED) else ["labels"]
        named = [(table, best.settings.get(f"data.{table}")) for table in tables]
        told = "".join(f", {table} of {Path(str(path)).name}" for table, path in named if path)
        return f"{best.metrics['images']} images of {name}{told}"

    @property
    def folder(self) -> Path:
        """Return the deepest folder that holds all runs."""
        return Path(os.path.commonpath([run.folder.absolute().parent for run in self.runs]))

    @property
    def ranks_settings(self) -> bool:
        """Return whether the metric can rank settings."""
        return ranks_settings(self.metric)

    @property
    def queries(self) -> int | None:
        """Return over how many images the metric is a mean, None if that is not known."""
        values = self.runs[0].query_values(self.metric)
        return None if values is None else int((~np.isnan(values)).sum())

    @property
    def chance(self) -> float | None:
        """Return what the metric would be if neighbors came in random order, None if unknown."""
        return self.runs[0].metrics.get(f"{self.metric}_chance")

    @cached_property
    def labels(self) -> list[str]:
        """Return a label for each run, in words: the settings in which it differs, else its name.

        A run with random weights says so.
        """
        labels = run_labels(self.settings, [run.settings for run in self.runs], self.names)
        return [
            label if not mark or mark in label else f"{label}, {mark}"
            for label, mark in zip(labels, self.marks, strict=True)
        ]

    @property
    def shared(self) -> str:
        """Return in words what all runs have in common of network, post-processing and score."""
        first, *others = [run.settings for run in self.runs]
        common = {
            name: value
            for name, value in first.items()
            if all(settings.get(name) == value for settings in others)
        }
        return describe_run(common)

    @property
    def marks(self) -> list[str]:
        """Return the mark of each run: that of random weights, or ""."""
        return [MARK if is_random(run.settings) else "" for run in self.runs]

    @cached_property
    def texts(self) -> dict[str, list[str]]:
        """Return by setting its value in each run, as a person would write it."""
        settings = [run.settings for run in self.runs]
        return {name: column_texts(name, settings) for name in self.settings}

    @property
    def precision(self) -> list[str]:
        """Return P@1 of the metric's label, [] without one: few first neighbors are judged."""
        name = self.metric.rpartition("/")[0] + "/precision_at_1"
        is_known = any(name in run.metrics for run in self.runs)
        return [name] if is_known and not name.startswith(JUDGED) else []

    def metrics(self) -> list[str]:
        """Return the metrics to show: the one to sort by, those of the main labels, the agreement
        with judgements, and the headline metrics in which the runs differ."""
        available = dict.fromkeys(name for run in self.runs for name in run.metrics)
        end = "/map_at_10"
        labels = [name.removesuffix(end) for name in available if name.endswith(end)]
        main = {self.metric.rpartition("/")[0], *main_names(labels)}
        maps = [label + end for label in labels if label.partition(FILTER)[0] in main]
        headline = [
            name
            for name in HEADLINE_METRICS
            if len(self.runs) == 1 or len({run.metrics.get(name) for run in self.runs}) > 1
        ]
        shown = dict.fromkeys([self.metric, *self.precision, *maps, AGREEMENT, *headline])
        return [name for name in shown if name in available]

    @cached_property
    def paired(self) -> Paired:
        """Return the comparison of all runs with the baseline, or with the best if there is none.

        Differences to the best are not tested: which one is the best was found in the same numbers.
        """
        reference = self.baseline or self.runs[0]
        return Paired(self.metric, self.runs, reference, read_classes(self.runs, self.metric))

    @cached_property
    def halves(self) -> Halves | None:
        """Return the runs on both halves of the classes, None if not asked for or not possible."""
        halves = Halves(self.paired)
        return halves if self.is_halved and not halves.why_not else None

    @property
    def half_columns(self) -> dict[str, str]:
        """Return the columns of the halves with their headings, {} without halves."""
        return HALF_COLUMNS if self.halves else {}

    @cached_property
    def roles(self) -> list[list[str]]:
        """Return what each run is among the others: the baseline, the choice on a half."""
        choices = self.halves.choices if self.halves else []
        return [
            ["baseline"] * (run is self.baseline)
            + [f"chosen on half {c.name}" for c in choices if self.runs[c.at] is run]
            for run in self.runs
        ]

    @property
    def gap(self) -> tuple[str, str]:
        """Return the column that compares runs, and its heading."""
        if self.baseline:
            return "difference", "difference to the baseline"
        return "behind", "behind the best"

    def heading(self, metric: str) -> str:
        """Return a metric's name, and the settings that make its values incomparable here."""
        settings = [name.rpartition(".")[2] for name in unequal_settings(metric, self.runs)]
        return f"{metric} (depends on {', '.join(settings)})" if settings else metric

    @cached_property
    def table(self) -> pd.DataFrame:
        """Return a row per run: name, mark, settings that differ, gap, halves, all metrics.

        The column behind is the gap to the best, at least 0, and difference is the run minus the
        baseline, both in the metric's unit. _low and _high are their 95% intervals by a paired
        bootstrap, if the two runs have the same queries. p and p_holm, adjusted for the number of
        comparisons, are p-values of the differences to the baseline.
        """
        rows = [
            run.metrics
            | {"run": name, "mark": "; ".join(filter(None, [*self.roles[at], self.marks[at]]))}
            | {setting: run.settings.get(setting) for setting in self.settings}
            | self._gap(at)
            | self._halves(at)
            for at, (name, run) in enumerate(zip(self.names, self.runs, strict=True))
        ]
        return pd.DataFrame(rows)

    def _gap(self, at: int) -> dict[str, float]:
        """Return how far a run is from the baseline, or behind the best, with its interval."""
        found = self.paired.tested[at] if self.baseline else self.paired.differences[at]
        numbers = (found.value, found.low, found.high, found.p, found.p_holm)
        value, low, high, p, p_holm = (np.nan if x is None else x for x in numbers)
        if self.baseline:
            ends = {"difference_low": low, "difference_high": high}
            return {"difference": value, **ends, "p": p, "p_holm": p_holm}
        if direction(self.metric) > 0:  # the other way round
            value, low, high = 0.0 - value, 0.0 - high, 0.0 - low
        return {"behind": value, "behind_low": low, "behind_high": high}

    def _halves(self, at: int) -> dict[str, float]:
        """Return the metric of a run on each half, {} without halves."""
        values = self.halves.values[at] if self.halves else ()
        return dict(zip(self.half_columns, values, strict=True))

    @cached_property
    def overlap(self) -> NDArray[np.float64]:
        """Return (r, r) the neighbors that two runs share: the mean Jaccard index over images.

        Of lists with different k, the nearest of the longer one count.
        """
        count = len(self.runs)
        lists = [run.files.neighbors()[0] for run in self.runs]
        overlap = np.eye(count)
        pairs = list(zip(*np.triu_indices(count, 1), strict=True))
        for i, j in progress(pairs, "shared neighbors", len(pairs), " pairs"):
            overlap[i, j] = overlap[j, i] = _jaccard(lists[i], lists[j])
        return overlap


def _jaccard(first: NDArray[np.int32], second: NDArray[np.int32]) -> float:
    """Return the mean over images of shared / all neighbors of two lists (n, k)."""
    k, shared = min(first.shape[1], second.shape[1]), shared_neighbors(first, second)
    return float((shared / (2 * k - shared)).mean())
