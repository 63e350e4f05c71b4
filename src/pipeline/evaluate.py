"""All metrics of a run: over which labels, without which images; and the files beside them."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src import evaluate, hubs
from src.choices import Exclude
from src.config import Config
from src.files import replacing
from src.gallery import Gallery
from src.intervals import intervals
from src.rank import Ranking
from src.retrieval import retrieval, views

HUBS, PAIRS = 10, 10_000  # the most that are listed in hubs.csv and near_duplicates.csv


def measure(ranking: Ranking, gallery: Gallery, cfg: Config, folder: Path) -> dict[str, Any]:
    """All metrics; those of each query go to queries.npz, hubs and near-duplicates to CSV files.

    What has no value, such as the hubness of neighbors that are all even, is left out.
    """
    options, top = cfg.evaluation, ranking.top
    metrics: dict[str, Any] = evaluate.intra_inter(ranking.features, top)
    metrics["inter_stored_only"] = evaluate.inter_stored_only(top, cfg.seed)
    metrics |= {"unproven_rows": ranking.deep.unproven, "matrix_mb": _megabytes(ranking.matrix)}
    random = evaluate.random_pairs(ranking.features, options.pairs, cfg.seed)
    queries = {
        f"intra_at_{depth}": top.score[:, :depth].mean(axis=1, dtype=np.float64)
        for depth in (1, 5)
        if depth <= top.score.shape[1]
    }
    queries |= {
        "intra": top.score.mean(axis=1, dtype=np.float64),
        "auc": evaluate.auc(top.score, random).mean(axis=1),
    }
    metrics["auc"] = float(queries["auc"].mean())
    for name, column, apart in lists(gallery, cfg):
        labels = gallery.labels(column)
        found, each = retrieval(name, labels, ranking.deep.index, *apart)
        metrics |= found
        queries |= each
        if name == column:
            metrics[f"{column}/label_auc"] = evaluate.label_auc(
                ranking.features, labels, options.pairs, cfg.seed
            )
    objects = _objects(gallery, cfg)
    if objects is not None:
        found, each = views(objects, ranking.deep.index, cfg.similarity.top_k)
        metrics |= found
        queries |= each
    metrics |= intervals(queries, options.resamples, cfg.seed)
    metrics |= hubs.health(top.index)
    metrics["near_duplicates"] = _list_oddities(ranking, gallery, options.near_duplicate, folder)
    with replacing(folder / "queries.npz") as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **{k: v.astype("f4") for k, v in queries.items()})
    return {name: value for name, value in metrics.items() if value == value}  # no NaN: none such


def _megabytes(matrix: Path | None) -> float:
    return matrix.stat().st_size / 1e6 if matrix else 0.0


def lists(gallery: Gallery, cfg: Config) -> Iterator[tuple[str, str, list[NDArray[np.int64]]]]:
    """The name, the column, and the groups that are taken out, of each label to measure."""
    chosen = cfg.evaluation.labels
    groups = gallery.groups(cfg.similarity)
    objects, artists = _objects(gallery, cfg), _repeated(gallery, "artist")
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
    return _repeated(gallery, "object_id")


def _repeated(gallery: Gallery, column: str) -> NDArray[np.int64] | None:
    """Who is alike in a column; None where all images differ."""
    alike = gallery.alike(column) if column in gallery.works else np.arange(len(gallery))
    return alike if len(np.unique(alike)) < len(alike) else None


def _list_oddities(ranking: Ranking, gallery: Gallery, least: float, folder: Path) -> int:
    """Write hubs.csv and near_duplicates.csv; how many pairs are near-duplicates."""
    files, counts = gallery.files, hubs.occurrences(ranking.top.index)
    order = np.argsort(-counts, kind="stable")[:HUBS]
    _write(
        folder / "hubs.csv",
        ["file", "neighbor_of"],
        [[files[row], int(counts[row])] for row in order],
    )
    pairs, scores = hubs.near_duplicates(ranking.top, least)
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
        replacing(path) as part,
        part.open("w", -1, "utf-8", "surrogateescape", newline="") as file,
    ):
        csv.writer(file).writerows([names, *rows])
