"""What a job of a sweep shows: warnings, progress and, at its end, one line."""

import logging
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from src.config.overrides import shell_quote
from src.io.bounded import read_yaml


def is_sweep_job() -> bool:
    """Return whether this process runs a job of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


def quiet_console() -> None:
    """Show only warnings of this job; all its messages are in its run.log."""
    for handler in logging.getLogger().handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.WARNING)


def job_name() -> str:
    """Return the number of this job, and those of its overrides that the sweep varies."""
    hydra = HydraConfig.get()
    sweep = read_yaml(Path(hydra.sweep.dir) / "multirun.yaml")
    shared = sweep["hydra"]["overrides"]["task"]
    varied = [shell_quote(word) for word in hydra.overrides.task if word not in shared]
    return " ".join([f"{hydra.job.num}:", *varied])
