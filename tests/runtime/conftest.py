"""Fixtures of the runtime's tests: no variables of a launcher, no process left running."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.launchers import COMMANDS

LAUNCHER_ENV = (
    "RANK",
    "LOCAL_RANK",
    "NODE_RANK",
    "GROUP_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "OMPI_COMM_WORLD_SIZE",
    "PMI_SIZE",
    "MASTER_",
    "SLURM_",
)


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables of a cluster job that the tests themselves may run in."""
    for name in os.environ:
        if name.startswith((*LAUNCHER_ENV, "TORCHELASTIC_")):
            monkeypatch.delenv(name)


@pytest.fixture
def installed_srun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a command called srun on the PATH, as on the login node of a cluster."""
    srun = tmp_path / "slurm" / "bin" / "srun"
    srun.parent.mkdir(parents=True)
    srun.write_text("#!/bin/sh\nexit 1\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{srun.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    """Kill the commands that a test has started, and their children."""
    yield
    for process in COMMANDS:
        if process.poll() is None:
            for running in [*psutil.Process(process.pid).children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    running.kill()
            process.communicate()
    COMMANDS.clear()
