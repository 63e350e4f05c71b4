"""Other hosts, which rows and redirects name: their manners are theirs, and delay no one else."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest

from src.config.data import Download
from src.demo.server import served
from src.downloader import circuit_breaker, journal, schedule
from src.gallery.catalog import Catalog
from src.gallery.downloads import Fetched, fetch_missing
from tests.support.hosts import (
    LIMITS,
    QUICK,
    BadMuseum,
    Fault,
    address,
    catalog_of,
    download_all,
    draw_small,
    local_client,
)

WORKERS, REDIRECTED = 4, 20
CRAWL_DELAY = b"User-agent: *\nCrawl-delay: "


def faulty(name: str) -> Callable[[BadMuseum], None]:
    """Return what gives a museum a fault in all its images."""
    return lambda museum: setattr(museum, "every", Fault(name))


MANNERS: dict[str, Callable[[BadMuseum], None]] = {
    "a long pause": faulty("429 wait long"),
    "a pause of hours": faulty("503 for hours"),
    "a slow pace": lambda museum: setattr(museum, "robots", (200, CRAWL_DELAY + b"3000")),
    "an extreme pace": lambda museum: setattr(museum, "robots", (200, CRAWL_DELAY + b"9999")),
    "refusals": faulty("403"),
    "errors": faulty("503"),
    "silence": faulty("silent"),
    "nobody": lambda museum: setattr(museum, "address", "http://127.0.0.1:1"),
}


@pytest.fixture
def museum(tmp_path: Path) -> Iterator[BadMuseum]:
    """60 images."""
    bad = BadMuseum(draw_small(tmp_path / "host", 60), tmp_path / "host")
    with served(bad):
        yield bad


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BadMuseum]:
    """20 images of another host, for which nobody waits long."""
    monkeypatch.setattr(schedule, "PATIENCE", 0.5)
    bad = BadMuseum(draw_small(tmp_path / "other", 20, seed=1), tmp_path / "other")
    with served(bad):
        yield bad


def fetched(folder: Path, *museums: BadMuseum, workers: int = WORKERS) -> Fetched:
    """Download all images of several museums into a folder."""
    works = pd.concat([catalog_of(museum).works for museum in museums], ignore_index=True)
    catalog = Catalog(works, frozenset(works["image_id"]))
    options = Download(requests_per_second=0, workers=workers)
    client = local_client(0, workers, retry_policy=QUICK)
    return fetch_missing(catalog, folder, options, LIMITS, client)


def seconds_of(museum: BadMuseum) -> float:
    """Return the time from the first to the last request for an image."""
    return max(museum.moments) - min(museum.moments)


@pytest.mark.parametrize("manners", MANNERS)
@pytest.mark.parametrize("workers", [1, WORKERS])
def test_a_row_of_another_host_delays_no_image_of_this_one(
    manners: str, workers: int, museum: BadMuseum, other: BadMuseum, tmp_path: Path
) -> None:
    MANNERS[manners](other)
    state = fetched(tmp_path / "images", other, museum, workers=workers)
    assert state.present.keys() == museum.files.keys()
    assert {record.image_id for record in state.failed} == other.files.keys()
    assert all(record.reason for record in state.failed)
    assert state.refusal == ""
    assert seconds_of(museum) < 2
    assert set(museum.asked.values()) == {1}


@pytest.mark.parametrize("manners", MANNERS)
def test_a_redirect_to_another_host_delays_no_image_of_this_one(
    manners: str, museum: BadMuseum, other: BadMuseum, tmp_path: Path
) -> None:
    MANNERS[manners](other)
    museum.redirect = address(other)
    moved = list(museum.files)[:REDIRECTED]
    museum.faults = dict.fromkeys(moved, Fault("moved elsewhere"))
    state = download_all(museum, tmp_path / "images", workers=WORKERS)
    assert state.present.keys() == museum.files.keys() - set(moved)
    assert {record.image_id for record in state.failed} == set(moved)
    assert state.refusal == ""
    assert seconds_of(museum) < 2
    assert set(museum.asked.values()) == {1}


def test_hosts_that_were_never_requested_are_given_up_too(
    museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of 40 other hosts costs a second before it fails: not all of them are waited for."""
    monkeypatch.setattr(schedule, "PATIENCE", 0.5)
    with ExitStack() as stack:
        folders = {n: tmp_path / str(n) for n in range(2, 42)}
        silent = [BadMuseum(draw_small(at, 1, seed=n), at) for n, at in folders.items()]
        for each in silent:
            each.every = Fault("silent")
            stack.enter_context(served(each))
        began = time.monotonic()
        state = fetched(tmp_path / "images", museum, *silent)
        seconds = time.monotonic() - began
    assert state.present.keys() == museum.files.keys()
    assert sum(bool(each.asked) for each in silent) < 40
    assert seconds < 6
    assert any("no image arrived for" in record.reason for record in state.failed)


def test_the_pace_of_one_host_is_kept_there_alone(
    museum: BadMuseum, other: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "PATIENCE", 60)
    other.robots, other.files = (200, CRAWL_DELAY + b"0.3"), dict(list(other.files.items())[:5])
    state = fetched(tmp_path / "images", museum, other)
    assert len(state.present) == 65
    gaps = [b - a for a, b in zip(other.moments, other.moments[1:], strict=False)]
    assert min(gaps) > 0.25
    assert seconds_of(museum) < 1


def test_images_of_two_hosts_arrive_and_a_pause_of_one_is_obeyed(
    museum: BadMuseum, other: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "PATIENCE", 60)
    paused = list(other.files)[0]
    other.faults[paused] = Fault("429 wait", times=1)
    state = fetched(tmp_path / "images", museum, other)
    assert len(state.present) == 80
    assert (other.asked[paused], state.present[paused].attempts) == (2, "2")
    assert other.moments[1] - other.moments[0] > 0.95
    assert seconds_of(museum) < 0.95


def test_the_images_of_other_hosts_arrive_where_the_main_host_refuses_all(
    museum: BadMuseum, other: BadMuseum, tmp_path: Path
) -> None:
    museum.every = Fault("403")
    state = fetched(tmp_path / "images", museum, other)
    assert state.present.keys() == other.files.keys()
    assert state.refusal == "the first 50 requests failed: 50 x 403 Forbidden"


@pytest.mark.parametrize("workers", [1, WORKERS])
def test_a_host_that_moves_everything_to_one_that_refuses_is_left_alone_too(
    museum: BadMuseum,
    other: BadMuseum,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    monkeypatch.setattr(circuit_breaker, "MAX_INITIAL_FAILURES", 10)
    museum.redirect, museum.every, other.every = (
        address(other),
        Fault("moved elsewhere"),
        Fault("403"),
    )
    state = download_all(museum, tmp_path / "images", workers=workers)
    assert state.refusal.startswith(f"the first 10 images failed: 10 x {other.address}: the first")
    assert len(other.moments) == 10
    # with several workers, the others go on until they see that one has stopped the download
    assert workers > 1 or len(museum.moments) == 20


def test_images_that_another_host_refused_are_requested_again(
    museum: BadMuseum, other: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit_breaker, "MAX_INITIAL_FAILURES", 10)
    other.every = Fault("403")
    fetched(tmp_path / "images", museum, other)
    records = journal.read_journal(tmp_path / "images" / "journal.csv").values()
    assert {record.outcome for record in records if not record.ok} == {"transient"}
    other.every = None
    assert len(fetched(tmp_path / "images", museum, other).present) == 80


def test_a_circle_of_redirects_between_hosts_ends(
    museum: BadMuseum, other: BadMuseum, tmp_path: Path
) -> None:
    museum.every = other.every = Fault("moved elsewhere")
    museum.redirect, other.redirect = address(other), address(museum)
    museum.files = dict(list(museum.files.items())[:3])
    state = download_all(museum, tmp_path / "images", workers=WORKERS)
    assert {record.reason for record in state.failed} == {"more than 5 redirects"}
    assert len(museum.moments) + len(other.moments) == 3 * 6


@pytest.mark.parametrize("limit", [2000, 300])
def test_a_thousand_hosts_in_rows_cost_little(
    limit: int, museum: BadMuseum, other: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are ports of this machine at which nobody listens."""
    monkeypatch.setattr(schedule, "MAX_HOSTS", limit)
    works = catalog_of(museum).works
    rows = [(f"many-{n}", f"http://127.0.{n // 250}.{n % 250 + 1}:1/x.jpg") for n in range(1000)]
    works = pd.concat([pd.DataFrame(rows, columns=works.columns), works], ignore_index=True)
    client, began = local_client(0, WORKERS, retry_policy=QUICK), time.monotonic()
    options = Download(requests_per_second=0, workers=WORKERS)
    state = fetch_missing(Catalog(works, frozenset()), tmp_path / "i", options, LIMITS, client)
    assert state.present.keys() == museum.files.keys()
    assert len(state.failed) == 1000
    assert time.monotonic() - began < 4
    reasons = [record.reason for record in state.failed]
    beyond = sum("more than 300 hosts" in reason for reason in reasons)
    assert beyond == (1001 - limit if limit < 1000 else 0)
