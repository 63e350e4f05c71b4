"""What a job of a sweep shows: warnings, progress and, at its end, one line."""

import logging
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from src.config.overrides import shell_quote, swept_values, varied_overrides


def is_sweep_job() -> bool:
    """Return whether this process runs a job of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


def quiet_console() -> None:
    """Show only warnings of this job; all its messages are in its run.log."""
    for handler in logging.getLogger().handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.WARNING)


def swept_outputs() -> dict[str, list[str]]:
    """Return the values that the jobs of this sweep give to layer and pooling, by name.

    One pass over the images writes the rows of all of them.
    """
    folder = Path(HydraConfig.get().sweep.dir)
    return {name: swept_values(folder, name) for name in ("backbone.layer", "backbone.pooling")}


def job_name() -> str:
    """Return the number of this job, and those of its overrides that the sweep varies."""
    hydra = HydraConfig.get()
    varied = varied_overrides(Path(hydra.sweep.dir), hydra.overrides.task)
    return " ".join([f"{hydra.job.num}:", *map(shell_quote, varied)])
