"""The end of a run: files, pictures and the tables on the terminal."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from src.embedding.cache import Embeddings
from src.evaluation import cosine_statistics
from src.gallery import Gallery
from src.io.files import atomic_write
from src.pipeline.rank import Ranking
from src.reporting import contact_sheets, plots

RANDOM_PAIRS = 100_000
SHOWN = 8  # queries on the overview


def write_report(
    metrics: dict[str, Any], embeddings: Embeddings, ranking: Ranking, folder: Path
) -> None:
    """paths.yaml: where gallery, embeddings and matrix are, from folder, and a hash of the images;
    then metrics.json, whose being there says that the run has ended."""
    gallery = embeddings.folder.parents[3] / "galleries" / embeddings.gallery.name
    paths = {"gallery": gallery, "embeddings": embeddings.folder, "matrix": ranking.matrix}
    found = {name: os.path.relpath(path, folder) for name, path in paths.items() if path}
    found["images"] = embeddings.gallery.fingerprint()
    with atomic_write(folder / "paths.yaml") as part:
        part.write_text(yaml.safe_dump(found, sort_keys=False))
    with atomic_write(folder / "metrics.json") as part:
        part.write_text(json.dumps(metrics, indent=2) + "\n")


def illustrate(
    metrics: dict[str, Any], gallery: Gallery, ranking: Ranking, seed: int, folder: Path
) -> dict[str, Path]:
    """neighbors.jpg, some queries with their neighbors, and scores.png, how scores are spread."""
    draw = np.random.default_rng(seed)
    rows = sorted(draw.choice(len(gallery), min(SHOWN, len(gallery)), replace=False).tolist())
    sheet = contact_sheets.overview(gallery, ranking.saved.index, ranking.saved.score, rows)
    random = cosine_statistics.random_pairs(ranking.features, RANDOM_PAIRS, seed)
    plot = plots.score_plot(ranking.saved.score, random, metrics["intra"], metrics["inter"])
    files = {"neighbors": folder / "neighbors.jpg", "scores": folder / "scores.png"}
    sheet.save(files["neighbors"], quality=88)
    plot.savefig(files["scores"])
    return files


def summary(metrics: dict[str, Any], folder: Path) -> None:
    """A short table on the terminal: metrics, files, what to do next."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(_scores(metrics))
    end = "/precision_at_1"
    if columns := [name.removesuffix(end) for name in metrics if name.endswith(end)]:
        console.print(_labels(metrics, columns))
    if metrics["weights"].startswith("random"):
        console.print("The network's weights are random: it has learned nothing about paintings.")
    if metrics.get("idle_gpu"):
        console.print("THE GPU OF THIS MACHINE WAS NOT USED: see the warning above, or run.log.")
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    here = Path.cwd() in folder.resolve().parents
    run = folder.resolve().relative_to(Path.cwd()) if here else folder
    console.print(f"files in {run}: {', '.join(names)}")
    console.print("next, a random painting and its neighbors, or runs in TensorBoard:")
    console.print(f"  python -m src.show --run {run}")
    console.print("  make dashboard")


def _scores(metrics: dict[str, Any]) -> Table:
    table = Table("images", "skipped", "intra", "inter", "gap", "seconds", box=SIMPLE)
    seconds = sum(value for name, value in metrics.items() if name.startswith("seconds/"))
    numbers = [f"{metrics[name]:.4f}" for name in ("intra", "inter", "gap")]
    table.add_row(str(metrics["images"]), str(metrics["skipped"]), *numbers, f"{seconds:.1f}")
    return table


def _labels(metrics: dict[str, Any], columns: list[str]) -> Table:
    """Precision, what chance would give it, and mean average precision with its interval."""
    heads = ("label", "queries", "P@1", "P@10", "chance", "mAP@10", "95%")
    table = Table(*heads, box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        ends = ("precision_at_1", "precision_at_10", "precision_at_1_chance", "map_at_10")
        cells = [_number(metrics, f"{column}/{end}") for end in ends]
        low, high = (_number(metrics, f"{column}/map_at_10_{end}") for end in ("low", "high"))
        interval = f"{low}-{high}" if low else ""
        table.add_row(column, str(metrics[f"{column}/queries"]), *cells, interval)
    return table


def _number(metrics: dict[str, Any], name: str) -> str:
    return f"{metrics[name]:.3f}" if name in metrics else ""
