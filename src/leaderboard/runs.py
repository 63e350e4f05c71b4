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
        where = _yaml(self.folder / "paths.yaml")
        return Path(where["gallery"]).name, where.get("images", str(self.metrics["images"]))


def gallery_of(run: Path) -> Gallery:
    """The gallery of a finished run, with its rows. Raises UserError or OSError without one."""
    file = run / "paths.yaml"
    paths = _yaml(file) if file.is_file() else None
    if not paths:
        raise UserError(f"{run} is not a finished run: it has no paths.yaml")
    gallery = read_gallery(run / paths["gallery"])
    names = np.load(run / paths["embeddings"] / "image_names.npy")
    works = gallery.works.set_index("file").reindex(names).fillna("").reset_index(names="file")
    return Gallery(gallery.name, gallery.root, works)


def newest_sweep(outputs: Path) -> Path:
    """The folder of the last sweep. Raises UserError where there is none."""
    if found := sorted(path for path in outputs.glob("sweeps/*/*") if path.is_dir()):
        return found[-1]
    raise UserError(
        f"there is no sweep in {outputs}: name folders of runs, or start one with"
        " python -m src.run -m similarity.top_k=5,10"
    )


def read(folders: list[Path]) -> list[Run]:
    """The runs in these folders, in order, with the jobs of their sweeps that never were started.

    Raises UserError for a folder without any.
    """
    runs: dict[Path, Run] = {}
    for folder in folders:
        begun = {path.parent.parent for path in below(folder, ".hydra/config.yaml")}
        found = [_read(each) for each in begun if not (each / "download.log").exists()]
        found += [job for path in below(folder, "multirun.yaml") for job in _not_started(path)]
        if not found:
            raise UserError(f"there are no runs in {folder}")
        runs |= {run.folder: run for run in found}
    return [runs[folder] for folder in sorted(runs, key=order)]


def below(folder: Path, pattern: str) -> Iterator[Path]:
    """Files of runs anywhere below a folder; of outputs, not among all the images."""
    parts = [folder / name for name in ("runs", "sweeps") if (folder / name).is_dir()]
    for part in parts or [folder]:
        yield from part.rglob(pattern)


def order(folder: Path) -> tuple[Path, int, str]:
    """Of a sweep's jobs by number."""
    number = int(folder.name) if folder.name.isdecimal() else 0
    return folder.parent, number, folder.name


def _not_started(path: Path) -> list[Run]:
    """The jobs of a sweep, by its multirun.yaml, that have no folder."""
    config = _yaml(path).get("hydra")
    if not config or config["sweep"]["subdir"] != "${hydra.job.num}":
        return []
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


def _read(folder: Path) -> Run:
    settings = dict(_flat(_yaml(folder / ".hydra" / "config.yaml")))
    overrides = _yaml(folder / ".hydra" / "overrides.yaml") or []
    metrics = folder / "metrics.json"
    if metrics.is_file():
        return Run(folder, settings, overrides, json.loads(metrics.read_text()), "")
    logs = "\n".join(log.read_text(errors="replace") for log in folder.glob("*.log"))
    said = re.findall(r"^\[.*\]\[ERROR\] - error: (.*)$", logs, re.MULTILINE)
    return Run(
        folder, settings, overrides, {}, said[-1] if said else "it was stopped, or runs still"
    )


def _yaml(path: Path) -> Any:
    """What a file holds, {} for one that is not there or empty: Hydra may be writing it."""
    try:
        return (yaml.safe_load(path.read_text()) if path.is_file() else None) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{path} is damaged: delete that run") from error


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Options by their dotted names."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
