"""A run whose process is killed ends, and the next run resumes it."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from src.config.enums import Storage
from src.similarity.centering import Centered
from tests.support.launchers import (
    Started,
    assert_neighbors,
    by_lightning,
    by_torchrun,
    features_of,
    options,
    run_alone,
)
from tests.support.processes import (
    wait_for_line,
)


def killed_run(processes: list[Started], pid_file: Path) -> str:
    """Kill the held process once it waits; return what the run printed until all ended."""
    (command,) = processes
    held = int(wait_for_line(pid_file, lambda: command.poll() is None))
    os.kill(held, signal.SIGKILL)
    printed, _ = command.communicate(timeout=60)
    assert command.returncode != 0, printed
    return printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "size", "killed", "storage"),
    [(by_lightning, 2, 1, Storage.full), (by_torchrun, 3, 0, Storage.topk)],
)
def test_if_a_process_is_killed_the_run_ends_and_the_next_run_resumes(
    launcher,
    size,
    killed,
    storage,
    cfg,
    paintings,
    tmp_path,
    fork,
    monkeypatch,
):
    outputs, pid_file = tmp_path / "o", tmp_path / "pid"
    words = [*options(paintings, outputs, size), f"similarity={storage.name}"]
    held = {"HELD": killed, "TILE": 5, "PID_FILE": pid_file}  # of 7 or 10
    printed = killed_run(launcher(fork, "tests.support.held_run", size, words, **held), pid_file)
    assert not list(outputs.glob("runs/*/*/neighbors.npz"))
    tile, computed = Centered.tile, []
    monkeypatch.setattr(Centered, "tile", lambda *a: computed.append(a) or tile(*a))
    folder = run_alone(cfg, outputs, storage=storage)
    assert 0 < len(computed) < 21, printed  # of the 21 tiles of 6 blocks
    monkeypatch.undo()
    assert_neighbors(folder, features_of(outputs))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "size", "killed"), [(by_lightning, 2, 1), (by_torchrun, 2, 0)]
)
def test_if_a_process_is_killed_embedding_ends_and_the_next_run_resumes(
    launcher,
    size,
    killed,
    cfg,
    paintings,
    fork,
    tmp_path,
):
    outputs, pid_file = tmp_path / "o", tmp_path / "pid"
    held = {"HELD": killed, "BATCH": 3, "PID_FILE": pid_file}  # of 6
    started = launcher(
        fork, "tests.support.held_run", size, options(paintings, outputs, size), **held
    )
    killed_run(started, pid_file)
    folder = run_alone(cfg, outputs)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert size <= metrics["resumed_rows"] < 12
    assert metrics["resumed_rows"] + metrics["embedded_rows"] == 12
    run_alone(cfg, tmp_path / "one")
    expected = features_of(tmp_path / "one")
    np.testing.assert_allclose(features_of(outputs), expected, rtol=1e-6, atol=1e-6)
