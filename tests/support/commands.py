"""The project's commands in this process, as a process of their own would run them."""

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

# what runs import when they need it, here so that no test's own time has it
from src.cli import app

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """What a command leaves to whoever called it; named as in subprocess.CompletedProcess."""

    returncode: int
    stdout: str
    stderr: str


def command(module: str, *words: str) -> Ended:
    """Run python -m module, a Hydra command, with these words; a bug's exception is raised."""
    out, err = StringIO(), StringIO()
    with ExitStack() as stack:
        stack.enter_context(undone())
        stack.enter_context(mock.patch.object(sys, "argv", [module, *words]))
        stack.enter_context(chdir(ROOT))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        try:
            code = app.command(import_module(module).main)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Ended(code, out.getvalue(), err.getvalue())


@contextmanager
def undone() -> Iterator[None]:
    """Undo what a command sets for its whole process: logging, the environment, Hydra."""
    root, raising, collect = logging.getLogger(), logging.raiseExceptions, gc.get_threshold()
    handlers, level, root.handlers = root.handlers, root.level, []
    hydra, running = HydraConfig.instance().cfg, GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ))
        # Hydra has logging close all handlers that it knows of, pytest's and absl's among them
        stack.enter_context(mock.patch.object(logging, "_handlers", WeakValueDictionary()))
        stack.enter_context(mock.patch.object(logging, "_handlerList", []))
        try:
            yield
        finally:
            for handler in root.handlers:
                if isinstance(handler, logging.FileHandler):
                    handler.close()
            root.handlers, logging.raiseExceptions = handlers, raising
            gc.set_threshold(*collect)
            root.setLevel(level)
            HydraConfig.instance().cfg, GlobalHydra.instance().hydra = hydra, running
