"""All metrics of a run: over which labels, without which images; and the files beside them."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.config import Config
from src.config.enums import Exclude
from src.evaluation import cosine_statistics, hubness
from src.evaluation.bootstrap import intervals
from src.evaluation.retrieval import instance_recall, retrieval
from src.gallery import Gallery
from src.io.files import atomic_write
from src.pipeline.rank import Ranking

HUBS, PAIRS = 10, 10_000  # the most that are listed in hubs.csv and near_duplicates.csv


def evaluate(ranking: Ranking, gallery: Gallery, cfg: Config, folder: Path) -> dict[str, Any]:
    """All metrics; those of each query go to queries.npz, hubs and near-duplicates to CSV files.

    What has no value, such as the hubness of neighbors that are all even, is left out.
    """
    options, top = cfg.evaluation, ranking.saved
    metrics: dict[str, Any] = cosine_statistics.intra_inter(ranking.features, top)
    metrics["inter_stored_only"] = cosine_statistics.inter_stored_only(top, cfg.seed)
    metrics |= {
        "unproven_rows": ranking.for_metrics.fallback_share,
        "matrix_mb": _megabytes(ranking.matrix),
    }
    random = cosine_statistics.random_pairs(ranking.features, options.pairs, cfg.seed)
    queries = {
        f"intra_at_{depth}": top.score[:, :depth].mean(axis=1, dtype=np.float64)
        for depth in (1, 5)
        if depth <= top.score.shape[1]
    }
    queries |= {
        "intra": top.score.mean(axis=1, dtype=np.float64),
        "auc": cosine_statistics.auc(top.score, random).mean(axis=1),
    }
    metrics["auc"] = float(queries["auc"].mean())
    for name, column, excluded in label_tasks(gallery, cfg):
        labels = gallery.labels(column)
        found, each = retrieval(name, labels, ranking.for_metrics.index, *excluded)
        metrics |= found
        queries |= each
        if name == column:
            metrics[f"{column}/label_auc"] = cosine_statistics.label_auc(
                ranking.features, labels, options.pairs, cfg.seed
            )
    objects = _objects(gallery, cfg)
    if objects is not None:
        found, each = instance_recall(objects, ranking.for_metrics.index, cfg.similarity.top_k)
        metrics |= found
        queries |= each
    metrics |= intervals(queries, options.resamples, cfg.seed)
    metrics |= hubness.neighborhood_metrics(top.index)
    metrics["near_duplicates"] = _write_hubs_and_near_duplicates(
        ranking, gallery, options.near_duplicate, folder
    )
    with atomic_write(folder / "queries.npz") as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **{k: v.astype("f4") for k, v in queries.items()})
    return {name: value for name, value in metrics.items() if value == value}  # no NaN: none such


def _megabytes(matrix: Path | None) -> float:
    return matrix.stat().st_size / 1e6 if matrix else 0.0


def label_tasks(
    gallery: Gallery, cfg: Config
) -> Iterator[tuple[str, str, list[NDArray[np.int64]]]]:
    """The name, the column, and the groups that are taken out, of each label to measure."""
    chosen = cfg.evaluation.labels
    groups = gallery.exclusion_groups(cfg.similarity)
    objects, artists = _objects(gallery, cfg), _groups_if_shared(gallery, "artist")
    for column in gallery.label_columns() if chosen is None else chosen:
        yield column, column, [groups]
        if objects is not None:
            yield f"{column}-no_same_object", column, [objects]
        if column != "artist" and artists is not None:
            yield f"{column}-no_same_artist", column, [groups, artists]


def _objects(gallery: Gallery, cfg: Config) -> NDArray[np.int64] | None:
    """The object of each image; None where no two neighbors can share one."""
    if cfg.similarity.exclude is Exclude.same_object:
        return None
    return _groups_if_shared(gallery, "object_id")


def _groups_if_shared(gallery: Gallery, column: str) -> NDArray[np.int64] | None:
    """Who is alike in a column; None where all images differ."""
    alike = gallery.label_ids(column) if column in gallery.works else np.arange(len(gallery))
    return alike if len(np.unique(alike)) < len(alike) else None


def _write_hubs_and_near_duplicates(
    ranking: Ranking, gallery: Gallery, least: float, folder: Path
) -> int:
    """Write hubs.csv and near_duplicates.csv; how many pairs are near-duplicates."""
    files, counts = gallery.files, hubness.k_occurrence(ranking.saved.index)
    order = np.argsort(-counts, kind="stable")[:HUBS]
    _write(
        folder / "hubs.csv",
        ["file", "neighbor_of"],
        [[files[row], int(counts[row])] for row in order],
    )
    pairs, scores = hubness.near_duplicates(ranking.saved, least)
    _write(
        folder / "near_duplicates.csv",
        ["score", "file", "other"],
        [
            [f"{score:.6f}", files[i], files[j]]
            for (i, j), score in zip(pairs[:PAIRS], scores, strict=False)
        ],
    )
    return len(pairs)


def _write(path: Path, names: list[str], rows: list[list[Any]]) -> None:
    with (
        atomic_write(path) as part,
        part.open("w", -1, "utf-8", "surrogateescape", newline="") as file,
    ):
        csv.writer(file).writerows([names, *rows])
