"""The command line around Hydra: the schema, the conversion of options, exit codes."""

import gc
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import cast

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from src.cli.flags import refuse_flags
from src.cli.help import help_page
from src.cli.messages import user_message
from src.cli.sweep_callback import current_sweep, write_sweep_leaderboard
from src.config import Config
from src.config.addresses import check_no_secret, redacted
from src.config.sources import SOURCES
from src.config.validation import expand_home
from src.errors import UserError
from src.runtime.environment import is_rank_zero, launched_world_size
from src.runtime.streams import print_error, protect_streams

log = logging.getLogger(__name__)

# Imports create some 300,000 objects that are never freed. By default Python scans young objects
# after every 700 allocations, which takes 0.4 s of the 4.8 s of a cached run.
GC_THRESHOLDS = (20_000, 50, 50)
# Only rank 0 creates a run folder and a log file.
NON_ZERO_RANK_OVERRIDES = [
    'hydra.run.dir="${home:${outputs}}"',
    "hydra.output_subdir=null",
    "hydra/job_logging=console",
]
RUN_FOLDER = re.compile(r"\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d-\d{6}")  # hydra.run.dir of run.yaml


# When this module is imported, because a launcher's worker process resolves the folders of runs
OmegaConf.register_new_resolver("home", expand_home, replace=True)


def register() -> None:
    """Register the schema and the text of --help with Hydra."""
    store = ConfigStore.instance()
    store.store(group="schema", name="config", node=Config, package="_global_")
    for name, source in SOURCES.items():
        store.store(group="schema/data", name=name, node=source)
    page = {"app_name": "src", "header": "", "footer": "", "template": help_page()}
    store.store(group="hydra/help", name="options", node=page)


def to_config(composed: DictConfig) -> Config:
    """Return the composed options as validated dataclasses. Raises UserError if one is invalid."""
    for override in HydraConfig.get().overrides.task:
        if override.startswith(("+", "~")):
            raise UserError(
                f"{override}: set options with name=value; they cannot be added (+) or removed (~)"
            )
    cfg = cast(Config, OmegaConf.to_object(composed))
    is_sweep = HydraConfig.get().mode is RunMode.MULTIRUN
    if is_sweep and cfg.trainer.world_size > 1 and not launched_world_size():
        raise UserError(
            "a job of a sweep cannot launch processes: keep trainer.devices=1, or let Slurm launch"
            " them with hydra/launcher=submitit_slurm"
            f" hydra.launcher.tasks_per_node={cfg.trainer.devices}"
        )
    return cfg


class _Abort(BaseException):
    """Derives from BaseException to bypass Hydra's handler, which prints every Exception itself."""


@contextmanager
def report_user_errors() -> Iterator[None]:
    """Log user errors of a job as one line, on the terminal and in run.log.

    Deletes the run folder of a job that failed before work had begun. In a sweep the error is
    raised again, so that the launcher decides whether the remaining jobs run.
    """
    protect_streams()  # a launcher's worker process has its own
    os.chdir(HydraConfig.get().runtime.cwd)  # also with hydra.job.chdir=true, for relative paths
    try:
        yield
    except Exception as error:
        text, is_sweep = user_message(error), HydraConfig.get().mode is not RunMode.RUN
        if text is None and not is_sweep:
            raise
        # file system errors may occur after work has begun, so they keep the folder
        keep = error.keep_run_folder if isinstance(error, UserError) else isinstance(error, OSError)
        if text is not None and not keep:
            discard_run_folder()
        log.error("error: %s", text or redacted(f"{type(error).__name__}: {error}"))
        if is_sweep:
            raise
        raise _Abort from error


def discard_run_folder() -> None:
    """Delete the folder of this run, and its parents up to outputs that become empty.

    Only a folder that Hydra has created for this run is deleted: not that of a sweep's job, which
    the leaderboard lists, nor one named with hydra.run.dir, which may hold other files.
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    is_custom = any(o.lstrip("+~").startswith("hydra.run.dir") for o in hydra.overrides.hydra)
    is_ours = RUN_FOLDER.fullmatch("/".join(folder.parts[-2:]))
    if hydra.mode is not RunMode.RUN or is_custom or not is_ours or not is_rank_zero():
        return
    shutil.rmtree(folder)
    for parent in (folder.parent, folder.parent.parent):
        if any(parent.iterdir()):
            return
        parent.rmdir()


def command(main: Callable[[], None]) -> int:
    """Run a Hydra main and return the exit code; user errors are printed without a traceback.

    Meant to be called once per process: it sets HYDRA_FULL_ERROR, logging.raiseExceptions, the
    thresholds of the garbage collector, and in sys.argv the order of the words and, on ranks other
    than 0, further overrides.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors are raised here instead of printed by Hydra
    logging.raiseExceptions = False  # an unwritable run.log is reported once, below
    gc.set_threshold(*GC_THRESHOLDS)
    sys.argv[1:] = flags_first(sys.argv[1:])
    if not is_rank_zero():
        sys.argv += NON_ZERO_RANK_OVERRIDES
    context = copy_context()
    try:
        try:
            refuse_secrets(sys.argv[1:])
            refuse_flags(sys.argv[1:])
            context.run(main)
        finally:
            if sweep := context.get(current_sweep):  # whether its jobs succeeded or not
                write_sweep_leaderboard(*sweep)
    except _Abort as abort:
        return _exit_code(abort.__cause__)
    except KeyboardInterrupt:
        if is_rank_zero():
            print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        text = user_message(error)
        if text is None:
            raise
        print_error(text)
        return _exit_code(error)
    return 0


def refuse_secrets(words: list[str]) -> None:
    """Raise UserError if an override holds a secret: Hydra would store it with the run."""
    for word in words:
        name, _, value = word.partition("=")
        check_no_secret(name.lstrip("+~"), value)


def flags_first(words: list[str]) -> list[str]:
    """Return the words of a command line with the overrides last, each kind in its order.

    Hydra's parser rejects overrides behind a flag that stands behind an override.

    >>> flags_first(["data=demo", "-m", "seed=1,2", "--cfg", "job"])
    ['-m', '--cfg', 'job', 'data=demo', 'seed=1,2']
    """
    return sorted(words, key=lambda word: word.startswith("~") or word[:1] != "-" and "=" in word)


def _exit_code(error: BaseException | None) -> int:
    return error.code if isinstance(error, UserError) else UserError.code
