import fcntl
import logging
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from src.errors import UserError
from src.io.files import atomic_write, create_npy, folder_lock

ROOT = Path(__file__).resolve().parents[2]
LOCKED = """
import os, sys, time
from pathlib import Path
from src.io.files import folder_lock
folder, ends = Path(sys.argv[1]), sys.argv[2] == "ends"
with folder_lock(folder):
    if not os.fork():  # a child, which ends here or lives on
        if ends:
            sys.exit()
        print("locked", flush=True)  # only the child knows that it has let go of the lock
        time.sleep(5)
        os._exit(0)
    if ends:
        os.wait()
        print("locked", flush=True)
    time.sleep(60)
"""


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "folder" / "file.txt"
    with atomic_write(path) as part:
        part.write_text("whole")
        assert part.parent == path.parent
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_replaced_atomically(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("a long one, from before")
    with atomic_write(path) as part:
        part.write_text("new")
        assert path.read_text() == "a long one, from before"
        written = part.stat().st_ino
    assert path.read_text() == "new"
    assert path.stat().st_ino == written  # renamed, not copied: there is no moment between


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(error, tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(error), atomic_write(path) as part:
        part.write_text("half")
        raise error
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "file.txt"):
        pass
    assert not list(tmp_path.iterdir())


def test_two_threads_may_write_one_file_at_once(tmp_path):
    path = tmp_path / "file.txt"
    with atomic_write(path) as first:
        first.write_text("first")
        with atomic_write(path) as second:  # as another thread would: nothing here waits
            second.write_text("second")
            assert first.read_text() == "first"
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("dtype", ["float32", "float16", [("name", "U12"), ("score", "f4")]])
@pytest.mark.parametrize("shape", [(3, 5), (7,), (0, 4)])
def test_create_npy_makes_a_file_that_numpy_reads(shape, dtype, tmp_path):
    with (tmp_path / "array.npy").open("w+b") as file:
        create_npy(file, shape, dtype)
    array = np.load(tmp_path / "array.npy")
    assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
    assert array.tobytes() == bytes(array.nbytes)


@pytest.mark.parametrize("reserve", [True, False])
def test_create_npy_returns_the_offset_of_the_rows(reserve, tmp_path, monkeypatch):
    if not reserve:  # as on macOS
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    array = np.arange(12, dtype="f4").reshape(3, 4)
    with (tmp_path / "array.npy").open("w+b") as file:
        start = create_npy(file, (3, 4), "float32")
        assert os.fstat(file.fileno()).st_size == start + array.nbytes
        file.seek(start)
        file.write(array.tobytes())
    np.testing.assert_array_equal(np.load(tmp_path / "array.npy"), array)


def test_create_npy_fills_the_disk_to_the_last_byte_but_no_further(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: mock.Mock(free=47))
    with (tmp_path / "array.npy").open("w+b") as file:
        create_npy(file, (47,), "uint8")
        with pytest.raises(UserError, match="has 47 bytes free, but 48 bytes are needed"):
            create_npy(file, (3, 4), "float32")


def test_create_npy_names_the_folder_and_both_sizes(tmp_path):
    with (
        (tmp_path / "array.npy").open("w+b") as file,
        pytest.raises(
            UserError, match=rf"^{tmp_path} has [\d.]+ [GT]B free, but 4.0 PB are needed"
        ),
    ):
        create_npy(file, (10**6, 10**9), "float32")


def test_one_thread_at_a_time_locks_a_folder_and_others_log_that_they_wait(tmp_path, caplog):
    is_waiting, order = threading.Event(), []

    def second():
        with folder_lock(tmp_path):
            order.append("second")

    def announce(record):
        is_waiting.set()
        return True

    log = logging.getLogger("src.io.files")
    thread = threading.Thread(target=second)
    with caplog.at_level(logging.INFO), folder_lock(tmp_path):
        log.addFilter(announce)
        thread.start()
        assert is_waiting.wait(60)
        order.append("first")
    thread.join()
    log.removeFilter(announce)
    assert order == ["first", "second"]
    assert caplog.messages == [f"{tmp_path} is locked by another process; waiting"]


@contextmanager
def locked(folder, child):
    """Lock a folder in a process that has forked a child, which "ends" or "lives" on."""
    command = [sys.executable, "-c", LOCKED, str(folder), child]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_kill_ends_a_lock_though_a_child_of_the_process_lives_on(tmp_path, caplog):
    """Workers that read images are forked from the process that holds the lock."""
    with locked(tmp_path, "lives") as process:
        process.kill()
        process.wait()
        with caplog.at_level(logging.INFO), folder_lock(tmp_path):
            assert not caplog.messages


def test_the_end_of_a_child_does_not_end_the_lock(tmp_path):
    with (
        locked(tmp_path, "ends"),
        (tmp_path / ".lock").open("a") as file,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
