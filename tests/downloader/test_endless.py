"""Hosts whose answers never end: each costs a bounded time, and no other image."""

import multiprocessing
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from src.config.data import Download
from src.demo.server import served
from src.downloader import journal
from src.downloader.images import ImageDownloader
from src.gallery.catalog import Catalog
from src.gallery.downloads import fetch_missing
from tests.support.endless import ENDLESS
from tests.support.hosts import (
    LIMITS,
    QUICK,
    BadMuseum,
    Fault,
    catalog_of,
    download_all,
    draw_small,
    local_client,
)
from tests.support.peak import peak_kilobytes

SHORT = replace(QUICK, attempts=2, read_timeout=0.4, total_timeout=0.5)
OUTCOMES = {  # of the faults that are no timeout: outcome and start of the reason
    "404 slowly": ("permanent", "404 Not Found"),
    "404 without end": ("permanent", "404 Not Found"),
    "404 of nothing": ("permanent", "404 Not Found"),
    "302 slowly": ("permanent", "404 Not Found"),
    "302 in chunks": ("permanent", "404 Not Found"),
    "header without end": ("transient", "connection closed without a response"),
    "headers without end": ("transient", "connection closed without a response"),
    "extension without end": ("transient", "incomplete body"),
    "empty blocks": ("bad content", "Content-Encoding deflate"),
}


@pytest.fixture
def museum(tmp_path: Path) -> Iterator[BadMuseum]:
    """Serve five images."""
    bad = BadMuseum(draw_small(tmp_path / "host", 5), tmp_path / "host")
    with served(bad):
        yield bad


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_without_end_costs_one_image(
    name: str, museum: BadMuseum, tmp_path: Path
) -> None:
    image_id, began = list(museum.files)[2], time.monotonic()
    museum.faults[image_id] = Fault(name)
    state = download_all(museum, tmp_path / "images", SHORT)
    assert time.monotonic() - began < 4
    assert state.present.keys() == museum.files.keys() - {image_id}
    record = journal.read_journal(tmp_path / "images" / "journal.csv")[image_id]
    outcome, reason = OUTCOMES.get(name, ("transient", "timeout"))
    assert record.outcome == outcome
    assert record.reason.startswith(reason)
    assert museum.asked[image_id] == (1 if outcome == "permanent" else 2)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_without_end_is_ended_by_a_stop(
    name: str, museum: BadMuseum, tmp_path: Path
) -> None:
    """As Ctrl-C does: the generator of records is closed while all threads wait."""
    first, *rest = museum.files
    museum.faults = dict.fromkeys(rest, Fault(name))
    client = local_client(workers=4)  # which waits for minutes
    rows = list(catalog_of(museum).works.itertuples(index=False, name=None))
    with journal.open_journal(tmp_path / "journal.csv") as outcomes:
        records = ImageDownloader(tmp_path, outcomes, client, LIMITS).fetch(rows, 4)
        assert next(record for record in records if record.ok).image_id == first
        began = time.monotonic()
        records.close()
    assert time.monotonic() - began < 2
    written = journal.read_journal(tmp_path / "journal.csv").values()
    assert not [record.reason for record in written if "timeout" in record.reason]


def test_short_bodies_that_nobody_wants_leave_the_connection_open(
    museum: BadMuseum, tmp_path: Path
) -> None:
    opened, accept = [], museum.get_request
    museum.get_request = lambda: opened.append(accept()) or opened[-1]  # type: ignore
    museum.every = Fault("404")
    assert len(download_all(museum, tmp_path / "images", workers=1).failed) == 5
    assert len(opened) == 1


def test_one_thread_watches_all_requests(museum: BadMuseum, tmp_path: Path) -> None:
    picture, before, new = museum.handler.picture, threading.enumerate(), set[threading.Thread]()

    def counted(*args: object) -> bytes:
        new.update(t for t in threading.enumerate() if t.name == "watchdog" and t not in before)
        return picture(*args)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(museum.handler, "picture", counted)
        assert len(download_all(museum, tmp_path / "images", SHORT, workers=4).present) == 5
    (watchdog,) = new
    watchdog.join(2)
    assert not watchdog.is_alive()  # the download is done


def download(catalog: Catalog, folder: Path, pipe: Connection) -> None:
    """Download all images, and send the outcome and the memory that it took; a process's main."""
    policy = replace(QUICK, attempts=3, first_wait=0.01, read_timeout=1.5, total_timeout=2)
    options = Download(requests_per_second=0, workers=16)
    client = local_client(workers=16, retry_policy=policy)
    began = time.monotonic()
    state = fetch_missing(catalog, folder, options, LIMITS, client)
    kilobytes = peak_kilobytes()
    pipe.send((set(state.present), state.refusal, time.monotonic() - began, kilobytes))


@pytest.mark.slow
def test_all_images_that_can_be_had_are_had_among_answers_without_end(tmp_path: Path) -> None:
    museum = BadMuseum(draw_small(tmp_path / "host", 2000), tmp_path / "host")
    hit = random.Random(0).sample(list(museum.files), 400)
    for number, image_id in enumerate(hit):
        times = None if number % 4 == 0 else 1  # three of four get over it
        museum.faults[image_id] = Fault(list(ENDLESS)[number // 4 % len(ENDLESS)], times)
    lost = {image_id for image_id, fault in museum.faults.items() if not fault.times}
    # An error that says that the image is gone is believed
    lost |= {i for i in hit if OUTCOMES.get(museum.faults[i].name, ("",))[0] == "permanent"}
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with served(museum):
        process = context.Process(
            target=download, args=(catalog_of(museum), tmp_path / "images", there)
        )
        process.start()
        present, refusal, seconds, kilobytes = here.recv()
        process.join()
    print(f"{seconds:.0f} s, {kilobytes / 1000:.0f} MB")
    assert present == museum.files.keys() - lost
    assert refusal == ""
    assert seconds < 180
    assert kilobytes < 500_000
