"""Find the runs and sweeps below a folder, including sweep jobs that never started.

Imports no torch.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType

from src.config.overrides import quote_value, shell_join
from src.errors import UserError
from src.io.outputs import Outputs
from src.reporting.run_folder import CONFIG, RunFolder, read_yaml

MAX_VALUE_LENGTH = 24  # characters of a setting's value in tables and plots


@dataclass(frozen=True)
class Run:
    """A run's folder with the settings, overrides and metrics read from it."""

    folder: Path
    settings: dict[str, Any]  # by dotted name; empty if the run never started
    overrides: list[str]  # name=value, as given on the command line
    metrics: dict[str, Any]  # empty if the run is incomplete
    error: str  # why the run is incomplete, "" if it is complete

    @property
    def files(self) -> RunFolder:
        """Return the files of the run."""
        return RunFolder(self.folder)

    def value(self, setting: str) -> str:
        """Return the value of a setting as text."""
        return str(self.settings.get(setting))

    def short_value(self, setting: str) -> str:
        """Return the value of a setting, shortened: the name of a path, the start of a text."""
        text = self.value(setting)
        text = Path(text).name or text
        return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 1]}…"

    @property
    def command(self) -> str:
        """Return the shell command that repeats this run alone, in its folder."""
        folder = os.path.relpath(self.folder)
        if not re.fullmatch(r"[\w./:-]+", folder, re.ASCII):  # Hydra's grammar needs quotes
            folder = quote_value(folder)
        words = [*self.overrides, "hydra.mode=RUN", f"hydra.run.dir={folder}"]
        return f"python -m src.run {shell_join(words)}"

    def images(self) -> tuple[str, str]:
        """Return the gallery's name and a hash of its readable images in row order.

        Two runs can be compared image by image if both are equal.
        """
        paths = self.files.paths()
        return Path(paths["gallery"]).name, paths.get("images", str(self.metrics["images"]))


def newest_sweep(outputs: Path) -> Path:
    """Return the folder of the latest sweep. Raises UserError if there is none."""
    if folders := sorted(path for path in Outputs(outputs).sweeps.glob("*/*") if path.is_dir()):
        return folders[-1]
    raise UserError(
        f"there is no sweep in {outputs}: give folders of runs, or start a sweep with"
        " python -m src.run -m similarity.top_k=5,10"
    )


def read_runs(folders: list[Path]) -> list[Run]:
    """Return the runs in these folders in order, including jobs of sweeps that never started.

    Raises UserError for a folder without runs.
    """
    runs: dict[Path, Run] = {}
    for folder in folders:
        started = {path.parent.parent for path in find_files(folder, str(CONFIG))}
        below = [read_run(path) for path in started if not RunFolder(path).is_download]
        below += [job for path in find_files(folder, "multirun.yaml") for job in _not_started(path)]
        if not below:
            raise UserError(f"there are no runs in {folder}")
        runs |= {run.folder: run for run in below}
    return [runs[folder] for folder in sorted(runs, key=sort_key)]


def read_run(folder: Path) -> Run:
    """Read one run. Raises UserError if its settings are damaged."""
    files = RunFolder(folder)
    settings, overrides, metrics = files.settings(), files.overrides(), files.metrics()
    if metrics is not None:
        return Run(folder, settings, overrides, metrics, "")
    error = ["interrupted or still running", *files.errors()][-1]
    return Run(folder, settings, overrides, {}, error)


def find_files(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the files of runs below folder; in outputs/, only where runs are, for speed."""
    outputs = Outputs(folder)
    parts = [part for part in (outputs.runs, outputs.sweeps) if part.is_dir()]
    for part in parts or [folder]:
        yield from part.rglob(pattern)


def sort_key(folder: Path) -> tuple[Path, int, str]:
    """Return a key that orders folders by path, and the jobs of a sweep by number."""
    number = int(folder.name) if folder.name.isdecimal() else 0
    return folder.parent, number, folder.name


def _not_started(path: Path) -> list[Run]:
    """Return the jobs in a sweep's multirun.yaml that have no folder."""
    config = read_yaml(path).get("hydra")
    if not config or config["sweep"]["subdir"] != "${hydra.job.num}":
        return []
    if not config["sweeper"]["_target_"].endswith(".BasicSweeper"):
        return []  # other sweepers choose the jobs as they go
    words = [f"{name}={value}" for name, value in (config["sweeper"]["params"] or {}).items()]
    overrides = OverridesParser.create().parse_overrides(words + config["overrides"]["task"])
    if any(override.value_type is ValueType.GLOB_CHOICE_SWEEP for override in overrides):
        return []  # glob(*) depends on the files of that time
    jobs = list(product(*{o.get_key_element(): _choices(o) for o in overrides}.values()))
    folders = [path.parent / str(number) for number in range(len(jobs))]
    return [
        Run(folder, {}, list(job), {}, "not started")
        for folder, job in zip(folders, jobs, strict=True)
        if not (folder / CONFIG).is_file()
    ]


def _choices(override: Override) -> list[str]:
    """Return the values that a sweep goes through, as name=value."""
    if override.is_sweep_override():
        return [f"{override.get_key_element()}={v}" for v in override.sweep_string_iterator()]
    return [f"{override.get_key_element()}={override.get_value_element_as_str()}"]
