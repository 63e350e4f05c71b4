"""Removal of the folder of a run that was refused before any work was done."""

import re
import shutil
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from src.runtime.launch import is_first

NAME = re.compile(r"\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d-\d{6}")  # of configs/run.yaml, date and time


def discard_run_folder() -> None:
    """Delete this run's folder, and those above it that it leaves empty, up to outputs.

    Only a folder that Hydra has made for this run: not that of a sweep, which lists its jobs, nor
    one that the user has named with hydra.run.dir, which may hold more.
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    named = any(word.lstrip("+~").startswith("hydra.run.dir") for word in hydra.overrides.hydra)
    own = NAME.fullmatch("/".join(folder.parts[-2:]))
    if hydra.mode is not RunMode.RUN or named or not own or not is_first():
        return
    shutil.rmtree(folder)
    for parent in (folder.parent, folder.parent.parent):
        if any(parent.iterdir()):
            return
        parent.rmdir()
