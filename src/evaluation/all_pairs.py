"""Measures of each query's ranking of the whole collection: map, r_precision and label_auc.

n = images, b = rows of a band, q = queries of a block.
"""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from src.evaluation.ranks import (
    Candidates,
    Measured,
    Rankings,
    candidates_of,
    chance,
    measure,
    rank,
)
from src.evaluation.relevance import Columns, Flags, Ints, Relevance, shared_values
from src.evaluation.retrieval import Metrics, Queries, means
from src.runtime.progress import Watch, unwatched
from src.similarity.all_scores import AllScores, StoredScores
from src.similarity.inputs import finite_penalty
from src.similarity.numerics import ranking_scores
from src.similarity.parallel import parallel_map

BLOCK_SCORES = {"cpu": 2**19, "cuda": 2**21}  # ranked at once: few, near the cache of the host


class Task(NamedTuple):
    """A label to measure, with or without a filter."""

    name: str  # of the metrics
    relevance: Relevance


def all_pairs(
    features: ArrayLike | Tensor,
    tasks: Sequence[Task],
    penalty: ArrayLike | Tensor | None = None,
    device: str = "cpu",
    watch: Watch = unwatched,
    matrix: Path | None = None,
) -> tuple[Metrics, Queries]:
    """Return <name>/map, /r_precision and /label_auc of each task, and those of each query.

    features (n, d). Each query ranks all images but the excluded ones by score, as the scores of
    Neighbors are defined, or by float32(score - penalty of the image), penalty (n,). Images of
    equal scores come in every order, each equally likely. An image without a label is wrong;
    queries without a label, or whose label no candidate has, are skipped. label_auc also skips
    those whose label all candidates have. Suffixes are those of retrieval. The result is the same
    for any number of threads and any memory. Scores are read from the file of the matrix (n, n) of
    these features if there is one. watch goes through the bands of rows. Raises UserError if that
    file is damaged.

    >>> features, labels = [[4.0, 0.0], [3.0, 1.0], [0.0, 2.0], [1.0, 2.0]], np.array([0, 0, 1, 0])
    >>> metrics, queries = all_pairs(features, [Task("style", Relevance(labels, [np.arange(4)]))])
    >>> queries["style/map"].round(3).tolist(), queries["style/label_auc"].tolist()
    ([1.0, 1.0, nan, 0.583], [1.0, 1.0, nan, 0.0])
    """
    where = torch.device(device)
    scores = AllScores(features, where) if matrix is None else StoredScores(matrix, features, where)
    rankings = WholeRankings(tasks, finite_penalty(penalty, scores.n))
    for rows, band in scores.bands(watch):
        rankings.add(rows, band)
    return rankings.result()


class WholeRankings:
    """Measures the rankings of all images, band by band.

    Args:
        tasks: what is measured.
        penalty: (n,) float64, subtracted from an image's scores for the order.
    """

    def __init__(self, tasks: Sequence[Task], penalty: Tensor | None = None):
        self._columns = _Columns()
        self._tasks = [_MeasuredTask(task, self._columns) for task in tasks]
        self._penalty = penalty

    def add(self, rows: slice, scores: Tensor) -> None:
        """Measure the rankings of these queries by their scores (b, n) with all images."""
        device = scores.device
        penalty = None if self._penalty is None else self._penalty.to(device)

        def measure_part(part: slice) -> None:
            """Measure the rankings of a part of the band."""
            queries = slice(rows.start + part.start, rows.start + part.stop)
            block = _Block(queries, rank(ranking_scores(scores[part], penalty)), self._columns)
            for task in self._tasks:
                task.add(block)

        largest = max(1, BLOCK_SCORES[device.type] // scores.shape[1])
        equal = ceil(len(scores) / (2 * torch.get_num_threads()))
        parallel_map(measure_part, len(scores), min(largest, equal))

    def result(self) -> tuple[Metrics, Queries]:
        """Return the metrics over all queries, and those of each query."""
        metrics: Metrics = {}
        queries: Queries = {}
        for task in self._tasks:
            task_metrics, task_queries = task.result()
            metrics |= task_metrics
            queries |= task_queries
        return metrics, queries


class _Columns(list[Columns]):
    """Distinct columns of ids: some are shared by several tasks."""

    def add(self, ids: Columns) -> int:
        """Return the number of the columns with these ids, adding them if they are new."""
        known = (i for i, columns in enumerate(self) if np.array_equal(columns, ids))
        number = next(known, len(self))
        if number == len(self):
            self.append(ids)
        return number


class _Block:
    """The rankings of a block of queries, and which images share an id with the query."""

    def __init__(self, rows: slice, rankings: Rankings, columns: _Columns):
        self.rows, self.rankings, self._columns = rows, rankings, columns
        self._shared: dict[int, Flags] = {}  # by number of a column
        self._labeled: dict[int, Ints] = {}  # by number of a column
        self._candidates: dict[tuple[int, ...], Candidates] = {}  # by numbers of columns

    def shared(self, number: int) -> Flags:
        """Return which images of the rankings (q, n) share an id >= 0 of columns with the query."""
        if number not in self._shared:
            query = np.arange(self.rows.start, self.rows.stop)
            ids = self._columns[number]
            self._shared[number] = shared_values(ids, query, self.rankings.order)
        return self._shared[number]

    def labeled(self, number: int) -> Ints:
        """Return the places of the rankings' images that have the query's id in a column."""
        if number not in self._labeled:
            self._labeled[number] = np.flatnonzero(self.shared(number))
        return self._labeled[number]

    def candidates(self, excluded: tuple[int, ...]) -> Candidates:
        """Return the images that do not share the query's id in any of the excluded columns."""
        if excluded not in self._candidates:
            flags = np.logical_or.reduce([self.shared(number) for number in excluded])
            self._candidates[excluded] = candidates_of(flags)
        return self._candidates[excluded]


class _MeasuredTask:
    """Collects the measures of a task's queries, block by block."""

    def __init__(self, task: Task, columns: _Columns):
        relevance, n = task.relevance, len(task.relevance.labels)
        self.task, self.left_out = task, relevance.left_out
        self.label = columns.add(relevance.label_columns)
        self.groups = tuple(columns.add(ids) for ids in relevance.group_columns)
        self.values = Measured(*np.full((3, n), np.nan))
        self.candidates, self.relevant = np.zeros((2, n), dtype=np.int64)  # N and R of each query

    def add(self, block: _Block) -> None:
        """Measure a block of queries."""
        rows, labeled = block.rows, block.labeled(self.label)
        counted = block.candidates(self.groups)
        if self.left_out is not None:
            left_out = np.take(self.left_out, block.rankings.order)
            counted = candidates_of(~counted.allowed | left_out)
            labeled = labeled[~self.left_out[rows][labeled // len(self.left_out)]]
        values, *counts = measure(block.rankings, labeled, counted)
        self.candidates[rows], self.relevant[rows] = counts
        for all_values, block_values in zip(self.values, values, strict=True):
            all_values[rows] = block_values

    def result(self) -> tuple[Metrics, Queries]:
        """Return the metrics of all queries, and those of each query."""
        metrics: Metrics = {}
        queries: Queries = {}
        rows = np.flatnonzero(self.relevant)
        expected = chance(self.candidates[rows], self.relevant[rows])
        for measure_name, values in self.values._asdict().items():
            defined = ~np.isnan(values[rows])
            if defined.any():
                name = f"{self.task.name}/{measure_name}"
                by_chance = getattr(expected, measure_name)[defined]
                kept = rows[defined]
                metrics |= means(name, values[kept], by_chance, self.task.relevance.classes[kept])
                queries[name] = values
        return metrics, queries
