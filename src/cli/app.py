"""The command line around Hydra: the schema, the conversion of options, exit codes."""

import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from src.cli.help import SOURCES, help_page
from src.cli.messages import user_message
from src.cli.refused import discard_run_folder
from src.cli.sweep_callback import Sweep
from src.config import Config
from src.errors import UserError
from src.runtime.launch import is_first, started

log = logging.getLogger(__name__)

# When to look for garbage. Imports make some 300,000 objects that stay; looking through them after
# every 700 new ones, as Python does, takes 0.4 s of a cached run's 4.8
COLLECT = (20_000, 50, 50)
# The processes of a run but the first have no folder and no log of their own.
NON_ZERO_RANK_OVERRIDES = [
    "hydra.run.dir=${outputs}",
    "hydra.output_subdir=null",
    "hydra/job_logging=stdout",
]


def register() -> None:
    """Tell Hydra the schema and the text of --help."""
    store = ConfigStore.instance()
    store.store(group="schema", name="config", node=Config, package="_global_")
    for name, source in SOURCES.items():
        store.store(group="schema/data", name=name, node=source)
    page = {"app_name": "src.run", "header": "", "footer": "", "template": help_page()}
    store.store(group="hydra/help", name="options", node=page)


def to_config(overrides: DictConfig) -> Config:
    """The composed options as dataclasses, checked. Raises UserError."""
    for override in HydraConfig.get().overrides.task:
        if override.startswith(("+", "~")):
            raise UserError(f"{override}: options are changed by name=value, not added or removed")
    cfg = cast(Config, OmegaConf.to_object(overrides))
    if HydraConfig.get().mode is RunMode.MULTIRUN and cfg.trainer.processes > 1 and not started():
        raise UserError(
            "a job of a sweep cannot start processes: leave trainer.devices at 1, or let Slurm"
            " start them with hydra/launcher=submitit_slurm"
            f" hydra.launcher.tasks_per_node={cfg.trainer.devices}"
        )
    return cfg


class _Abort(BaseException):
    """Past Hydra's own handler, which prints a line of its own for every Exception."""


@contextmanager
def report_user_errors() -> Iterator[None]:
    """Inside a job: what a user can mend goes to the screen and run.log as one line."""
    try:
        yield
    except Exception as error:
        text, alone = user_message(error), HydraConfig.get().mode is RunMode.RUN
        if text is None and alone:
            raise
        # what the file system refuses comes at any time, all other errors tell
        at_work = error.at_work if isinstance(error, UserError) else isinstance(error, OSError)
        if text is not None and not at_work:
            discard_run_folder()
        log.error("error: %s", text or f"{type(error).__name__}: {error}")
        if alone:
            raise _Abort from error
        raise  # in a sweep the jobs after this one still run or not as the launcher decides


def command(main: Callable[[], None]) -> int:
    """Run a Hydra main; the exit code. No traceback for what a user can mend."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors arrive here instead of being printed
    logging.raiseExceptions = False  # a run.log that cannot be written says so once, below
    gc.set_threshold(*COLLECT)
    if not is_first():
        sys.argv += NON_ZERO_RANK_OVERRIDES
    try:
        try:
            main()
        finally:
            Sweep.compare()
    except _Abort as refused:
        return getattr(refused.__cause__, "code", 2)
    except KeyboardInterrupt:
        if is_first():
            print("stopped", file=sys.stderr)
        return 130
    except Exception as error:
        text = user_message(error)
        if text is None:
            raise
        print(f"error: {text}", file=sys.stderr)
        return getattr(error, "code", 2)
    return 0
