"""Run the project's commands in this process, as a process of their own would."""

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path
from unittest import mock
from weakref import WeakValueDictionary

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from src.cli import app

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command; fields as in subprocess.CompletedProcess."""

    returncode: int
    stdout: str
    stderr: str


def command(module: str, *words: str) -> CommandResult:
    """Run `python -m module words`, a Hydra command. Raises the exception of a bug."""
    out, err = StringIO(), StringIO()
    with ExitStack() as stack:
        stack.enter_context(restored_process_state())
        stack.enter_context(mock.patch.object(sys, "argv", [module, *words]))
        stack.enter_context(chdir(ROOT))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        try:
            code = app.command(import_module(module).main)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return CommandResult(code, out.getvalue(), err.getvalue())


@contextmanager
def restored_process_state() -> Iterator[None]:
    """Undo what a command sets for its whole process: logging, environment, Hydra, gc."""
    root, raising, thresholds = logging.getLogger(), logging.raiseExceptions, gc.get_threshold()
    handlers, level, root.handlers = root.handlers, root.level, []
    hydra, running = HydraConfig.instance().cfg, GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ))
        # Hydra makes logging close every handler it knows, those of pytest and absl included
        stack.enter_context(mock.patch.object(logging, "_handlers", WeakValueDictionary()))
        stack.enter_context(mock.patch.object(logging, "_handlerList", []))
        try:
            yield
        finally:
            for handler in root.handlers:
                if isinstance(handler, logging.FileHandler):
                    handler.close()
            root.handlers, logging.raiseExceptions = handlers, raising
            gc.set_threshold(*thresholds)
            root.setLevel(level)
            HydraConfig.instance().cfg, GlobalHydra.instance().hydra = hydra, running
