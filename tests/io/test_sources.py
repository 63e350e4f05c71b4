"""Files that users name: pipes, devices, folders and huge ones are refused at once."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from src.errors import UserError
from src.io.sources import open_source
from src.io.spreadsheets import read_spreadsheet
from src.io.tables import check_header, read_columns


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as here:
        here.bind(os.path.relpath(path))  # a path of at most 107 bytes


MAKERS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "link to a pipe": lambda path: (os.mkfifo(f"{path}.pipe"), path.symlink_to(f"{path}.pipe"))[1],
}
READERS = {
    "header": lambda path: check_header(path, ["a"]),
    "columns": lambda path: read_columns(path, ["a"]),
    "labels": lambda path: read_spreadsheet(path, "file"),
}


@pytest.mark.timeout(20)  # a pipe that is opened waits for its writer
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_is_no_regular_file_is_refused(
    tmp_path: Path, make: Callable[[Path], None], read: Callable[[Path], object]
) -> None:
    make(tmp_path / "table.csv")
    with pytest.raises(UserError, match=r"table\.csv is not a regular file, but a folder, a pipe"):
        read(tmp_path / "table.csv")


def test_a_socket_and_a_circle_of_links_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listen(tmp_path / "socket")
    (tmp_path / "circle").symlink_to("circle")
    for name in ("socket", "circle"):
        with pytest.raises(UserError, match=f"{name} cannot be read: "):
            open_source(tmp_path / name, 1)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_huge_file_is_refused_before_it_is_read(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    (tmp_path / "table.csv").write_bytes(b"a,b\n")
    os.truncate(tmp_path / "table.csv", 10**10)
    with pytest.raises(UserError, match=r"has 10\.0 GB, but at most .* MB are read"):
        read(tmp_path / "table.csv")


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "table.csv").symlink_to("real.csv")
    assert len(read_columns(tmp_path / "table.csv", ["a"])[0]) == 1
    with open_source(tmp_path / "table.csv", 8) as file:
        assert file.read() == b"a,b\n1,2\n"
