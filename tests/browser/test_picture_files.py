"""Pictures of an export as files, made by several processes."""

import errno
import os
from pathlib import Path

import pytest

from src.browser import picture_files
from src.browser.picture_files import Job, write_picture, written
from src.errors import UserError


def test_a_picture_appears_whole_or_not_at_all(
    shared_paintings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        """Fail as a full disk may."""
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="No space"):
        write_picture(Job(shared_paintings / "ada" / "0.png", tmp_path / "0.jpg", 160, 80))
    assert list(tmp_path.iterdir()) == []


def test_a_picture_in_the_cache_is_copied(tmp_path: Path) -> None:
    (tmp_path / "cached.jpg").write_bytes(b"a picture\xff\xd9")
    write_picture(Job(tmp_path / "gone", tmp_path / "0.jpg", 160, 80, tmp_path / "cached.jpg"))
    assert (tmp_path / "0.jpg").read_bytes() == b"a picture\xff\xd9"


def test_a_placeholder_is_made_again_and_a_picture_is_not(
    shared_paintings: Path, tmp_path: Path
) -> None:
    job = Job(tmp_path / "gone.png", tmp_path / "0.jpg", 160, 80)
    write_picture(job)
    gray = job.target.read_bytes()
    write_picture(job._replace(source=shared_paintings / "ada" / "0.png"))
    picture = job.target.read_bytes()
    write_picture(job)
    assert gray != picture == job.target.read_bytes()


def many(shared_paintings: Path, folder: Path) -> list[Job]:
    """Return more pictures than are made without processes."""
    sources = sorted(shared_paintings.rglob("*.png"))
    return [Job(sources[n % 12], folder / f"{n}.jpg", 160, 80) for n in range(130)]


@pytest.mark.slow
def test_processes_make_what_one_makes(shared_paintings: Path, tmp_path: Path) -> None:
    jobs = many(shared_paintings, tmp_path / "many")
    with written(jobs) as pictures:
        assert len(list(pictures)) == 130
    for job in jobs[:12]:
        write_picture(job._replace(target=tmp_path / job.target.name))
        assert job.target.read_bytes() == (tmp_path / job.target.name).read_bytes()
    assert len(list((tmp_path / "many").iterdir())) == 130


@pytest.mark.slow
def test_a_failure_ends_the_processes(shared_paintings: Path, tmp_path: Path) -> None:
    jobs = many(shared_paintings, tmp_path / "many")
    (tmp_path / "many").mkdir()
    for job in jobs:
        job.target.with_name(f"{job.target.name}.part").mkdir()
    with pytest.raises(IsADirectoryError), written(jobs) as pictures:
        list(pictures)


def end(job: Job) -> None:
    """End this process as the system does for lack of memory."""
    os.kill(os.getpid(), 9)


@pytest.mark.slow
def test_a_process_that_the_system_ends_is_one_sentence(
    shared_paintings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_files, "write_picture", end)
    with (
        pytest.raises(UserError, match="ended a process that made pictures"),
        written(many(shared_paintings, tmp_path / "many")) as pictures,
    ):
        list(pictures)
