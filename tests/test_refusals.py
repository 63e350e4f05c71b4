"""Hosts that want to be left alone, for a while or altogether."""

import errno
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from src import fetch, journal
from src.config import Download
from src.demo import served
from src.download import Fetched, fetch_missing
from src.fetch import Limits
from src.web import Patience, Web
from tests.hosts import BadMuseum, Fault, catalog_of, draw_small

QUICK = Patience(attempts=4, first_wait=0.01, connect=2, silence=2, body=2)
WORKERS = 4


@pytest.fixture
def museum(tmp_path: Path) -> Iterator[BadMuseum]:
    """120 images."""
    bad = BadMuseum(draw_small(tmp_path / "host", 120), tmp_path / "host")
    with served(bad):
        yield bad


def fetched(museum: BadMuseum, folder: Path, rate: float = 0, retry: bool = False) -> Fetched:
    options = Download(workers=WORKERS, requests_per_second=rate, retry_failed=retry)
    web = Web(rate, WORKERS, patience=QUICK)
    return fetch_missing(catalog_of(museum), folder, options, Limits(10**6, 10**6), web)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("401", "401 Unauthorized"),
        ("403", "403 Forbidden"),
        ("429", "429 Too Many Requests"),
        ("503", "503 Service Unavailable"),
        ("html", "not an image but text/html"),
        ("garbage", "connection closed without an answer"),
    ],
)
def test_a_host_that_refuses_everything_is_left_alone(
    name: str, seen: str, museum: BadMuseum, tmp_path: Path
) -> None:
    museum.every = Fault(name)
    found = fetched(museum, tmp_path / "images")
    assert found.seen == f"the first 50 requests brought nothing: 50 x {seen}"
    assert 50 <= len(museum.moments) <= 50 + WORKERS


def test_a_host_that_is_not_there_is_left_alone(museum: BadMuseum, tmp_path: Path) -> None:
    museum.address = "http://127.0.0.1:1"
    found = fetched(museum, tmp_path / "images")
    assert found.seen.endswith("brought nothing: 50 x robots.txt: connection refused")


def test_images_that_were_refused_with_all_others_are_asked_for_again(
    museum: BadMuseum, tmp_path: Path
) -> None:
    museum.every = Fault("403")
    fetched(museum, tmp_path / "images")
    museum.every = None
    assert len(fetched(museum, tmp_path / "images").here) == 120


def test_images_that_do_not_exist_are_no_refusal(museum: BadMuseum, tmp_path: Path) -> None:
    museum.every = Fault("404")
    found = fetched(museum, tmp_path / "images")
    assert (len(found.failed), found.seen) == (120, "")


def test_a_host_that_breaks_down_later_has_more_time(
    museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "REFUSALS_LATER", 80)
    for image_id in list(museum.files)[20:]:
        museum.faults[image_id] = Fault("503")
    found = fetched(museum, tmp_path / "images")
    assert found.seen.startswith("the last 80 requests brought nothing: 80 x 503")
    assert len(found.here) == 20
    assert 100 <= len(museum.moments) <= 100 + WORKERS


@pytest.mark.parametrize("name", ["429 wait", "503 wait until"])
def test_retry_after_holds_for_all_workers(name: str, museum: BadMuseum, tmp_path: Path) -> None:
    museum.faults[list(museum.files)[30]] = Fault(name, times=1)
    assert len(fetched(museum, tmp_path / "images").here) == 120
    moments = sorted(museum.moments)
    gap, at = max((b - a, at) for at, (a, b) in enumerate(zip(moments, moments[1:], strict=False)))
    assert gap > 0.9
    assert 30 <= at <= 30 + WORKERS


def test_a_host_that_asks_for_hours_is_asked_another_day(museum: BadMuseum, tmp_path: Path) -> None:
    museum.faults[list(museum.files)[30]] = Fault("503 for hours")
    began = time.monotonic()
    found = fetched(museum, tmp_path / "images")
    assert found.seen == "the host asks to be left alone for 2.0 hours"
    assert time.monotonic() - began < 5
    assert len(found.here) >= 30 - WORKERS


def test_the_rate_holds_in_every_second(museum: BadMuseum, tmp_path: Path) -> None:
    for image_id in list(museum.files)[::5]:
        museum.faults[image_id] = Fault("503", times=2)
    rate = 40
    assert len(fetched(museum, tmp_path / "images", rate).here) == 120
    moments = sorted(museum.moments)
    assert len(moments) == 120 + 2 * 24
    most = max(sum(start <= other < start + 1 for other in moments) for start in moments)
    assert rate * 0.8 <= most <= rate + WORKERS


def test_permanent_failures_are_asked_for_again_only_when_told(
    museum: BadMuseum, tmp_path: Path
) -> None:
    gone, broken = list(museum.files)[:2]
    museum.faults = {gone: Fault("404"), broken: Fault("html")}
    assert len(fetched(museum, tmp_path / "images").here) == 118
    museum.asked.clear()
    assert {r.image_id for r in fetched(museum, tmp_path / "images").failed} == {gone, broken}
    assert museum.asked == {broken: 2}
    museum.faults.clear()
    assert len(fetched(museum, tmp_path / "images").here) == 119
    assert len(fetched(museum, tmp_path / "images", retry=True).here) == 120
    assert museum.asked == {broken: 3, gone: 1}


def test_a_lost_or_shortened_image_is_fetched_again(museum: BadMuseum, tmp_path: Path) -> None:
    fetched(museum, tmp_path / "images")
    lost, short = (fetch.path_of(tmp_path / "images", i) for i in list(museum.files)[:2])
    whole = short.read_bytes()
    lost.unlink()
    short.write_bytes(whole[:100])
    museum.asked.clear()
    assert len(fetched(museum, tmp_path / "images").here) == 120
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
    records = journal.read(tmp_path / "images" / "journal.csv")
    assert [record.ok for record in records.values()] == [True] * 40
    monkeypatch.undo()
    assert len(fetched(museum, tmp_path / "images").here) == 120
    assert not list((tmp_path / "images").glob("*/*.part"))
    assert len(museum.moments) <= 120 + 2 * WORKERS
