"""Find the runs and sweeps below a folder, including sweep jobs that never started.

Imports no torch.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.config.names import option_defaults
from src.config.overrides import MULTIRUN, quote_value, shell_join
from src.errors import UserError
from src.io.outputs import Outputs
from src.io.printable import printable
from src.leaderboard.sweeps import sweep_jobs, why_not_repeated, why_not_written
from src.reporting.run_folder import CONFIG, RunFolder

# Options that earlier versions lack; their runs are those of the defaults
ADDED = (
    *("backbone.join", "similarity.augment", "similarity.whiten_from"),
    *("evaluation.multilabel", "evaluation.unknown_artists"),
)
MAX_DEPTH = 20  # of the folders of runs below the one that is named


@dataclass(frozen=True)
class Run:
    """A run's folder with the settings, overrides and metrics read from it."""

    folder: Path
    settings: dict[str, Any]  # by dotted name; empty if the run never started
    overrides: list[str]  # name=value, as given on the command line
    metrics: dict[str, Any]  # empty if the run is incomplete
    error: str  # why the run is incomplete, "" if it is complete
    is_damaged: bool = False  # so that its overrides are not known
    rows: int = 0  # of its tables of neighbors, whatever its metrics say

    @property
    def files(self) -> RunFolder:
        """Return the files of the run."""
        return RunFolder(self.folder)

    def query_values(self, metric: str) -> NDArray[np.float64] | None:
        """Return the metric's value for each image (rows,), NaN without one; None if absent."""
        return self.files.query_values(metric, self.rows)

    @cached_property
    def command(self) -> str:
        """Return the shell command that repeats this run alone, in its folder.

        It is a comment that says why if what the folder holds must not, or cannot, be repeated.
        """
        reason = "it is damaged" if self.is_damaged else why_not_repeated(self.overrides)
        if reason := reason or why_not_written(self.overrides, self.folder):
            return printable(f"# no command for {self.folder.name}: {reason}")
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
        below = [job for path in find_files(folder, MULTIRUN) for job in _not_started(path)]
        below += [read_run(path) for path in started if not RunFolder(path).is_download]
        if not below:
            raise UserError(f"there are no runs in {folder}")
        runs |= {run.folder: run for run in below}
    return [runs[folder] for folder in sorted(runs, key=sort_key)]


def read_run(folder: Path) -> Run:
    """Read one run. If a file is damaged, the run is incomplete, and its error names the file."""
    files = RunFolder(folder)
    try:
        settings = _with_added(files.settings())
        overrides, metrics = files.overrides(), files.metrics()
        if metrics is not None:
            return Run(folder, settings, overrides, metrics, "", rows=files.check(metrics))
    except (UserError, OSError) as error:
        return _damaged(folder, error)
    reason = ["interrupted or still running", *files.errors()][-1]
    return Run(folder, settings, overrides, {}, reason)


def _with_added(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a run, with the defaults of options that were added after it."""
    if not settings:
        return settings
    defaults = option_defaults()
    return {name: defaults[name] for name in ADDED} | settings


def find_files(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the files of runs below folder; in outputs/, only where runs are, for speed."""
    outputs = Outputs(folder)
    parts = [part for part in (outputs.runs, outputs.sweeps) if part.is_dir()]
    for part in parts or [folder]:
        for below in _folders(part):
            yield from below.glob(pattern)


def _folders(folder: Path) -> Iterator[Path]:
    """Yield a folder and those below it, MAX_DEPTH levels deep, without following links."""
    pending = [(folder, 0)]
    while pending:
        path, depth = pending.pop()
        yield path
        if depth < MAX_DEPTH:
            # the last two: it has just been removed, or was never there
            with suppress(PermissionError, FileNotFoundError, NotADirectoryError):
                with os.scandir(path) as entries:
                    below = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
                pending += [(path / entry.name, depth + 1) for entry in below]


def sort_key(folder: Path) -> tuple[Path, int, str]:
    """Return a key that orders folders by path, and the jobs of a sweep by number."""
    number = int(folder.name) if folder.name.isdecimal() else 0
    return folder.parent, number, folder.name


def _not_started(path: Path) -> list[Run]:
    """Return the jobs in a sweep's multirun.yaml that have no folder, or the sweep if damaged."""
    try:
        jobs = sweep_jobs(path)
    except (UserError, OSError) as error:
        return [_damaged(path.parent, error)]
    folders = [path.parent / str(number) for number in range(len(jobs))]
    return [
        Run(folder, {}, list(job), {}, "not started")
        for folder, job in zip(folders, jobs, strict=True)
        if not (folder / CONFIG).is_file()
    ]


def _damaged(folder: Path, error: Exception) -> Run:
    """Return a run, or a sweep, that cannot be read; its error names the file below folder."""
    return Run(folder, {}, [], {}, str(error).replace(f"{folder}{os.sep}", ""), is_damaged=True)
