"""Runs of wandb: their mode, their folders, and errors of one line. wandb is imported late."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.config import Tracking
from src.config.addresses import HIDDEN, redacted
from src.config.enums import WandbMode
from src.errors import UserError
from src.reporting.text import as_utf8

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

# What WANDB_MODE asks for; wandb reads dryrun as offline, and run as online
MODES = {
    **dict.fromkeys(["", "online", "run", "shared"], WandbMode.online),
    **dict.fromkeys(["offline", "dryrun"], WandbMode.offline),
    "disabled": WandbMode.off,
}
STRICTEST_FIRST = [WandbMode.off, WandbMode.offline, WandbMode.online]
# Folders that wandb fills besides the run's. Its defaults in the user's home are never cleaned up,
# and the home of a batch job may be read-only.
FOLDERS = {"WANDB_DATA_DIR": "data", "WANDB_CACHE_DIR": "cache"}


def wandb_mode(options: Tracking) -> WandbMode:
    """Return the mode of wandb: that of the options, or a stricter one of the environment.

    WANDB_DISABLED and WANDB_MODE can turn wandb off or keep it offline, never send more than the
    options ask for. Raises UserError if WANDB_MODE is none of wandb's modes.
    """
    if options.wandb is WandbMode.off:
        return options.wandb
    if os.environ.get("WANDB_DISABLED", "").lower() not in ("", "0", "false", "no", "off"):
        return WandbMode.off
    asked = os.environ.get("WANDB_MODE", "")
    if asked not in MODES:
        raise UserError(
            f"WANDB_MODE={asked}: choose one of online, offline, disabled, or unset it;"
            " tracking=off needs no wandb"
        )
    return min(options.wandb, MODES[asked], key=STRICTEST_FIRST.index)


def check_wandb(options: Tracking, folder: Path) -> None:
    """Raise UserError if wandb cannot use a run's folder, or the environment's mode or folders."""
    if wandb_mode(options) is WandbMode.off:
        return
    if as_utf8(str(folder)) != str(folder):
        raise UserError(
            f"the name of the folder {folder} is not UTF-8: wandb needs another outputs=<folder>,"
            " or choose tracking.wandb=off"
        )
    for name in FOLDERS:
        if named := os.environ.get(name):
            try:
                Path(named).mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=named).close()
            except OSError as error:
                raise UserError(
                    f"{name}={named} cannot be written ({error.strerror}): unset it, or name"
                    " another folder"
                ) from error


@contextmanager
def wandb_run(
    options: Tracking, folder: Path, settings: dict[str, Any], sweep: Path | None
) -> Iterator["wandb.Run | None"]:
    """Yield a wandb run, None if wandb is off. Its exit code is 1 if the block raises.

    The block's exception is raised even if wandb cannot be closed: a scheduler that ends a job
    signals wandb's service too, and the exception may be how the job is to be started again.
    """
    mode = wandb_mode(options)
    if mode is not options.wandb:
        log.info("tracking: wandb is %s, as the environment asks", mode.value)
    if mode is WandbMode.off:
        yield None
        return
    with _own_folders(folder):
        run = _start(mode, options.project, folder, settings, sweep)
        try:
            yield run
        except BaseException:
            try:
                _finish(run, mode, 1)
            except Exception as error:
                log.warning("tracking: wandb could not be closed: %s", error)
            raise
        _finish(run, mode, 0)


def _finish(run: "wandb.Run", mode: WandbMode, exit_code: int) -> None:
    if mode is WandbMode.online:
        log.info("tracking: waiting until wandb has uploaded everything")
    run.finish(exit_code=exit_code)


@contextmanager
def _own_folders(folder: Path) -> Iterator[None]:
    """Give wandb folders below the run's, except for those that the environment names."""
    own = folder.resolve() / "wandb"
    set_here = {name: str(own / sub) for name, sub in FOLDERS.items() if not os.environ.get(name)}
    before = {name: os.environ.get(name) for name in set_here}
    os.environ.update(set_here)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _start(
    mode: WandbMode, project: str, folder: Path, settings: dict[str, Any], sweep: Path | None
) -> "wandb.Run":
    """Start a run of wandb. Raises UserError if wandb rejects its environment or has no key."""
    _import_wandb(folder)
    import wandb

    if mode is WandbMode.online:
        log.info("tracking: connecting to wandb")
    try:
        return wandb.init(
            project=as_utf8(project),
            mode=mode.value,  # type: ignore[arg-type]
            dir=folder,
            name=_display_name(folder, settings, sweep),
            group=as_utf8("/".join(sweep.parts[-2:])) if sweep else None,
            job_type="leaderboard" if folder == sweep else "run",
            config=settings,
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                x_disable_meta=True,  # it holds the command line, with download.contact
                init_timeout=60,
            ),
        )
    except wandb.errors.Error as error:
        reason = _public(str(error).splitlines()[0])
        if mode is not WandbMode.online:  # no key is needed, so it is a setting such as the project
            raise UserError(f"wandb rejects its settings: {reason}") from error
        raise UserError(
            f"tracking=online: {reason} Set WANDB_API_KEY or run `wandb login`; tracking=local"
            " needs no account, and `wandb sync` uploads its runs later"
        ) from error
    except ValueError as error:  # a setting that WANDB_<NAME> gives no valid value
        reason = _public(" ".join(str(error).split()))
        raise UserError(f"wandb rejects its settings in the environment: {reason}") from error


def _display_name(folder: Path, settings: dict[str, Any], sweep: Path | None) -> str:
    """Return the name of a run, with the settings that differ if it is the job of a sweep."""
    from src.reporting.run_folder import RunFolder  # import pandas, which takes a while
    from src.reporting.run_names import job_name

    if sweep is None or folder == sweep:
        return as_utf8("/".join(folder.parts[-2:]))
    return job_name(sweep, folder.name, RunFolder(folder).overrides(), settings)


def _public(text: str) -> str:
    """Return the text of an error without the API key and the secrets of addresses."""
    key = os.environ.get("WANDB_API_KEY")
    return redacted(text.replace(key, HIDDEN) if key else text)


def _import_wandb(folder: Path) -> None:
    """Import wandb, which makes temporary folders as it is imported: below the run's folder.

    They are removed when this process ends. After a kill they stay, and go with the run.
    """
    own = folder.resolve() / "wandb"
    own.mkdir(parents=True, exist_ok=True)
    before, tempfile.tempdir = tempfile.tempdir, str(own)
    try:
        import wandb.sdk.artifacts.artifact  # noqa: F401
    finally:
        tempfile.tempdir = before
