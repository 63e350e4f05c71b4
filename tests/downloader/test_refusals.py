"""Hosts that want to be left alone, for a while or altogether."""

import errno
import itertools
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from src.demo.server import served
from src.downloader import circuit_breaker, images, journal
from tests.support.hosts import BadMuseum, Fault, download_all, draw_small

WORKERS = 4
fetched = partial(download_all, workers=WORKERS)


@pytest.fixture
def museum(tmp_path: Path) -> Iterator[BadMuseum]:
    """120 images."""
    bad = BadMuseum(draw_small(tmp_path / "host", 120), tmp_path / "host")
    with served(bad):
        yield bad


@pytest.mark.parametrize(
    ("name", "seen", "what"),
    [
        ("401", "401 Unauthorized", "requests"),
        ("403", "403 Forbidden", "requests"),
        ("429", "429 Too Many Requests", "requests"),
        ("garbage", "connection closed without a response", "requests"),
        ("503", "503 Service Unavailable", "images"),
        ("html", "not an image: text/html", "images"),
        ("html as jpeg", "not an image", "images"),
    ],
)
def test_the_download_ends_early_if_all_first_requests_fail(
    name: str, seen: str, what: str, museum: BadMuseum, tmp_path: Path
) -> None:
    museum.every = Fault(name)
    state = fetched(museum, tmp_path / "images")
    assert state.refusal == f"the first 50 {what} failed: 50 x {seen}"
    asked = museum.moments if what == "requests" else museum.asked
    assert 50 <= len(asked) <= 50 + WORKERS


def test_a_record_added_during_the_stop_is_returned_too(
    museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that counted before the last refusal may write its record after it."""
    add, slow = journal.Journal.add, threading.Lock()

    def late(book: journal.Journal, record: journal.DownloadRecord) -> None:
        if slow.acquire(blocking=False):
            time.sleep(0.5)
        add(book, record)

    monkeypatch.setattr(journal.Journal, "add", late)
    museum.every = Fault("403")
    fetched(museum, tmp_path / "images")
    records = journal.read_journal(tmp_path / "images" / "journal.csv")
    assert {record.outcome for record in records.values()} == {"transient"}


@pytest.mark.parametrize("name", ["500", "html"])
def test_images_that_always_fail_are_requested_last(
    name: str, museum: BadMuseum, tmp_path: Path
) -> None:
    broken = list(museum.files)[:100:2]
    museum.faults = {image_id: Fault(name) for image_id in broken}
    files, early = museum.files, dict(list(museum.files.items())[:60])
    museum.files = early
    fetched(museum, tmp_path / "images")
    museum.files = files
    state = fetched(museum, tmp_path / "images")
    assert state.present.keys() == files.keys() - set(broken)


def test_the_download_ends_early_if_the_host_does_not_exist(
    museum: BadMuseum, tmp_path: Path
) -> None:
    museum.address = "http://127.0.0.1:1"
    state = fetched(museum, tmp_path / "images")
    assert state.refusal.endswith("failed: 50 x robots.txt: connection refused")


def test_images_of_a_host_that_refused_all_are_requested_again(
    museum: BadMuseum, tmp_path: Path
) -> None:
    museum.every = Fault("403")
    fetched(museum, tmp_path / "images")
    museum.every = None
    assert len(fetched(museum, tmp_path / "images").present) == 120


def test_missing_images_do_not_end_the_download_early(museum: BadMuseum, tmp_path: Path) -> None:
    museum.every = Fault("404")
    state = fetched(museum, tmp_path / "images")
    assert (len(state.failed), state.refusal) == (120, "")


def test_more_failures_are_allowed_after_an_image_has_arrived(
    museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit_breaker, "MAX_LATER_FAILURES", 80)
    for image_id in list(museum.files)[20:]:
        museum.faults[image_id] = Fault("503")
    state = fetched(museum, tmp_path / "images")
    assert state.refusal.startswith("the last 80 images failed: 80 x 503")
    assert len(state.present) == 20
    assert 100 <= len(museum.asked) <= 100 + WORKERS


@pytest.mark.parametrize("name", ["429 wait", "503 wait until"])
def test_retry_after_pauses_all_workers(name: str, museum: BadMuseum, tmp_path: Path) -> None:
    image_id = list(museum.files)[30]
    museum.faults[image_id] = Fault(name, times=1)
    assert len(fetched(museum, tmp_path / "images").present) == 120
    asked = museum.log.index(image_id)
    since = [moment - museum.moments[asked] for moment in museum.moments[asked + 1 :]]
    assert len(since) > 80 - WORKERS
    assert [seconds for seconds in since if 0.3 < seconds < 0.95] == []


def test_the_download_ends_if_the_host_asks_to_wait_for_hours(
    museum: BadMuseum, tmp_path: Path
) -> None:
    museum.faults[list(museum.files)[30]] = Fault("503 for hours")
    began = time.monotonic()
    state = fetched(museum, tmp_path / "images")
    assert state.refusal == "the host asks clients to wait 2.0 hours"
    assert time.monotonic() - began < 5
    assert len(state.present) >= 30 - WORKERS


def test_the_rate_holds_in_every_second(museum: BadMuseum, tmp_path: Path) -> None:
    museum.files = dict(list(museum.files.items())[:60])
    for image_id in list(museum.files)[::5]:
        museum.faults[image_id] = Fault("503", times=2)
    rate = 40
    assert len(fetched(museum, tmp_path / "images", requests_per_second=rate).present) == 60
    moments = sorted(museum.moments)
    assert len(moments) == 60 + 2 * 12
    most = max(sum(start <= other < start + 1 for other in moments) for start in moments)
    assert rate * 0.8 <= most <= rate + WORKERS


def test_permanent_failures_are_requested_again_only_with_retry_failed(
    museum: BadMuseum, tmp_path: Path
) -> None:
    gone, broken = list(museum.files)[:2]
    museum.faults = {gone: Fault("404"), broken: Fault("html")}
    assert len(fetched(museum, tmp_path / "images").present) == 118
    museum.asked.clear()
    assert {r.image_id for r in fetched(museum, tmp_path / "images").failed} == {gone, broken}
    assert museum.asked == {broken: 2}
    museum.faults.clear()
    assert len(fetched(museum, tmp_path / "images").present) == 119
    assert len(fetched(museum, tmp_path / "images", retry_failed=True).present) == 120
    assert museum.asked == {broken: 3, gone: 1}


def test_a_deleted_or_truncated_image_is_downloaded_again(
    museum: BadMuseum, tmp_path: Path
) -> None:
    fetched(museum, tmp_path / "images")
    lost, short = (images.path_of(tmp_path / "images", i) for i in list(museum.files)[:2])
    whole = short.read_bytes()
    lost.unlink()
    short.write_bytes(whole[:100])
    museum.asked.clear()
    assert len(fetched(museum, tmp_path / "images").present) == 120
    assert museum.asked == {lost.stem: 1, short.stem: 1}
    assert short.read_bytes() == whole


def test_a_full_disk_ends_the_download_and_free_space_lets_it_resume(
    museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file, number = Path.open, itertools.count()

    def limited(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        file = open_file(path, mode, *args, **options)
        if mode == "xb" and next(number) >= 40:
            with file:
                file.write(bytes(10))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return file

    monkeypatch.setattr(Path, "open", limited)
    with pytest.raises(OSError, match="No space left"):
        fetched(museum, tmp_path / "images")
    records = journal.read_journal(tmp_path / "images" / "journal.csv")
    assert [record.ok for record in records.values()] == [True] * 40
    monkeypatch.undo()
    assert len(fetched(museum, tmp_path / "images").present) == 120
    assert not list((tmp_path / "images").glob("*/*.part"))
    assert len(museum.moments) <= 120 + 2 * WORKERS
