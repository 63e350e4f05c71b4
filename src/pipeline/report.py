"""Finish a run: write the last files and pictures, and print a summary."""

import logging
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from src.config.overrides import shell_quote
from src.embedding.cache import Embeddings
from src.evaluation import cosine_statistics
from src.gallery import Gallery
from src.io.outputs import Outputs
from src.io.printable import printable
from src.pipeline.rank import Ranking
from src.reporting import contact_sheets, plots
from src.reporting.run_folder import RunFolder
from src.reporting.text import format_number

log = logging.getLogger(__name__)

RANDOM_PAIRS = 100_000  # in the plot of scores
OVERVIEW_QUERIES = 8
UNLIMITED = 10_000  # columns of a terminal
NO_BREAK = "\xa0"  # a blank that does not end a line
LABEL_METRICS = {  # of a label: heading in the terminal and metric
    "P@1": "precision_at_1",
    "P@10": "precision_at_10",
    "chance": "precision_at_1_chance",
    "mAP@10": "map_at_10",
}


def write_report(
    metrics: dict[str, Any], embeddings: Embeddings, ranking: Ranking, outputs: Path, folder: Path
) -> None:
    """Write paths.yaml, then metrics.json, whose presence marks the run as complete."""
    files, gallery = RunFolder(folder), embeddings.gallery
    gallery_folder = Outputs(outputs).galleries / gallery.name
    compared = gallery.fingerprint(), gallery.label_fingerprints()
    files.write_paths(gallery_folder, embeddings.folder, ranking.matrix, *compared)
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


def summary(metrics: dict[str, Any], folder: Path) -> None:
    """Print a table of the main metrics, the run's files and the commands to look at them."""
    console = Console(highlight=False, markup=False, soft_wrap=True, color_system=None)
    _print_table(console, _score_table(metrics))
    end = "/precision_at_1"
    if labels := [name.removesuffix(end) for name in metrics if name.endswith(end)]:
        _print_table(console, _label_table(metrics, labels))
    if metrics["weights"].startswith("random"):
        console.print("The network's weights are random: it has learned nothing about paintings.")
    if metrics.get("idle_gpu"):
        console.print("WARNING: this machine's GPU was not used; run.log says why.")
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    inside = Path.cwd() in folder.resolve().parents
    run = folder.resolve().relative_to(Path.cwd()) if inside else folder
    console.print(printable(f"files in {run}: {', '.join(names)}"))
    console.print("next: show a random painting and its neighbors, or open the runs in TensorBoard")
    console.print(f"  python -m src.show --run {shell_quote(str(run))}")
    console.print("  make dashboard")


def _print_table(console: Console, table: Table) -> None:
    """Print a table. Where it is too wide for the terminal, its rows become lines of text.

    rich would cut the numbers. A heading and its value stay on one line.
    """
    wide = console.options.update_width(UNLIMITED)
    if console.measure(table, options=wide).maximum <= console.width:
        console.print(table)
        return
    columns = [[f"{column.header} {cell}" for cell in column.cells] for column in table.columns]
    for row in zip(*columns, strict=True):
        line = ", ".join(pair.replace(" ", NO_BREAK) for pair in row)
        text = fill(line, console.width, break_long_words=False, break_on_hyphens=False)
        console.print(text.replace(NO_BREAK, " "))


def _score_table(metrics: dict[str, Any]) -> Table:
    """Return a table with a line for the whole run."""
    table = Table("images", "skipped", "intra", "inter", "gap", "seconds", box=SIMPLE)
    seconds = sum(value for name, value in metrics.items() if name.startswith("seconds/"))
    numbers = [f"{metrics[name]:.4f}" for name in ("intra", "inter", "gap")]
    table.add_row(str(metrics["images"]), str(metrics["skipped"]), *numbers, f"{seconds:.1f}")
    return table


def _label_table(metrics: dict[str, Any], labels: list[str]) -> Table:
    """Return a table with a line for each label and a 95% interval of map_at_10."""
    heads = ("label", "queries", *LABEL_METRICS, "95%")
    table = Table(*heads, box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for label in labels:
        cells = [format_number(metrics.get(f"{label}/{end}")) for end in LABEL_METRICS.values()]
        ends = [format_number(metrics.get(f"{label}/map_at_10_{end}")) for end in ("low", "high")]
        queries = str(metrics[f"{label}/queries"])
        table.add_row(printable(label), queries, *cells, "-".join(filter(None, ends)))
    return table
