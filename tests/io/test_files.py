import os
import shutil
from unittest import mock

import numpy as np
import pytest

from src.errors import UserError
from src.io.files import atomic_write, create_npy


def test_a_file_appears_once_it_is_whole(tmp_path):
    path = tmp_path / "new" / "folder" / "file.txt"
    with atomic_write(path) as part:
        part.write_text("whole")
        assert part.parent == path.parent
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("a long one, from before")
    with atomic_write(path) as part:
        part.write_text("new")
        assert path.read_text() == "a long one, from before"
        written = part.stat().st_ino
    assert path.read_text() == "new"
    assert path.stat().st_ino == written  # renamed, not copied: there is no moment between


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_all_as_it_was(error, tmp_path):
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


@pytest.mark.parametrize("dtype", ["float32", "float16", [("name", "U12"), ("score", "f4")]])
@pytest.mark.parametrize("shape", [(3, 5), (7,), (0, 4)])
def test_create_npy_makes_a_file_that_numpy_reads(shape, dtype, tmp_path):
    with (tmp_path / "array.npy").open("w+b") as file:
        create_npy(file, shape, dtype)
    array = np.load(tmp_path / "array.npy")
    assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
    assert array.tobytes() == bytes(array.nbytes)


@pytest.mark.parametrize("reserve", [True, False])
def test_create_npy_says_where_the_rows_start(reserve, tmp_path, monkeypatch):
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
        pytest.raises(UserError, match=rf"^{tmp_path} has .* GB free, but 4000000.0 GB are needed"),
    ):
        create_npy(file, (10**6, 10**9), "float32")
