"""Finish a run: write the last files and pictures."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from src.config import Config
from src.embedding.cache import Embeddings
from src.embedding.row_files import SKIPPED
from src.evaluation import cosine_statistics
from src.gallery import Gallery
from src.io.outputs import Outputs
from src.pipeline.rank import Ranking
from src.reporting import contact_sheets, plots
from src.reporting.neighbor_table import write_neighbor_table
from src.reporting.run_folder import RunFolder

log = logging.getLogger(__name__)

RANDOM_PAIRS = 100_000  # in the plot of scores
OVERVIEW_QUERIES = 8


def write_report(
    metrics: dict[str, Any], embeddings: Embeddings, ranking: Ranking, cfg: Config, folder: Path
) -> None:
    """Write neighbors.csv, paths.yaml, then metrics.json, which marks the run as complete."""
    files, gallery = RunFolder(folder), embeddings.gallery
    gallery_folder = Outputs(Path(cfg.outputs)).galleries / gallery.name
    compared = gallery.fingerprint(), gallery.label_fingerprints()
    files.write_paths(gallery_folder, embeddings.folder, ranking.matrix, *compared)
    if cfg.similarity.write_csv:
        log.info("report: writing neighbors.csv")
        saved = ranking.saved
        write_neighbor_table(folder, gallery, saved.index, saved.score, cfg.escape_formulas)
    files.write_metrics(metrics)


def illustrate(
    metrics: dict[str, Any], gallery: Gallery, ranking: Ranking, seed: int, folder: Path
) -> dict[str, Path]:
    """Write the overview of some queries and the plot of scores; return their paths by name."""
    log.info("report: drawing the pictures")
    files, rng = RunFolder(folder), np.random.default_rng(seed)
    count = min(OVERVIEW_QUERIES, len(gallery))
    rows = sorted(rng.choice(len(gallery), count, replace=False).tolist())
    sheet = contact_sheets.overview(gallery, ranking.saved.index, ranking.saved.score, rows)
    random = cosine_statistics.random_pairs(ranking.features, RANDOM_PAIRS, seed)
    plot = plots.score_plot(ranking.saved.score, random, metrics["intra"], metrics["inter"])
    sheet.save(files.overview, quality=88)
    plot.savefig(files.score_plot)
    return {"neighbors": files.overview, "scores": files.score_plot}


def files_outside(embeddings: Embeddings, ranking: Ranking) -> list[Path]:
    """Return the files of a run that are not in its folder: unreadable images, the matrix."""
    files = [embeddings.folder / SKIPPED] if embeddings.facts["skipped"] else []
    return files + ([ranking.matrix] if ranking.matrix else [])
