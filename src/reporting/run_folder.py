"""The folder of a run: each file's name once, with its writer beside its reader. Imports no torch.

n = images, k = neighbors of each.
"""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from src.errors import UserError
from src.gallery import Gallery, read_gallery
from src.io.csv_cells import unescape_cell, write_rows
from src.io.files import atomic_write
from src.reporting.settings import flatten
from src.reporting.text import as_utf8

CONFIG = Path(".hydra", "config.yaml")  # Hydra writes it when it starts a run
NEIGHBORS = "neighbors.npz"


@dataclass(frozen=True)
class RunFolder:
    """The files of a run below path. Each appears whole or not at all."""

    path: Path

    def discard_results(self) -> None:
        """Delete the results of an earlier run in this folder that could pass for those of this.

        Called at the start: a run that fails in the folder of a complete one is incomplete.
        """
        for pattern in ("metrics.json", "top_*_similar.npy", "events.out.tfevents.*"):
            for path in self.path.glob(pattern):
                path.unlink()

    # neighbors

    def write_neighbors(
        self, index: NDArray[np.int32], score: NDArray[np.float32], files: list[str]
    ) -> None:
        """Write neighbors.npz (index, score) and top_<k>_similar.npy (name, score), each (n, k).

        files (n,) are the images of the gallery in row order.
        """
        with atomic_write(self.path / NEIGHBORS) as part, part.open("wb") as file:
            np.savez(file, index=index, score=score)
        names = np.array(files)[index]  # (n, k)
        named = np.empty(index.shape, [("name", names.dtype), ("score", np.float32)])
        named["name"], named["score"] = names, score
        path = self.path / f"top_{index.shape[1]}_similar.npy"
        with atomic_write(path) as part, part.open("wb") as file:
            np.save(file, named)

    def neighbors(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return index (n, k), rows of the gallery, best first, and their scores (n, k)."""
        with np.load(self.path / NEIGHBORS) as arrays:
            return arrays["index"], arrays["score"]

    def write_postprocess(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Write postprocess.npz: mean (d,) and axes (d, m), to apply to features of new images."""
        with atomic_write(self.path / "postprocess.npz") as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    # metrics

    def write_queries(self, queries: dict[str, NDArray[np.float64]]) -> None:
        """Write queries.npz: by metric, its value for each query (n,), NaN where it has none."""
        arrays = {name: values.astype("f4") for name, values in queries.items()}
        with atomic_write(self.path / "queries.npz") as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    def query_values(self, metric: str) -> NDArray[np.float64] | None:
        """Return the metric's value for each query (n,), NaN where it has none; None if absent."""
        with np.load(self.path / "queries.npz") as queries:
            return queries[metric].astype(np.float64) if metric in queries else None

    def write_hubs(self, rows: Iterable[tuple[str, int]], escape_formulas: bool = True) -> None:
        """Write hubs.csv: files and the number of lists that each is in, highest first."""
        _write_csv(self.path / "hubs.csv", ["file", "neighbor_of"], rows, escape_formulas)

    def hubs(self, escape_formulas: bool = True) -> pd.DataFrame:
        """Return the table of hubs.csv, as write_hubs wrote it: file (text), neighbor_of (int)."""
        table = pd.read_csv(
            self.path / "hubs.csv",
            dtype={"file": str},
            keep_default_na=False,  # a file may be called NA
            encoding_errors="surrogateescape",
        )
        return table.assign(file=table["file"].map(unescape_cell)) if escape_formulas else table

    def write_near_duplicates(
        self, rows: Iterable[tuple[float, str, str]], escape_formulas: bool = True
    ) -> None:
        """Write near_duplicates.csv: score and the two files of each pair, best first."""
        lines = ([f"{score:.6f}", file, other] for score, file, other in rows)
        heads = ["score", "file", "other"]
        _write_csv(self.path / "near_duplicates.csv", heads, lines, escape_formulas)

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Write metrics.json. It is written last: its presence marks the run as complete."""
        with atomic_write(self.path / "metrics.json") as part:
            values = {k: as_utf8(v) if isinstance(v, str) else v for k, v in metrics.items()}
            part.write_text(json.dumps(values, indent=2) + "\n")

    def metrics(self) -> dict[str, Any] | None:
        """Return the content of metrics.json, None if the run is incomplete."""
        path = self.path / "metrics.json"
        return json.loads(path.read_text()) if path.is_file() else None

    # what was compared

    def write_paths(
        self,
        gallery: Path,
        embeddings: Path,
        matrix: Path | None,
        images: str,
        labels: dict[str, str],
    ) -> None:
        """Write paths.yaml: folders and the matrix, relative to the run, and what was compared.

        That is a hash of the images, and by label column one of its labels.
        """
        paths = {"gallery": gallery, "embeddings": embeddings, "matrix": matrix}
        relative = {name: os.path.relpath(path, self.path) for name, path in paths.items() if path}
        with atomic_write(self.path / "paths.yaml") as part:
            compared = {"images": images, "labels": labels}
            part.write_text(yaml.safe_dump(relative | compared, sort_keys=False))

    def paths(self) -> dict[str, str]:
        """Return the content of paths.yaml. Raises UserError if there is none."""
        paths: dict[str, str] = read_yaml(self.path / "paths.yaml")
        if not paths:
            raise UserError(f"{self.path} is not a finished run: it has no paths.yaml")
        return paths

    def label_hashes(self) -> dict[str, str]:
        """Return by label column a hash of its labels, {} for a run of an earlier version."""
        hashes = read_yaml(self.path / "paths.yaml").get("labels")
        return hashes if isinstance(hashes, dict) else {}

    def gallery(self) -> Gallery:
        """Return the run's gallery of n rows. Raises UserError or OSError if it was deleted."""
        paths = self.paths()
        gallery = read_gallery(self.path / paths["gallery"])
        names = np.load(self.path / paths["embeddings"] / "image_names.npy")
        works = gallery.works.set_index("file").reindex(names).fillna("").reset_index(names="file")
        return Gallery(gallery.name, gallery.root, works)

    # settings and logs, which Hydra writes

    def settings(self) -> dict[str, Any]:
        """Return the run's options by dotted name."""
        return dict(flatten(read_yaml(self.path / CONFIG)))

    def overrides(self) -> list[str]:
        """Return the options given on the command line, as name=value."""
        return read_yaml(self.path / ".hydra" / "overrides.yaml") or []

    def errors(self) -> list[str]:
        """Return the first line of each error in the run's logs, in order."""
        logs = "\n".join(log.read_text("utf-8", "replace") for log in self.path.glob("*.log"))
        return re.findall(r"^\[.*\]\[ERROR\] - error: (.*)$", logs, re.MULTILINE)

    @property
    def is_download(self) -> bool:
        """Return whether the folder is that of python -m src.download, which compares nothing."""
        return (self.path / "download.log").exists()

    # pictures

    @property
    def overview(self) -> Path:
        """Return the path of the picture of some queries with their neighbors."""
        return self.path / "neighbors.jpg"

    @property
    def score_plot(self) -> Path:
        """Return the path of the plot of the scores' distribution."""
        return self.path / "scores.png"

    def neighbors_picture(self, row: int) -> Path:
        """Return the path of the picture of one image and its neighbors."""
        return self.path / f"neighbors-{row}.jpg"


def read_yaml(path: Path) -> Any:
    """Return the content of a file, {} if it is missing or empty, as while Hydra writes it.

    Raises UserError if it is damaged.
    """
    try:
        return (yaml.safe_load(path.read_bytes()) if path.is_file() else None) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{path} is damaged: delete that run") from error


def _write_csv(
    path: Path, heads: Sequence[str], rows: Iterable[Sequence[Any]], escape_formulas: bool
) -> None:
    with (
        atomic_write(path) as part,
        part.open("w", -1, "utf-8", "surrogateescape", newline="") as file,
    ):
        write_rows(file, [heads, *rows], escape_formulas)
