"""Workers need neither room in /dev/shm, nor a usable TMPDIR, nor many open files."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.config import Config
from src.embedding.shared_memory import Activity, BatchMemory
from src.runtime import devices
from tests.support.launchers import features_of, finished, options, run_alone
from tests.support.processes import ROOT, run_module

SHM = "mount -t tmpfs none /dev/shm"
MOUNTS = {
    "1 MB": f"{SHM} -o size=1m",
    "full": f"{SHM} -o size=4k && echo > /dev/shm/file",
    "read-only": f"{SHM} -o ro",
    # a /dev of three devices alone
    "absent": "mkdir all && mount --rbind /dev all && mount -t tmpfs none /dev &&"
    " for name in null zero urandom; do touch /dev/$name; mount --bind all/$name /dev/$name; done",
}
WORDS = ["data.workers=2", "data.batch_size=5"]


def words_of(paintings: Path, outputs: Path) -> list[str]:
    """Return the options of a run of three batches by two workers."""
    return [*options(paintings, outputs, 1), *WORDS]


def run_with_few_files(words: list[str], environment: dict[str, str]) -> None:
    """Run src.run with at most 64 open files."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    run_module("src.run", words, environment)


@pytest.fixture
def expected(cfg: Config, tmp_path: Path) -> np.ndarray:
    """Return the rows that the main process alone computes in the same batches."""
    from dataclasses import replace

    data = replace(cfg.data, batch_size=5, workers=0)
    run_alone(replace(cfg, data=data), tmp_path / "alone")
    return features_of(tmp_path / "alone")


@pytest.mark.parametrize("tmpdir", ["long", "missing", "a file"])
def test_workers_serve_the_same_bits_whatever_tmpdir_is(
    tmpdir, expected, paintings, fork, tmp_path
):
    folder = tmp_path / ("x" * 200)
    if tmpdir == "long":
        folder.mkdir()
    elif tmpdir == "a file":
        folder.touch()
    environment = dict(os.environ) | {"TMPDIR": str(folder)}
    run = fork(run_module, "src.run", words_of(paintings, tmp_path / "o"), environment)
    assert "Traceback" not in finished([run])
    np.testing.assert_array_equal(features_of(tmp_path / "o"), expected)


def test_workers_need_few_open_files(expected, paintings, fork, tmp_path):
    run = fork(run_with_few_files, words_of(paintings, tmp_path / "o"), dict(os.environ))
    finished([run])
    np.testing.assert_array_equal(features_of(tmp_path / "o"), expected)


@pytest.mark.slow
@pytest.mark.parametrize("mount", MOUNTS)
def test_workers_serve_the_same_bits_whatever_dev_shm_is(mount, expected, paintings, tmp_path):
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-m", "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("needs the right to make a mount namespace: unshare -m")
    python = [sys.executable, "-m", "src.run", *words_of(paintings, tmp_path / "o")]
    script = f'cd "{tmp_path}" && {MOUNTS[mount]} && cd "{ROOT}" && exec "$0" "$@"'
    command = [unshare, "-m", "sh", "-c", script, *python]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    told = "/dev/shm has no room for semaphores" in run.stdout + run.stderr
    assert told == (mount != "1 MB"), run.stdout + run.stderr
    np.testing.assert_array_equal(features_of(tmp_path / "o"), expected)


def test_an_unusable_dev_shm_is_an_obstacle(monkeypatch):
    assert devices.worker_obstacle(2) is None

    class Context:
        """A platform without semaphores."""

        def Lock(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(devices.multiprocessing, "get_context", lambda _: Context())
    assert devices.worker_obstacle(2) == (
        "/dev/shm has no room for semaphores (No space left on device)"
    )


def test_memory_and_activity_reach_the_parent_of_a_fork():
    memory, activity = BatchMemory(1, 3, 2), Activity()
    images = [np.full((2, 2, 3), value, np.uint8) for value in (7, 9)]
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with activity.decoding(4):
            pass
        entered = activity.decoding(6)
        entered.__enter__()
        memory.store([])
        os.write(writer, bytes(memory.store(images)))
        os._exit(0)
    os.waitpid(child, 0)
    assert (activity.finished(), activity.rows(), activity.rows(os.getpid())) == (1, [6], [])
    assert activity.rows(child) == [6]
    key = tuple(os.read(reader, 3))
    assert key == (0, 1, 2)
    np.testing.assert_array_equal(memory.load(key), np.stack(images))
