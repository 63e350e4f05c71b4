"""A board: comparable runs in the order of a metric, their gaps to the best, shared neighbors.

n = images, k = neighbors of each, r = runs. Imports no torch, to start quickly.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.evaluation.bootstrap import intervals
from src.evaluation.hubness import shared_neighbors
from src.evaluation.metrics import FILTER, HEADLINE_METRICS, lower_is_better, main_names
from src.leaderboard.runs import Run
from src.leaderboard.words import column_texts, run_labels
from src.reporting.baselines import MARK, is_random
from src.reporting.phrases import describe_run
from src.reporting.text import format_number
from src.runtime.progress import progress

RESAMPLES = 1000


@dataclass(frozen=True)
class Board:
    """Comparable runs ordered by a metric, best first."""

    metric: str  # the runs are sorted by it
    settings: list[str]  # names of those that differ and can change a result
    runs: list[Run]  # those that have the metric
    names: list[str]  # of these runs: their folders, below the deepest one that holds all
    missing_metric: list[Run]  # those that lack it

    @property
    def title(self) -> str:
        """Return the number of runs and the metric."""
        return f"{len(self.runs)} run{'' if len(self.runs) == 1 else 's'} by {self.metric}"

    @property
    def collection(self) -> str:
        """Return the number of images, where they are from, and the table of their labels."""
        best = self.runs[0]
        source = best.settings.get("data.images") or best.images()[0].rpartition("-")[0]
        table = best.settings.get("data.labels")
        labels = f", labels of {Path(str(table)).name}" if table else ""
        name = Path(str(source)).name or best.images()[0]
        return f"{best.metrics['images']} images of {name}{labels}"

    @property
    def folder(self) -> Path:
        """Return the deepest folder that holds all runs."""
        return Path(os.path.commonpath([run.folder.absolute().parent for run in self.runs]))

    @property
    def ranks_settings(self) -> bool:
        """Return whether the metric is one of labels or objects, which alone can rank settings."""
        return "/" in self.metric and not self.metric.startswith("seconds/")

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

    def metrics(self) -> list[str]:
        """Return the metrics to show: the one to sort by, those of the main labels, and the
        headline metrics in which the runs differ."""
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
        precision = self.metric.rpartition("/")[0] + "/precision_at_1"
        shown = dict.fromkeys([self.metric, precision, *maps, *headline])
        return [name for name in shown if name in available]

    @cached_property
    def table(self) -> pd.DataFrame:
        """Return a row per run: name, mark, settings that differ, gap to the best, all metrics.

        The column behind is the gap in the metric's unit. behind_low and behind_high are its 95%
        interval by a paired bootstrap over the queries, if the two runs have the same queries.
        """
        rows = [
            {"run": name, "baseline": mark}
            | {setting: run.settings.get(setting) for setting in self.settings}
            | _gap_to_best(self.runs[0], run, self.metric)
            | run.metrics
            for name, mark, run in progress(
                zip(self.names, self.marks, self.runs, strict=True),
                "resampling",
                len(self.runs),
                " runs",
            )
        ]
        return pd.DataFrame(rows)

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


def direction(metric: str) -> int:
    """Return 1 if higher values are better, -1 if lower values are."""
    return -1 if lower_is_better(metric) else 1


def _gap_to_best(best: Run, run: Run, metric: str) -> dict[str, float]:
    """Return the gap of run to best in the metric's unit, with its interval if known."""
    if run is best:
        return {"behind": np.nan}
    gap = {"behind": direction(metric) * (best.metrics[metric] - run.metrics[metric])}
    best_values, values = best.query_values(metric), run.query_values(metric)
    if best_values is None or values is None:
        return gap
    if not np.array_equal(np.isnan(best_values), np.isnan(values)):
        return gap
    return gap | intervals(
        {"behind": direction(metric) * (best_values - values)}, {}, RESAMPLES, seed=0
    )


def _jaccard(first: NDArray[np.int32], second: NDArray[np.int32]) -> float:
    """Return the mean over images of shared / all neighbors of two lists (n, k)."""
    k, shared = min(first.shape[1], second.shape[1]), shared_neighbors(first, second)
    return float((shared / (2 * k - shared)).mean())


SEVERAL = "Boards have different images or labels: compare numbers within a board, never across."
LEARNED_NOTHING = (
    f"{MARK}: that network has learned nothing; what it scores comes from color and texture alone"
)


def notes(board: Board) -> list[str]:
    """Return sentences that keep a board's numbers from being misread."""
    queries, chance = board.queries, format_number(board.chance)
    lines = [f"all runs: {shared}"] if (shared := board.shared) else []
    if board.ranks_settings and queries is not None:
        by_chance = f"; random order would give {chance}" if chance else ""
        lines.append(f"{board.metric} is a mean over {queries} queries{by_chance}")
    if not board.ranks_settings:
        lines.append(f"{board.metric} describes each run and says nothing about quality")
    if not any("/map_at_10" in name or "/precision_at_1" in name for name in board.metrics()):
        lines.append("no labels, so quality is not measured: add data.labels")
    return lines + [LEARNED_NOTHING] * any(board.marks)
