"""What another user of a shared folder plants in outputs/ is not written through."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.downloader.downloader import Arrival
from src.downloader.images import ImageDownloader, remove_partial_files
from src.downloader.journal import open_journal, read_journal
from src.embedding.row_files import DoneRows
from src.errors import UserError
from src.io.arrays import map_npy
from src.io.files import (
    append_durably,
    atomic_write,
    folder_lock,
    open_to_write,
    temporary_name,
)
from src.runtime.processes import SINGLE_PROCESS
from src.runtime.resume import DoneTiles, begin_or_resume, read_record
from src.similarity.checkpoint import _locked_folder

NO_PID = 2**22  # above those that a system gives
SECRET = "a file elsewhere, line 1\nline 2 without an end"
Plant = Callable[[Path], None]


@dataclass(frozen=True)
class Settings:
    """Those of some unfinished work."""

    block: int = 1


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that must not change."""
    path = tmp_path / "elsewhere" / "precious.txt"
    path.parent.mkdir()
    path.write_text(SECRET)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "outputs"
    path.mkdir()
    return path


def lock(path: Path) -> None:
    with folder_lock(path.parent):
        pass


def journal(path: Path) -> None:
    with open_journal(path):
        pass


WRITERS = {
    ".lock": lock,
    "neighbors.lock": lambda path: _locked_folder(path.parent, "neighbors").__enter__(),
    "journal.csv": journal,
    "done-0.jsonl": lambda path: DoneRows(path.parent).append([1], []),
    "done-0.txt": lambda path: DoneTiles(path.parent, SINGLE_PROCESS).append([1]),
    "features.npy": lambda path: os.close(open_to_write(path)),
    "other.npy": map_npy,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kind", ["link", "dangling link"])
def test_a_link_is_refused_and_its_target_stays(
    name: str, kind: str, folder: Path, target: Path
) -> None:
    if kind == "dangling link":
        target.unlink()
    (folder / name).symlink_to(target)
    with pytest.raises(UserError, match=f"^{folder / name} is a symbolic link.*: delete it$"):
        WRITERS[name](folder / name)
    assert (target.read_text() if target.exists() else SECRET) == SECRET
    assert target.exists() == (kind == "link")


@pytest.mark.parametrize("name", WRITERS)
def test_a_hard_link_is_refused_and_the_file_stays(name: str, folder: Path, target: Path) -> None:
    os.link(target, folder / name)
    with pytest.raises(UserError, match="is a hard link, a file with several names: put a copy"):
        WRITERS[name](folder / name)
    assert target.read_text() == SECRET


def pipe(path: Path) -> None:
    os.mkfifo(path)


def bind(path: Path) -> None:
    """Leave a socket; its path is relative, as those of sockets must be short."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("plant", [Path.mkdir, pipe, bind])
@pytest.mark.parametrize("name", WRITERS)
def test_what_is_not_a_file_is_refused_at_once(name: str, plant: Plant, folder: Path) -> None:
    plant(folder / name)
    with pytest.raises((UserError, IsADirectoryError)) as caught:
        WRITERS[name](folder / name)
    assert str(folder / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_outputs_and_its_folders_may_be_links(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    with folder_lock(link), open_journal(link / "journal.csv"):
        append_durably(link / "done.txt", "1.\n")
    with atomic_write(link / "new" / "file.txt") as part:
        part.write_text("whole")
    assert {path.name for path in folder.iterdir()} == {".lock", "journal.csv", "done.txt", "new"}


def test_a_folder_of_unfinished_work_must_not_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "x.part").symlink_to(tmp_path / "elsewhere")
    for use in (lambda: begin_or_resume(folder / "x.part", Settings()),
                lambda: read_record(folder / "x.part", Settings(), ())):  # fmt: skip
        with pytest.raises(UserError, match="x.part is a symbolic link"):
            use()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_names_of_parts_cannot_be_guessed(folder: Path) -> None:
    path = folder / "file.txt"
    names = {temporary_name(path).name for _ in range(100)}
    assert len(names) == 100
    host = socket.gethostname()
    assert all(name.startswith(f"file.txt.{host}-{os.getpid()}-") for name in names)


def make_folder(path: Path) -> None:
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "file").touch()


@pytest.mark.parametrize("make", [Path.touch, make_folder, pipe])
@pytest.mark.parametrize("token", ["", "-0123456789abcdef"])
def test_parts_of_dead_processes_are_removed(folder: Path, make: Plant, token: str) -> None:
    path, host = folder / "file.txt", socket.gethostname()
    living = folder / f"file.txt.{host}-1{token}.part"
    elsewhere = folder / f"file.txt.other-{NO_PID}{token}.part"
    for part in (living, elsewhere, folder / f"file.txt.{host}-{NO_PID}{token}.part"):
        make(part)
    temporary_name(path)
    assert set(folder.iterdir()) == {living, elsewhere}


@pytest.mark.parametrize(
    "suffix", ["abc", "", "1-xyz", "٣", "1\n", "99999999999999999999", "1-0123456789ABCDEF", "-1"]
)
def test_odd_names_of_parts_are_left_alone(folder: Path, suffix: str) -> None:
    odd = folder / f"file.txt.{socket.gethostname()}-{suffix}.part"
    odd.touch()
    with atomic_write(folder / "file.txt") as part:
        part.write_text("whole")
    assert set(folder.iterdir()) == {odd, folder / "file.txt"}


def test_a_link_left_as_a_part_is_removed_but_not_its_target(folder: Path, target: Path) -> None:
    for number, planted in enumerate((target, target.parent, Path("/nowhere"))):
        part = folder / f"file.txt.{socket.gethostname()}-{NO_PID + number}.part"
        part.symlink_to(planted)
    with atomic_write(folder / "file.txt") as part:
        part.write_text("whole")
    assert list(folder.iterdir()) == [folder / "file.txt"]
    assert target.read_text() == SECRET


def test_a_link_in_the_place_of_a_file_is_replaced(folder: Path, target: Path) -> None:
    (folder / "file.txt").symlink_to(target)
    with atomic_write(folder / "file.txt") as part:
        part.write_text("whole")
    assert not (folder / "file.txt").is_symlink()
    assert target.read_text() == SECRET


def test_only_parts_of_images_are_removed(folder: Path, target: Path) -> None:
    (folder / "ab").mkdir()
    (target.parent / "ab.part").touch()
    (folder / "ac").symlink_to(target.parent)
    kept = [folder / "ab" / "cd.part", folder / "ab" / "abc.jpg", target.parent / "ab.part"]
    for path in (*kept, folder / "ab" / "abc.part", folder / "ab" / "abc.0123456789abcdef.part"):
        path.touch()
    (folder / "ab" / "abd.part").symlink_to(target)
    remove_partial_files(folder)
    assert set((folder / "ab").iterdir()) == set(kept[:2])
    assert {path.name for path in target.parent.iterdir()} == {"precious.txt", "ab.part"}
    assert target.read_text() == SECRET


def test_an_image_is_not_written_through_a_link(folder: Path, target: Path) -> None:
    (folder / "ab").mkdir()
    for name in ("abc.part", "abc.jpg"):
        (folder / "ab" / name).symlink_to(target)
    ImageDownloader.save(SimpleNamespace(_folder=folder), "abc", Arrival(b"an image"))
    assert (folder / "ab" / "abc.jpg").read_bytes() == b"an image"
    assert target.read_text() == SECRET


@pytest.mark.timeout(30)
def test_a_pipe_as_journal_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "journal.csv")
    with pytest.raises(UserError, match="journal.csv is damaged.*not a regular file"):
        read_journal(folder / "journal.csv")
