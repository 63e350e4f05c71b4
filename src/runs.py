"""What runs have left: their settings, metrics and neighbors. No torch, so that it is quick."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from src.checks import UserError


@dataclass(frozen=True)
class Run:
    """A run's folder, its settings by dotted name, and its metrics; none where it did not end."""

    folder: Path
    settings: dict[str, Any]
    overrides: list[str]
    metrics: dict[str, Any]
    error: str  # the first line of what stopped it

    def queries(self, metric: str) -> NDArray[np.float64] | None:
        """(n,) the metric of each query, NaN where left out."""
        with np.load(self.folder / "queries.npz") as queries:
            return queries[metric].astype(np.float64) if metric in queries else None

    def neighbors(self) -> NDArray[np.int32]:
        """(n, k) rows of the gallery."""
        with np.load(self.folder / "neighbors.npz") as neighbors:
            return np.asarray(neighbors["index"])

    def images(self) -> tuple[str, int]:
        """The gallery, and how many of its images could be read."""
        where = yaml.safe_load((self.folder / "paths.yaml").read_text())
        return Path(where["gallery"]).name, self.metrics["images"]


def newest_sweep(outputs: Path) -> Path:
    """The folder of the last sweep. Raises UserError where there is none."""
    if found := sorted(outputs.glob("sweeps/*/*")):
        return found[-1]
    raise UserError(
        f"there is no sweep in {outputs}: name folders of runs, or start one with"
        " python -m src.run -m similarity.top_k=5,10"
    )


def read(folders: list[Path]) -> list[Run]:
    """The runs in these folders, in order. Raises UserError where there are none."""
    options = [path for folder in folders for path in folder.rglob(".hydra/config.yaml")]
    if not options:
        raise UserError(f"there are no runs in {', '.join(map(str, folders))}")
    return [_read(folder) for folder in sorted({o.parent.parent for o in options}, key=_order)]


def _order(folder: Path) -> tuple[Path, int, str]:
    """Of a sweep's jobs by number."""
    number = int(folder.name) if folder.name.isdecimal() else 0
    return folder.parent, number, folder.name


def _read(folder: Path) -> Run:
    settings = yaml.safe_load((folder / ".hydra" / "config.yaml").read_text())
    overrides = yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text())
    metrics, error = folder / "metrics.json", ""
    if not metrics.is_file():
        logs = "\n".join(log.read_text(errors="replace") for log in folder.glob("*.log"))
        said = re.search(r"^\[.*\]\[ERROR\] - error: (.*)$", logs, re.MULTILINE)
        error = said[1] if said else "it was stopped, or runs still"
    found = {} if error else json.loads(metrics.read_text())
    return Run(folder, dict(_flat(settings)), overrides, found, error)


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Options by their dotted names."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
