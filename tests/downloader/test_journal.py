import errno
import os
import threading
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from src.downloader import journal
from src.downloader.errors import Failure, Outcome
from src.downloader.journal import DownloadRecord, failure_record, open_journal


def record(image_id: str, reason: str = "404 Not Found") -> DownloadRecord:
    failure = failure_record(image_id, "http://a/b,c", Failure(Outcome.permanent, reason, 404))
    return replace(failure, time="2026-01-01T00:00:00+00:00")


def filled(path: Path, *records: DownloadRecord) -> Path:
    with open_journal(path) as opened:
        for each in records:
            opened.add(each)
    return path


def test_the_last_line_of_an_image_wins(tmp_path: Path) -> None:
    path = filled(tmp_path / "j.csv", record("a"), record("b"), record("a", "410 Gone"))
    assert journal.read_journal(path) == {"a": record("a", "410 Gone"), "b": record("b")}
    assert path.read_text().count("\n") == 4


def test_pandas_reads_the_journal(tmp_path: Path) -> None:
    table = pd.read_csv(filled(tmp_path / "j.csv", record("a")))
    assert list(table) == journal.COLUMNS
    assert table.loc[0, ["image_id", "outcome", "status"]].tolist() == ["a", "permanent", 404]


def test_a_missing_journal_is_empty(tmp_path: Path) -> None:
    assert journal.read_journal(tmp_path / "j.csv") == {}


@pytest.mark.parametrize("lost", range(1, 60, 7))
def test_an_incomplete_last_line_is_skipped_and_overwritten(tmp_path: Path, lost: int) -> None:
    path = filled(tmp_path / "j.csv", record("a"), record("b"))
    path.write_bytes(path.read_bytes()[:-lost])
    assert journal.read_journal(path) == {"a": record("a")}
    assert journal.read_journal(filled(path, record("c"))) == {"a": record("a"), "c": record("c")}


@pytest.mark.parametrize("size", [0, 1, 20])
def test_an_incomplete_header_is_overwritten(tmp_path: Path, size: int) -> None:
    path = filled(tmp_path / "j.csv")
    path.write_bytes(path.read_bytes()[:size])
    assert journal.read_journal(filled(path, record("a"))) == {"a": record("a")}


@pytest.mark.parametrize("odd", [b'"', b'"' + b"x" * 200_000, b"\0\xff\r", b",,,", b""])
def test_a_damaged_line_loses_only_itself(tmp_path: Path, odd: bytes) -> None:
    path = filled(tmp_path / "j.csv", record("a"))
    path.write_bytes(path.read_bytes() + odd + b"\n")
    assert journal.read_journal(filled(path, record("b"))) == {"a": record("a"), "b": record("b")}


def test_the_journal_is_not_executable(tmp_path: Path) -> None:
    assert not filled(tmp_path / "j.csv").stat().st_mode & 0o111


def test_a_reason_of_many_lines_stays_one_line(tmp_path: Path) -> None:
    path = filled(tmp_path / "j.csv", record("a", 'odd\n"reason",\r\nof a host\x00'))
    assert path.read_bytes().count(b"\n") == 2
    assert journal.read_journal(path)["a"].reason == 'odd "reason", of a host'


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    with open_journal(tmp_path / "j.csv") as opened:

        def add(start: int) -> None:
            for number in range(start, start + 100):
                opened.add(record(str(number)))

        threads = [threading.Thread(target=add, args=(100 * n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert journal.read_journal(tmp_path / "j.csv").keys() == {str(number) for number in range(800)}


def test_a_line_that_does_not_fit_on_the_disk_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = filled(tmp_path / "j.csv", record("a"))
    before, write = path.read_bytes(), os.pwrite
    with open_journal(path) as opened:
        monkeypatch.setattr(os, "pwrite", lambda file, text, at: write(file, text[:9], at))
        with pytest.raises(OSError, match="No space left") as caught:
            opened.add(record("b"))
        assert (caught.value.errno, path.read_bytes()) == (errno.ENOSPC, before)
        monkeypatch.undo()
        opened.add(record("c"))
    assert list(journal.read_journal(path)) == ["a", "c"]


def test_a_record_is_final_if_the_host_answered_permanently() -> None:
    assert record("a").final
    assert not replace(record("a"), outcome="transient").final
    assert not failure_record("a", "x", Failure(Outcome.permanent, "robots.txt")).final
