"""A folder of links to runs, for TensorBoard, which takes the paths of folders for their names."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from src.config.overrides import MULTIRUN
from src.leaderboard.runs import Run
from src.leaderboard.words import short_names


@contextmanager
def named_runs(runs: Sequence[Run], folder: Path) -> Iterator[Path]:
    """Yield a temporary folder of links to the runs below folder, named by run_names.

    Jobs of a sweep that have not started yet have links, too, so that they appear once they write.
    """
    linked = set[Path]()
    with TemporaryDirectory(prefix="painting-similarity-") as temporary:
        for name, run in zip(run_names(runs, folder), runs, strict=True):
            if linked.isdisjoint(run.folder.parents):  # else the link to the outer run leads to it
                link = Path(temporary, name)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(run.folder.absolute(), target_is_directory=True)
                linked.add(run.folder)
        yield Path(temporary)


def run_names(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Return the path of each run below folder; the last part of a sweep's job has its settings."""
    sweeps: dict[Path, list[Run]] = {}
    for run in runs:
        if (run.folder.parent / MULTIRUN).is_file():
            sweeps.setdefault(run.folder.parent, []).append(run)
    names = {run.folder: run.folder.absolute().name for run in runs}
    for jobs in sweeps.values():
        numbers = [names[run.folder] for run in jobs]
        named = short_names([run.settings or _given(run) for run in jobs], numbers, numbers)
        names |= {run.folder: name for run, name in zip(jobs, named, strict=True)}
    return [
        run.folder.parent.relative_to(folder) / names[run.folder]
        if run.folder != folder
        else Path(names[run.folder])
        for run in runs
    ]


def _given(run: Run) -> dict[str, str]:
    """Return by name the options of the command line: all that is known before a job starts."""
    pairs = (word.partition("=") for word in run.overrides)
    return {name: value for name, _, value in pairs}
