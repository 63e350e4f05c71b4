"""The folder of a run: each file's name once, with its writer beside its reader. Imports no torch.

n = images, k = neighbors of each.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from src.embedding.joining import layer_of
from src.errors import UserError
from src.gallery import Gallery, read_gallery
from src.io.arrays import read_npy, read_npz, view_npy, write_npy, write_npz
from src.io.bounded import damaged
from src.io.csv_cells import unescape_cell, write_table
from src.io.files import atomic_write
from src.reporting import run_checks
from src.reporting.comparison_files import ComparisonFiles
from src.reporting.neighbor_table import neighbor_frame
from src.reporting.settings import flatten
from src.reporting.text import as_utf8

CONFIG = Path(".hydra", "config.yaml")  # Hydra writes it when it starts a run


@dataclass(frozen=True, init=False)
class RunFolder(ComparisonFiles):
    """The files of a run below path. Each appears whole or not at all.

    What a run names, such as its gallery, is found from any working directory.
    """

    def discard_results(self) -> None:
        """Delete the results of an earlier run in this folder that could pass for those of this.

        Called at the start: a run that fails in the folder of a complete one is incomplete.
        """
        for pattern in ("metrics.json", "top_*_similar.npy", "events.out.tfevents.*", "map-*.npy"):
            for path in self.path.glob(pattern):
                path.unlink()

    # neighbors and features

    def pairs(self) -> pd.DataFrame:
        """Return each image with its neighbors: n * k rows with the columns of neighbors.csv."""
        return neighbor_frame(self.gallery(), *self.neighbors())

    def features(self) -> NDArray[np.float32]:
        """Return what the network made of the images, (n, d), as a memory map to read.

        It is what is stored, before post-processing: see postprocess.npz.
        """
        path = self.path / self.paths().get("embeddings", "") / "features.npy"
        features = view_npy(path)
        if features.ndim != 2 or len(features) != len(self.neighbors()[0]):
            raise damaged(path, "not one row for each image")
        return features

    def write_layout(self, name: str, positions: NDArray[np.float32]) -> None:
        """Write map-<name>.npy: where each image lies on a map, (n, 2)."""
        write_npy(self.path / f"map-{name}.npy", positions)

    def layout(self, name: str, n: int) -> NDArray[np.float32] | None:
        """Return where each image lies on a map, (n, 2); None if it was not written."""
        path = self.path / f"map-{name}.npy"
        return run_checks.read_layout(path, n) if path.is_file() else None

    # metrics

    def write_queries(self, queries: dict[str, NDArray[np.float64]]) -> None:
        """Write queries.npz: by metric, its value for each query (n,), NaN where it has none."""
        write_npz(self.path / "queries.npz", {name: v.astype("f4") for name, v in queries.items()})

    def query_values(self, metric: str, n: int) -> NDArray[np.float64] | None:
        """Return the metric's value for each query (n,), NaN where it has none; None if absent."""
        return run_checks.read_query_values(self.path / "queries.npz", metric, n)

    def write_hubs(self, rows: Iterable[tuple[str, int]], escape_formulas: bool = True) -> None:
        """Write hubs.csv: files and the number of lists that each is in, highest first."""
        write_table(self.path / "hubs.csv", ["file", "neighbor_of"], rows, escape_formulas)

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
        write_table(self.path / "near_duplicates.csv", heads, lines, escape_formulas)

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Write metrics.json. It is written last: its presence marks the run as complete."""
        with atomic_write(self.path / "metrics.json") as part:
            pairs = [(as_utf8(k), as_utf8(v) if type(v) is str else v) for k, v in metrics.items()]
            part.write_text(json.dumps(dict(pairs), indent=2) + "\n")

    def metrics(self) -> dict[str, Any] | None:
        """Return the content of metrics.json, None if the run is incomplete."""
        path = self.path / "metrics.json"
        return run_checks.read_metrics(path) if path.is_file() else None

    def check(self, metrics: dict[str, Any]) -> int:
        """Return n of a finished run. Raises UserError unless its files are whole and fit."""
        self.paths()
        count, queries = len(self.neighbors()[0]), self.path / "queries.npz"
        if type(metrics.get("images")) is not int or metrics["images"] != max(count, 2):
            raise damaged(self.path / "metrics.json", f"images is not {count}, the neighbors' rows")
        for name, values in read_npz(queries).items():
            if values.shape != (count,):
                raise damaged(queries, f"{name} has no value for each of {count} images")
        return count

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

    def paths(self) -> dict[str, Any]:
        """Return the content of paths.yaml. Raises UserError if there is none."""
        paths = run_checks.read_paths(self.path / "paths.yaml")
        if not paths:
            raise UserError(f"{self.path} is not a finished run: it has no paths.yaml")
        return paths

    def label_hashes(self) -> dict[str, str]:
        """Return by label column a hash of its labels, {} for a run of an earlier version."""
        return dict(self.paths().get("labels", {}))

    def gallery(self) -> Gallery:
        """Return the run's gallery of n rows. Raises UserError, also if it was deleted."""
        paths = self.paths()
        path = self.path / paths.get("embeddings", "") / "image_names.npy"
        with run_checks.told_if_deleted("gallery or features"):
            gallery, names = read_gallery(self.path / paths["gallery"]), read_npy(path).tolist()
        if len(names) != len(self.neighbors()[0]) or not {str}.issuperset(map(type, names)):
            raise damaged(path, "not the name of each image")
        works = gallery.works.set_index("file").reindex(names).fillna("").reset_index(names="file")
        return Gallery(gallery.name, gallery.root, works)

    def works(self) -> pd.DataFrame:
        """Return what is known about the images: n rows of text, "" for what is unknown."""
        return self.gallery().works

    # settings and logs, which Hydra writes

    def settings(self) -> dict[str, Any]:
        """Return the run's options by dotted name; of a depth or pattern, the layers that it is."""
        settings = dict(flatten(run_checks.read_mapping(self.path / CONFIG)))
        is_short = not set("%*?[").isdisjoint(str(settings.get("backbone.layer")))
        paths = self.paths() if is_short and (self.path / "paths.yaml").is_file() else {}
        if "embeddings" in paths:
            with suppress(UserError):  # many layers, whose folder is gone: as they were given
                settings["backbone.layer"] = layer_of(self.path / paths["embeddings"])
        return settings

    def overrides(self) -> list[str]:
        """Return the options given on the command line, as name=value."""
        return run_checks.read_texts(self.path / ".hydra" / "overrides.yaml")

    def errors(self) -> list[str]:
        """Return the first line of each error in the run's logs, in order."""
        return run_checks.read_errors(sorted(self.path.glob("*.log")))

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

    def neighbors_picture(self, row: int, suffix: str = ".jpg") -> Path:
        """Return the path of the picture of one image and its neighbors."""
        return self.path / f"neighbors-{row}{suffix}"
