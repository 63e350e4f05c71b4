"""Compute all metrics of a run, and write the files of queries, hubs and near-duplicates.

n = images, k = neighbors of each.
"""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from src.config import Config
from src.config.enums import AllPairs, Resample
from src.evaluation import cosine_statistics, hubness
from src.evaluation.all_pairs import Task, all_pairs
from src.evaluation.bootstrap import intervals, macro_intervals
from src.evaluation.ranked_lists import RankedLists
from src.evaluation.relevance import Ints
from src.evaluation.retrieval import Metrics, Queries, instance_recall, retrieval
from src.evaluation.tied_images import TiedImages
from src.gallery import Gallery
from src.gallery.exclusion import count_copies
from src.io.arrays import view_npy
from src.io.files import folder_lock
from src.pipeline.judged import Judged, judged_metrics
from src.pipeline.label_tasks import LabelTask, label_tasks, object_groups
from src.pipeline.rank import Ranking
from src.reporting.run_folder import RunFolder
from src.runtime.progress import progress
from src.similarity.numerics import ranking_scores

log = logging.getLogger(__name__)

# Images whose rankings of all are computed without being asked for, by device
MAX_RANKED = {"cpu": 30_000, "cuda": 200_000}
MAX_HUBS, MAX_NEAR_DUPLICATES = 10, 10_000  # rows of hubs.csv and near_duplicates.csv


class Family(NamedTuple):
    """Metrics that are computed together."""

    metrics: Metrics
    queries: Queries = {}  # of some of the metrics, the value of each query
    classes: dict[str, Ints] = {}  # of some of those, the class of each image, or -1


def evaluate(ranking: Ranking, gallery: Gallery, cfg: Config, folder: Path) -> dict[str, Any]:
    """Return all metrics, which src/evaluation/metric_table.py lists.

    Write queries.npz, hubs.csv and near_duplicates.csv into folder. A metric without a value, such
    as the hubness of images that all are in equally many lists, is omitted.
    """
    log.info("metrics: evaluating the neighbors")
    files = RunFolder(folder)
    metrics: dict[str, Any] = {}
    queries: Queries = {}
    classes: dict[str, Ints] = {}
    judged = _judged(ranking, gallery, cfg)
    for family in (
        _score_metrics(ranking, cfg),
        Family(_search_metrics(ranking)),
        _auc(ranking, cfg),
        _label_metrics(ranking, gallery, cfg),
        _object_metrics(ranking, gallery, cfg),
        Family(judged.metrics, judged.queries),
    ):
        metrics |= family.metrics
        queries |= family.queries
        classes |= family.classes
    with_macro = {name: ids for name, ids in classes.items() if f"{name}_macro" in metrics}
    metrics |= macro_intervals(queries, with_macro, cfg.evaluation.resamples, cfg.seed)
    if cfg.evaluation.resample is Resample["query"]:
        classes = {}
    # only of the judged queries, as the leaderboard resamples those that have a value
    classes |= dict.fromkeys(judged.queries, np.arange(len(gallery)))
    metrics |= intervals(queries, classes, cfg.evaluation.resamples, cfg.seed, progress)
    metrics |= _hub_metrics(ranking, gallery, cfg, files)
    metrics |= _near_duplicate_metrics(ranking, gallery, cfg, files)
    files.write_queries(queries)
    numbers = {name: value for name, value in metrics.items() if not math.isnan(value)}
    return numbers | judged.facts


def _score_metrics(ranking: Ranking, cfg: Config) -> Family:
    """Compare the scores of the stored neighbors with those of all pairs."""
    saved = ranking.saved
    metrics = cosine_statistics.intra_inter(ranking.features, saved, progress)
    metrics["inter_stored_only"] = cosine_statistics.inter_stored_only(saved, cfg.seed)
    queries = {
        f"intra_at_{depth}": saved.score[:, :depth].mean(axis=1, dtype=np.float64)
        for depth in cosine_statistics.INTRA_DEPTHS
        if depth <= saved.score.shape[1]
    }
    return Family(metrics, queries | {"intra": saved.score.mean(axis=1, dtype=np.float64)})


def _search_metrics(ranking: Ranking) -> Metrics:
    """Return the share of rows that were searched again, and the size of the matrix."""
    return {
        "unproven_rows": ranking.for_metrics.fallback_share,
        "matrix_mb": ranking.matrix_bytes / 1e6,
    }


def _auc(ranking: Ranking, cfg: Config) -> Family:
    """Compare the scores of the stored neighbors with those of random pairs."""
    pairs = cosine_statistics.random_pairs(ranking.features, cfg.evaluation.pairs, cfg.seed)
    values = cosine_statistics.auc(ranking.saved.score, pairs).mean(axis=1)
    return Family({"auc": float(values.mean())}, {"auc": values})


def ranked_lists(ranking: Ranking, depth: int) -> RankedLists:
    """Return at most depth neighbors of each image, with what they are ordered by."""
    neighbors, penalty = ranking.for_metrics, ranking.penalty
    index, key = neighbors.index[:, :depth], neighbors.score[:, :depth]
    if penalty is not None:
        key = ranking_scores(torch.from_numpy(key), penalty[torch.from_numpy(index).long()]).numpy()
    return RankedLists(index, key, TiedImages(ranking.features, key, penalty))


def _label_metrics(ranking: Ranking, gallery: Gallery, cfg: Config) -> Family:
    """Return how well neighbors share each label, with and without filters."""
    lists = ranked_lists(ranking, cfg.evaluation.depth)
    metrics: Metrics = {}
    queries: Queries = {}
    classes: dict[str, Ints] = {}
    tasks = list(label_tasks(gallery, cfg))
    for task in progress(tasks, "labels", len(tasks)):
        label_metrics, label_queries = retrieval(task.name, task.relevance, lists)
        metrics |= label_metrics
        if task.strangers:
            metrics[f"{task.name}/strangers"] = task.strangers
        queries |= label_queries
        classes |= dict.fromkeys(label_queries, task.relevance.classes)
    whole = _whole_rankings(ranking, gallery, tasks, cfg)
    return Family(metrics | whole.metrics, queries | whole.queries, classes | whole.classes)


def _whole_rankings(
    ranking: Ranking, gallery: Gallery, tasks: list[LabelTask], cfg: Config
) -> Family:
    """Return the metrics of rankings of all images, or an estimate of one if they would take long.

    evaluation.all_pairs decides.
    """
    if not _ranks_all(len(gallery), ranking.device, cfg.evaluation.all_pairs):
        columns = {task.column: task.relevance.classes for task in tasks}  # each label once
        return Family(
            {
                f"{column}/label_auc_sampled": cosine_statistics.label_auc(
                    ranking.features, ids, cfg.evaluation.pairs, cfg.seed
                )
                for column, ids in columns.items()
            }
        )
    whole = [Task(task.name, task.relevance) for task in tasks]
    with _stored_scores(ranking) as matrix:
        metrics, queries = all_pairs(
            ranking.features, whole, ranking.penalty, ranking.device, progress, matrix
        )
    classes = {task.name: task.relevance.classes for task in tasks}
    return Family(metrics, queries, {name: classes[name.rpartition("/")[0]] for name in queries})


@contextmanager
def _stored_scores(ranking: Ranking) -> Iterator[Path | None]:
    """Yield the matrix if the run has one with the scores as they are, not rounded to float16.

    Another run may have grown it since, and has it then. None can as long as it is read.
    """
    if ranking.matrix is None:
        yield None
        return
    with folder_lock(ranking.matrix.parent):
        is_there = ranking.matrix.is_file() and view_npy(ranking.matrix).dtype == np.float32
        yield ranking.matrix if is_there else None


def _ranks_all(n: int, device: str, choice: AllPairs) -> bool:
    """Return whether every image ranks all others; a log line says if that would take too long."""
    if choice is AllPairs.auto and n > MAX_RANKED[device]:
        log.info(
            "metrics: map, r_precision and label_auc are left out, since ranking %d images for each"
            " takes long: evaluation.all_pairs=always computes them",
            n,
        )
        return False
    return choice is not AllPairs.never


def _object_metrics(ranking: Ranking, gallery: Gallery, cfg: Config) -> Family:
    """Return how well other views of an object are found, nothing if no object has any."""
    objects = object_groups(gallery, cfg.similarity)
    if objects is None:
        return Family({})
    groups = gallery.exclusion_groups(cfg.similarity)
    k = cfg.similarity.top_k
    metrics, queries = instance_recall(objects, ranked_lists(ranking, k), k, groups)
    return Family(metrics, queries, dict.fromkeys(queries, objects))


def _judged(ranking: Ranking, gallery: Gallery, cfg: Config) -> Judged:
    """Return the metrics of judged pairs, none without data.judgements."""
    if not gallery.verdicts:
        return Judged()
    lists = ranked_lists(ranking, cfg.evaluation.depth)
    return judged_metrics(ranking, gallery, lists, gallery.exclusion_groups(cfg.similarity))


def _hub_metrics(ranking: Ranking, gallery: Gallery, cfg: Config, files: RunFolder) -> Metrics:
    """Return how evenly images are neighbors of each other, and write hubs.csv."""
    names, counts = gallery.files, hubness.k_occurrence(ranking.saved.index)
    order = np.argsort(-counts, kind="stable")[:MAX_HUBS]
    hubs = ((names[row], int(counts[row])) for row in order)
    files.write_hubs(hubs, cfg.escape_formulas)
    return hubness.neighborhood_metrics(ranking.saved.index)


def _near_duplicate_metrics(
    ranking: Ranking, gallery: Gallery, cfg: Config, files: RunFolder
) -> Metrics:
    """Return the numbers of almost identical pairs and of copies; write near_duplicates.csv."""
    names = gallery.files
    pairs, scores = hubness.near_duplicates(ranking.saved, cfg.evaluation.near_duplicate)
    listed = zip(pairs[:MAX_NEAR_DUPLICATES], scores, strict=False)
    lines = ((score, names[i], names[j]) for (i, j), score in listed)
    files.write_near_duplicates(lines, cfg.escape_formulas)
    copies = count_copies(gallery.works.get("sha256", []))  # one made by hand may lack checksums
    return {"near_duplicates": len(pairs), "copies": copies}
