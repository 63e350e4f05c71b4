"""The folder of a run: each file's name once, with its writer beside its reader. Imports no torch.

n = images, k = neighbors of each.
"""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from src.embedding.joining import layer_of
from src.errors import UserError
from src.gallery import Gallery, read_gallery
from src.io.arrays import read_npy, read_npz, view_npy, write_npy
from src.io.bounded import damaged
from src.io.files import atomic_write
from src.reporting import run_checks
from src.reporting.compared import Compared, principal_components
from src.reporting.neighbor_table import neighbor_frame
from src.reporting.painting_table import painting_frame
from src.reporting.result_files import ResultFiles
from src.reporting.settings import flatten

CONFIG = Path(".hydra", "config.yaml")  # Hydra writes it when it starts a run

# What a run writes anew; metrics.json, which marks a complete run, goes first
REWRITTEN = (
    *("metrics.json", "results.json", "top_*_similar.npy", "events.out.tfevents.*", "map-*.npy"),
    *("neighbors.csv", "neighbors.parquet", "paintings.csv", "paintings.parquet"),
)


@dataclass(frozen=True, init=False)
class RunFolder(ResultFiles):
    """The files of a run below path. Each appears whole or not at all.

    What a run names, such as its gallery, is found from any working directory.
    """

    def discard_results(self) -> None:
        """Delete the results of an earlier run in this folder that could pass for those of this.

        Called at the start: a run that fails in the folder of a complete one is incomplete.
        """
        for pattern in REWRITTEN:
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

    def compared(self) -> Compared:
        """Return what was compared: the features as they were changed before.

        Raises UserError or OSError if the features are gone.
        """
        features, settings = self.features(), self.settings()
        mean, axes, added = None, None, None
        if settings.get("similarity.postprocess", "none") != "none":
            mean, axes = self.postprocess()
        if settings.get("similarity.augment"):
            added = self.augmentation()[:2]
        return Compared(features, mean, axes, added)

    def paintings(self) -> pd.DataFrame:
        """Return each image with its place on the map: n rows with the columns of paintings.csv.

        Each value of neighbors is a dictionary of ids and distances, (k,) each, nearest first.
        """
        index, score = self.neighbors()
        positions = self.layout("pca", len(index))
        if positions is None:
            positions = principal_components(self.compared(), 2)
        return painting_frame(self.gallery(), index, score, positions)

    def write_layout(self, name: str, positions: NDArray[np.float32]) -> None:
        """Write map-<name>.npy: where each image lies on a map, (n, 2)."""
        write_npy(self.path / f"map-{name}.npy", positions)

    def layout(self, name: str, n: int) -> NDArray[np.float32] | None:
        """Return where each image lies on a map, (n, 2); None if it was not written."""
        path = self.path / f"map-{name}.npy"
        return run_checks.read_layout(path, n) if path.is_file() else None

    # metrics

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
        return replace(gallery, works=works)

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

    def manifest(self, row: int) -> Path:
        """Return the path of the IIIF manifest of one image and its neighbors."""
        return self.path / f"manifest-{row}.json"

    def neighbors_picture(self, row: int, suffix: str = ".jpg") -> Path:
        """Return the path of the picture of one image and its neighbors."""
        return self.path / f"neighbors-{row}{suffix}"
