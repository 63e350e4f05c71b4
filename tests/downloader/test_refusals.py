"""Hosts that want to be left alone, for a while or altogether."""

import errno
import itertools
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

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
def test_a_host_that_gives_nothing_is_left_alone(
    name: str, seen: str, what: str, museum: BadMuseum, tmp_path: Path
) -> None:
    museum.every = Fault(name)
    found = fetched(museum, tmp_path / "images")
    assert found.refusal == f"the first 50 {what} failed: 50 x {seen}"
    asked = museum.moments if what == "requests" else museum.asked
    assert 50 <= len(asked) <= 50 + WORKERS


def test_what_is_journaled_while_a_refusal_is_on_its_way_is_known_too(
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
def test_images_that_never_come_do_not_keep_back_the_others(
    name: str, museum: BadMuseum, tmp_path: Path
) -> None:
    broken = list(museum.files)[:100:2]
    museum.faults = {image_id: Fault(name) for image_id in broken}
    files, early = museum.files, dict(list(museum.files.items())[:60])
    museum.files = early
    fetched(museum, tmp_path / "images")
    museum.files = files
    found = fetched(museum, tmp_path / "images")
    assert found.present.keys() == files.keys() - set(broken)


def test_a_host_that_is_not_there_is_left_alone(museum: BadMuseum, tmp_path: Path) -> None:
    museum.address = "http://127.0.0.1:1"
    found = fetched(museum, tmp_path / "images")
    assert found.refusal.endswith("failed: 50 x robots.txt: connection refused")


def test_images_that_were_refused_with_all_others_are_asked_for_again(
    museum: BadMuseum, tmp_path: Path
) -> None:
    museum.every = Fault("403")
    fetched(museum, tmp_path / "images")
    museum.every = None
    assert len(fetched(museum, tmp_path / "images").present) == 120


def test_images_that_do_not_exist_are_no_refusal(museum: BadMuseum, tmp_path: Path) -> None:
    museum.every = Fault("404")
    found = fetched(museum, tmp_path / "images")
    assert (len(found.failed), found.refusal) == (120, "")


def test_a_host_that_breaks_down_later_has_more_time(
    museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit_breaker, "MAX_LATER_FAILURES", 80)
    for image_id in list(museum.files)[20:]:
        museum.faults[image_id] = Fault("503")
    found = fetched(museum, tmp_path / "images")
    assert found.refusal.startswith("the last 80 images failed: 80 x 503")
    assert len(found.present) == 20
    assert 100 <= len(museum.asked) <= 100 + WORKERS


@pytest.mark.parametrize("name", ["429 wait", "503 wait until"])
def test_retry_after_holds_for_all_workers(name: str, museum: BadMuseum, tmp_path: Path) -> None:
    image_id = list(museum.files)[30]
    museum.faults[image_id] = Fault(name, times=1)
    assert len(fetched(museum, tmp_path / "images").present) == 120
    asked = museum.log.index(image_id)
    since = [moment - museum.moments[asked] for moment in museum.moments[asked + 1 :]]
    assert len(since) > 80 - WORKERS
    assert [seconds for seconds in since if 0.3 < seconds < 0.95] == []


def test_a_host_that_asks_for_hours_is_asked_another_day(museum: BadMuseum, tmp_path: Path) -> None:
    museum.faults[list(museum.files)[30]] = Fault("503 for hours")
    began = time.monotonic()
    found = fetched(museum, tmp_path / "images")
    assert found.refusal == "the host asks to wait 2.0 hours"
    assert time.monotonic() - began < 5
    assert len(found.present) >= 30 - WORKERS


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


def test_permanent_failures_are_asked_for_again_only_when_told(
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


def test_a_lost_or_shortened_image_is_fetched_again(museum: BadMuseum, tmp_path: Path) -> None:
    fetched(museum, tmp_path / "images")
    lost, short = (images.path_of(tmp_path / "images", i) for i in list(museum.files)[:2])
    whole = short.read_bytes()
    lost.unlink()
    short.write_bytes(whole[:100])
    museum.asked.clear()
    assert len(fetched(museum, tmp_path / "images").present) == 120
    assert museum.asked == {lost.stem: 1, short.stem: 1}
    assert short.read_bytes() == whole


def test_a_full_disk_stops_it_and_room_lets_it_go_on(
    museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, number = Path.write_bytes, itertools.count()

    def limited(path: Path, body: bytes) -> int:
        if next(number) < 40:
            return write(path, body)
        write(path, body[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", limited)
    with pytest.raises(OSError, match="No space left"):
        fetched(museum, tmp_path / "images")
    records = journal.read_journal(tmp_path / "images" / "journal.csv")
    assert [record.ok for record in records.values()] == [True] * 40
    monkeypatch.undo()
    assert len(fetched(museum, tmp_path / "images").present) == 120
    assert not list((tmp_path / "images").glob("*/*.part"))
    assert len(museum.moments) <= 120 + 2 * WORKERS
