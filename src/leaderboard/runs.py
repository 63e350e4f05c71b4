"""Find runs and sweeps below a folder, with the jobs that were never started. Imports no torch."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType

from src.errors import UserError
from src.reporting.run_folder import Run, read_run, read_yaml


def newest_sweep(outputs: Path) -> Path:
    """The folder of the last sweep. Raises UserError where there is none."""
    if found := sorted(path for path in outputs.glob("sweeps/*/*") if path.is_dir()):
        return found[-1]
    raise UserError(
        f"there is no sweep in {outputs}: name folders of runs, or start one with"
        " python -m src.run -m similarity.top_k=5,10"
    )


def read_runs(folders: list[Path]) -> list[Run]:
    """The runs in these folders, in order, with the jobs of their sweeps that never were started.

    Raises UserError for a folder without any.
    """
    runs: dict[Path, Run] = {}
    for folder in folders:
        begun = {path.parent.parent for path in below(folder, ".hydra/config.yaml")}
        found = [read_run(each) for each in begun if not (each / "download.log").exists()]
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
    config = read_yaml(path).get("hydra")
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
