"""The command line around Hydra: the schema registered, --help, and errors of one line."""

import errno
import gc
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from textwrap import wrap
from typing import Any, cast, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.checks import UserError, near
from src.config import Config
from src.launch import is_first, started
from src.refused import discard_run_folder
from src.sources import Demo, Folder, Nga
from src.sweep import Sweep

log = logging.getLogger(__name__)

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
SOURCES = {"nga": Nga, "folder": Folder, "demo": Demo}
# What a file system says of places that cannot be written
PLACES = {
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.EFBIG, errno.EIO, errno.ENOLCK, errno.ENOSYS),
}
# When to look for garbage. Imports make some 300,000 objects that stay; looking through them after
# every 700 new ones, as Python does, takes 0.4 s of a cached run's 4.8
COLLECT = (20_000, 50, 50)
LOOK_IT_UP = "python -m src.run --help lists the options"
# The processes of a run but the first have no folder and no log of their own.
FOLLOWER = ["hydra.run.dir=${outputs}", "hydra.output_subdir=null", "hydra/job_logging=stdout"]


def register() -> None:
    """Tell Hydra the schema and the text of --help."""
    store = ConfigStore.instance()
    store.store(group="schema", name="config", node=Config, package="_global_")
    for name, source in SOURCES.items():
        store.store(group="schema/data", name=name, node=source)
    page = {"app_name": "src.run", "header": "", "footer": "", "template": help_page()}
    store.store(group="hydra/help", name="options", node=page)


def typed(overrides: DictConfig) -> Config:
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


class _Refused(BaseException):
    """Past Hydra's own handler, which prints a line of its own for every Exception."""


@contextmanager
def refusals() -> Iterator[None]:
    """Inside a job: what a user can mend goes to the screen and run.log as one line."""
    try:
        yield
    except Exception as error:
        text, alone = one_line(error), HydraConfig.get().mode is RunMode.RUN
        if text is None and alone:
            raise
        # what the file system refuses comes at any time, all other errors tell
        at_work = error.at_work if isinstance(error, UserError) else isinstance(error, OSError)
        if text is not None and not at_work:
            discard_run_folder()
        log.error("error: %s", text or f"{type(error).__name__}: {error}")
        if alone:
            raise _Refused from error
        raise  # in a sweep the jobs after this one still run or not as the launcher decides


def command(main: Callable[[], None]) -> int:
    """Run a Hydra main; the exit code. No traceback for what a user can mend."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors arrive here instead of being printed
    logging.raiseExceptions = False  # a run.log that cannot be written says so once, below
    gc.set_threshold(*COLLECT)
    if not is_first():
        sys.argv += FOLLOWER
    try:
        try:
            main()
        finally:
            Sweep.compare()
    except _Refused as refused:
        return getattr(refused.__cause__, "code", 2)
    except KeyboardInterrupt:
        if is_first():
            print("stopped", file=sys.stderr)
        return 130
    except Exception as error:
        text = one_line(error)
        if text is None:
            raise
        print(f"error: {text}", file=sys.stderr)
        return getattr(error, "code", 2)
    return 0


def one_line(error: Exception) -> str | None:
    """What is wrong and the way out, or None for an error that is a bug.

    Hydra's own messages span lines and advise what is refused here (+name=value).
    """
    if isinstance(error, UserError):
        return str(error)
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return _about_files(error) if isinstance(error, OSError) else None
    if isinstance(error, OverrideParseException) or "Ambiguous value" in str(error):
        override = getattr(error, "override", None) or str(error).split("'")[1]
        name, _, value = override.partition("=")
        return f"cannot read {override}: write name=value, quoted like this: '{name}=\"{value}\"'"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    text = " ".join(
        re.split(r"\n\s+full_key|\nSee https|Config search path", str(cause))[0].split()
    )
    if named := re.search(r"Could not override '([^']+)'|full_key: (\S+)", f"{error}\n{cause}"):
        return _about_option(named[1] or named[2], text)
    if choice := re.search(
        r"Could not find '([^']+)/([^']+)' Available options in '.*': (.*)", text
    ):
        return f"{choice[1]}={choice[2]}: choose one of {', '.join(choice[3].split())}"
    return text


def _about_files(error: OSError) -> str | None:
    # numpy says "240 requested and 76 written" where the disk is full
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or " requested and " in str(error):
        return f"the disk is full ({error}): free some space and start again"
    if error.errno in PLACES:
        return f"cannot write {error.filename} ({error.strerror}): choose another outputs=<folder>"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{error.strerror}: raise it with ulimit -n, or lower download.workers"
    return None


def _about_option(name: str, text: str) -> str:
    if re.search(r"Key '.*' (is )?not in|No match in the defaults list", text):
        owners = [source for source, option, *_ in source_options() if option == name]
        if owners:
            return f"{name} is an option of data={owners[0]}: add data={owners[0]}"
        return f"there is no option {name}{near(name, known())}; {LOOK_IT_UP}"
    if variable := re.search(r"variable '(SLURM_\w+)' not found", text):
        return (
            f"trainer=slurm is for processes that srun starts, with --nodes and --ntasks-per-node:"
            f" {variable[1]} is not set"
        )
    if "missing mandatory value" in text:
        return f"{name} is required: add {name}=<value>; {LOOK_IT_UP}"
    if "is not a ListConfig" in text:
        return f"{name} takes a list: {name}=[a,b]"
    return f"{name}: {text}"


def known() -> set[str]:
    """The names of all options and groups."""
    groups = {path.name for path in CONFIGS.iterdir() if path.is_dir()}
    return groups | {o[0] for o in options(Config)} | {o[1] for o in source_options()}


def options(schema: type, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Every option below a dataclass: name, values, default, what it is."""
    hints = get_type_hints(schema)
    for option in fields(schema):
        name, hint = prefix + option.name, hints[option.name]
        if is_dataclass(hint):
            yield from options(cast(type, hint), f"{name}.")
        else:
            made = option.default_factory
            default = made() if callable(made) else option.default
            yield name, _values(hint), _plain(default), option.metadata.get("help", "")


def source_options() -> Iterator[tuple[str, str, str, str, str]]:
    """The options of data that only one source has: source, name, values, default, what it is."""
    common = {option.name for option in fields(SOURCES["demo"])}
    for source, schema in SOURCES.items():
        for name, values, default, text in options(schema, "data."):
            if name.removeprefix("data.") not in common:
                yield source, name, values, default, text


def _values(hint: Any) -> str:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " | ".join(hint.__members__)
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("None", "null")


def _plain(value: Any) -> str:
    if isinstance(value, Enum):
        return value.name
    return "required" if value == MISSING else "null" if value is None else str(value)


def help_page() -> str:
    """The text of --help: commands, groups, then every option with its values and default."""
    groups = [
        f"  {folder.name:<12}{', '.join(sorted(path.stem for path in folder.glob('*.yaml')))}"
        for folder in sorted(CONFIGS.iterdir())
        if folder.is_dir() and folder.name != "hydra"
    ]
    rows = list(options(Config))
    at = 1 + max(i for i, row in enumerate(rows) if row[0].startswith("data."))
    lines = []
    own = [
        (name, *rest, f"data={source}: {text}") for source, name, *rest, text in source_options()
    ]
    for name, values, default, text in [*rows[:at], *own, *rows[at:]]:
        lines.append(f"  {name} = {default}    [{values}]")
        lines += wrap(text, 92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(
        [
            "Compare every painting with every other:  python -m src.run [option=value ...]",
            "",
            "  python -m src.run experiment=demo                         no network needed",
            "  python -m src.run data=folder data.images=my/paintings    your own images",
            "  python -m src.run                                         the National Gallery",
            "  python -m src.download                                    its images only",
            "  python -m src.run -m similarity.top_k=5,10,20             a sweep",
            "  python -m src.leaderboard                                 its runs compared",
            "  python -m src.dashboard                                   all runs in TensorBoard",
            "",
            "Groups (group=choice), files in configs/:",
            *groups,
            "",
            "Options (name = default    [values]):",
            *lines,
            "",
            "--cfg job prints the options in force; --hydra-help lists Hydra's own flags.",
        ]
    )
