"""What runs have left: their settings, metrics and neighbors. No torch, so that it is quick."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
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

    def value(self, setting: str) -> str:
        """What a setting was, to be read."""
        return str(self.settings.get(setting))

    @property
    def command(self) -> str:
        """What makes this run alone, again, in its own folder."""
        place = ["hydra.mode=RUN", f"hydra.run.dir={os.path.relpath(self.folder)}"]
        return f"python -m src.run {shlex.join([*self.overrides, *place])}"

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
    """The runs in these folders, in order, with the jobs of their sweeps that never were started.

    Raises UserError where there are none.
    """
    options = [path for folder in folders for path in folder.rglob(".hydra/config.yaml")]
    runs = [_read(folder) for folder in {path.parent.parent for path in options}]
    sweeps = {path for folder in folders for path in folder.rglob("multirun.yaml")}
    runs += [job for path in sweeps for job in _not_started(path)]
    if not runs:
        raise UserError(f"there are no runs in {', '.join(map(str, folders))}")
    return sorted(runs, key=lambda run: order(run.folder))


def _not_started(path: Path) -> list[Run]:
    """The jobs of a sweep, by its multirun.yaml, that have no folder."""
    config = yaml.safe_load(path.read_text())["hydra"]
    if not config["sweeper"]["_target_"].endswith(".BasicSweeper"):
        return []  # others choose the jobs as they go
    words = [f"{name}={value}" for name, value in (config["sweeper"]["params"] or {}).items()]
    overrides = OverridesParser.create().parse_overrides(words + config["overrides"]["task"])
    if any(override.value_type is ValueType.GLOB_CHOICE_SWEEP for override in overrides):
        return []  # what glob(*) meant depends on the files there were
    jobs = list(product(*{o.get_key_element(): _choices(o) for o in overrides}.values()))
    places = [path.parent / str(number) for number in range(len(jobs))]
    return [
        Run(place, {}, list(job), {}, "it has not been started")
        for place, job in zip(places, jobs, strict=True)
        if not (place / ".hydra" / "config.yaml").is_file()
    ]


def _choices(override: Override) -> list[str]:
    """The values that a sweep goes through, as name=value."""
    if override.is_sweep_override():
        return [f"{override.get_key_element()}={v}" for v in override.sweep_string_iterator()]
    return [f"{override.get_key_element()}={override.get_value_element_as_str()}"]


def order(folder: Path) -> tuple[Path, int, str]:
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
