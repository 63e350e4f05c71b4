"""The leaderboard at the end of a sweep."""

from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from src.config import Tracking
from src.config.addresses import check_no_secret
from src.errors import UserError
from src.runtime.streams import print_error

# Folder, tracking options and escape_formulas of the sweep that runs in this context. Hydra creates
# the callback itself and calls none of its methods after a job has failed, so the callback only
# stores the sweep here: app.command runs Hydra in a separate context and reads it at the end.
current_sweep: ContextVar[tuple[Path, Tracking, bool]] = ContextVar("current_sweep")


class Sweep(Callback):
    """Hydra callback that announces a sweep of src.run to the command."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Refuse secrets in the files of configs/ before Hydra stores them with the run."""
        _refuse_secrets(config)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Refuse secrets, set current_sweep, notice the end of the jobs if Slurm runs them."""
        _refuse_secrets(config)
        if _is_on_slurm(config):
            from src.cli.slurm_sweeps import watch_queue  # imports submitit, an extra

            watch_queue()
        if config.hydra.job.name == "run":
            tracking = cast(Tracking, OmegaConf.to_object(config.tracking))
            folder = Path(config.hydra.sweep.dir)
            current_sweep.set((folder, tracking, config.escape_formulas))

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        """Prepare the process of a Slurm job for its requeue."""
        if _is_on_slurm(config):
            from src.cli.slurm_sweeps import guard_requeue

            guard_requeue()


def _is_on_slurm(config: DictConfig) -> bool:
    """Return whether the jobs of a sweep are jobs of Slurm."""
    return str(config.hydra.launcher._target_).endswith(".SlurmLauncher")


def _refuse_secrets(config: DictConfig) -> None:
    """End the command if an option holds a secret. Hydra would only warn of an Exception."""
    names = ("data.tables", "data.manifest", "download.contact")
    options = {name: OmegaConf.select(config, name, default="") for name in names}
    swept = config.hydra.sweeper.get("params") or {}
    try:
        for name, value in [*options.items(), *swept.items()]:
            check_no_secret(name, str(value))
    except UserError as error:
        print_error(error)
        raise SystemExit(error.code) from error


def write_sweep_leaderboard(folder: Path, tracking: Tracking, escape_formulas: bool) -> None:
    """Print, write and track the leaderboard of the sweep in folder, if any of its jobs began."""
    if not any(folder.rglob(".hydra/config.yaml")):
        return
    from src.leaderboard.comparison import compare
    from src.leaderboard.export import write_leaderboard
    from src.leaderboard.runs import read_runs

    comparison = compare(read_runs([folder]), None)
    write_leaderboard(comparison, folder, escape_formulas)
    if comparison.runs:
        from src.reporting.tracking import track_sweep

        track_sweep(comparison.table, tracking, folder)
