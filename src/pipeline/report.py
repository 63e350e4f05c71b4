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
from src.reporting.compared import Compared, principal_components
from src.reporting.hits import main_hits
from src.reporting.neighbor_table import write_neighbor_table
from src.reporting.page_files import save_page
from src.reporting.painting_table import write_painting_table
from src.reporting.phrases import cite, describe_order, describe_run, warn_of
from src.reporting.results import run_results
from src.reporting.run_folder import RunFolder
from src.reporting.settings import flat_options
from src.reporting.summary import print_job, print_summary
from src.reporting.tracking import Tracker, track_results
from src.runtime.progress import progress

log = logging.getLogger(__name__)

RANDOM_PAIRS = 100_000  # in the plot of scores
OVERVIEW_QUERIES = 8


def report(
    metrics: dict[str, Any],
    embeddings: Embeddings,
    ranking: Ranking,
    cfg: Config,
    folder: Path,
    tracker: Tracker,
) -> None:
    """Draw the pictures, give the results to the trackers, and write the last files."""
    gallery, scores = embeddings.gallery, ranking.saved.score
    pictures = illustrate(metrics, gallery, ranking, cfg, folder)
    track_results(tracker, metrics, pictures, gallery, ranking.features, scores)
    write_report(metrics, embeddings, ranking, cfg, folder)


def write_report(
    metrics: dict[str, Any], embeddings: Embeddings, ranking: Ranking, cfg: Config, folder: Path
) -> None:
    """Write the last files, metrics.json at the end: it marks the run as complete."""
    files, gallery = RunFolder(folder), embeddings.gallery
    gallery_folder = Outputs(Path(cfg.outputs)).galleries / gallery.name
    files.write_paths(
        gallery_folder,
        embeddings.folder,
        ranking.matrix,
        gallery.fingerprint(),
        gallery.label_fingerprints(),
    )
    if cfg.similarity.write_csv:
        log.info("report: writing neighbors.csv and paintings.csv")
        index, score = ranking.saved.index, ranking.saved.score
        write_neighbor_table(folder, gallery, index, score, cfg.escape_formulas)
        places = principal_components(Compared(ranking.features.numpy()), 2, watch=progress)
        files.write_layout("pca", places)
        write_painting_table(folder, gallery, index, score, places, cfg.escape_formulas)
    files.write_results(run_results(files, cfg, metrics, gallery, embeddings.folder))
    files.write_metrics(metrics)


def illustrate(
    metrics: dict[str, Any], gallery: Gallery, ranking: Ranking, cfg: Config, folder: Path
) -> dict[str, Path]:
    """Write the overview of some queries and the plot of scores; return their paths by name."""
    log.info("report: drawing the pictures")
    files, rng, settings = RunFolder(folder), np.random.default_rng(cfg.seed), flat_options(cfg)
    rows = rng.choice(len(gallery), min(OVERVIEW_QUERIES, len(gallery)), replace=False)
    hits = main_hits(gallery, metrics, settings)
    about = contact_sheets.About(
        f"{len(rows)} of {len(gallery)} paintings and their neighbors, best first",
        list(filter(None, [describe_run(settings), describe_order(settings)])),
        warn_of(settings),
        hits.meaning,
        cite(gallery, settings.get("data.open_access") is True, folder),
    )
    index, score = ranking.saved.index, ranking.saved.score
    sheet = contact_sheets.overview(gallery, index, score, sorted(rows.tolist()), hits, about)
    save_page(sheet, files.overview, about.title)
    random = cosine_statistics.random_pairs(ranking.features, RANDOM_PAIRS, cfg.seed)
    plot = plots.score_plot(
        score,
        random,
        metrics["intra"],
        metrics["inter"],
        describe_run(settings),
        about.warning,
    )
    plots.save(plot, files.score_plot, files.score_plot.with_suffix(".pdf"))
    return {"neighbors": files.overview, "scores": files.score_plot}


def files_outside(embeddings: Embeddings, ranking: Ranking) -> list[Path]:
    """Return the files of a run that are not in its folder: unreadable images, the matrix."""
    files = [embeddings.folder / SKIPPED] if embeddings.facts["skipped"] else []
    return files + ([ranking.matrix] if ranking.matrix and ranking.matrix_bytes else [])


def print_end(
    job: str,
    metrics: dict[str, Any],
    embeddings: Embeddings,
    ranking: Ranking,
    folder: Path,
    seconds: float,
) -> None:
    """Print the summary of a run, or the line of a sweep's job if `job` names one."""
    if job:
        print_job(job, metrics, embeddings.gallery, seconds)
    else:
        others = files_outside(embeddings, ranking)
        print_summary(metrics, embeddings.gallery, folder, others, seconds)
