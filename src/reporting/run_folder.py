"""The files of a run's folder: settings, metrics, neighbors. Imports no torch, to be fast."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from src.errors import UserError
from src.gallery import Gallery, read_gallery

SHORT = 24  # letters of a value


@dataclass(frozen=True)
class Run:
    """A run's folder, its settings by dotted name, and its metrics; none where it did not end."""

    folder: Path
    settings: dict[str, Any]
    overrides: list[str]
    metrics: dict[str, Any]
    error: str  # the first line of what stopped it

    def value(self, setting: str) -> str:
        """What a setting was, to be read."""
        return str(self.settings.get(setting))

    def short(self, setting: str) -> str:
        """The same with few letters: of a path the last part, of what is long the beginning."""
        text = self.value(setting)
        text = Path(text).name or text
        return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"

    @property
    def command(self) -> str:
        """What makes this run alone, again, in its own folder."""
        place = os.path.relpath(self.folder)
        if not re.fullmatch(r"[\w./:-]+", place, re.ASCII):  # else Hydra would read it otherwise
            place = '"' + place.replace("\\", "\\\\").replace('"', '\\"') + '"'
        words = [*self.overrides, "hydra.mode=RUN", f"hydra.run.dir={place}"]
        return f"python -m src.run {shlex.join(words)}"

    def queries(self, metric: str) -> NDArray[np.float64] | None:
        """(n,) the metric of each query, NaN where left out."""
        with np.load(self.folder / "queries.npz") as queries:
            return queries[metric].astype(np.float64) if metric in queries else None

    def neighbors(self) -> NDArray[np.int32]:
        """(n, k) rows of the gallery."""
        with np.load(self.folder / "neighbors.npz") as neighbors:
            return np.asarray(neighbors["index"])

    def scores(self) -> NDArray[np.float32]:
        """(n, k) cosines of the neighbors."""
        with np.load(self.folder / "neighbors.npz") as neighbors:
            return np.asarray(neighbors["score"])

    def images(self) -> tuple[str, str]:
        """The gallery, and a hash of its images that could be read, in their order."""
        where = read_yaml(self.folder / "paths.yaml")
        return Path(where["gallery"]).name, where.get("images", str(self.metrics["images"]))


def gallery_of(run: Path) -> Gallery:
    """The gallery of a finished run, with its rows. Raises UserError or OSError without one."""
    file = run / "paths.yaml"
    paths = read_yaml(file) if file.is_file() else None
    if not paths:
        raise UserError(f"{run} is not a finished run: it has no paths.yaml")
    gallery = read_gallery(run / paths["gallery"])
    names = np.load(run / paths["embeddings"] / "image_names.npy")
    works = gallery.works.set_index("file").reindex(names).fillna("").reset_index(names="file")
    return Gallery(gallery.name, gallery.root, works)


def read_run(folder: Path) -> Run:
    settings = dict(flatten(read_yaml(folder / ".hydra" / "config.yaml")))
    overrides = read_yaml(folder / ".hydra" / "overrides.yaml") or []
    metrics = folder / "metrics.json"
    if metrics.is_file():
        return Run(folder, settings, overrides, json.loads(metrics.read_text()), "")
    logs = "\n".join(log.read_text(errors="replace") for log in folder.glob("*.log"))
    said = re.findall(r"^\[.*\]\[ERROR\] - error: (.*)$", logs, re.MULTILINE)
    return Run(
        folder, settings, overrides, {}, said[-1] if said else "it was stopped, or runs still"
    )


def read_yaml(path: Path) -> Any:
    """What a file holds, {} for one that is not there or empty: Hydra may be writing it."""
    try:
        return (yaml.safe_load(path.read_text()) if path.is_file() else None) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{path} is damaged: delete that run") from error


def flatten(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Options by their dotted names."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
