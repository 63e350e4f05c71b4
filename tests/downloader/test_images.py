"""Downloads from a host with faults: all its valid images arrive, and nothing else."""

import hashlib
import random
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from src.demo.server import served
from src.downloader import journal
from src.downloader.images import path_of, remove_partial_files, sizes_on_disk
from src.downloader.journal import DownloadRecord
from tests.support.hosts import QUICK, BadMuseum, Fault, download_all, draw_small

# Of a fault that lasts: outcome, start of the reason, number of requests
LASTING = {
    "404": ("permanent", "404 Not Found", 1),
    "410": ("permanent", "410 Gone", 1),
    "400": ("permanent", "400 Bad Request", 1),
    "401": ("permanent", "401 Unauthorized", 1),
    "403": ("permanent", "403 Forbidden", 1),
    "429": ("transient", "429 Too Many Requests", 4),
    "500": ("transient", "500 Internal Server Error", 4),
    "503": ("transient", "503 Service Unavailable", 4),
    "204": ("bad content", "204 No Content", 2),
    "reset": ("transient", "incomplete body", 4),
    "cut": ("transient", "incomplete body", 4),
    "cut chunks": ("transient", "incomplete body", 4),
    "cut unannounced": ("bad content", "OSError: image file is truncated", 2),
    "silent": ("transient", "timeout", 4),
    "trickle": ("transient", "timeout", 4),
    "garbage": ("transient", "connection closed without a response", 4),
    "html": ("bad content", "not an image: text/html", 2),
    "html as jpeg": ("bad content", "not an image", 2),
    "empty": ("bad content", "not an image", 2),
    "svg": ("bad content", "not an image", 2),
    "noise": ("bad content", "", 2),
    "endless": ("bad content", "larger than 60000 bytes", 1),
    "announced too large": ("bad content", "larger than 60000 bytes", 1),
    "zipped": ("bad content", "Content-Encoding gzip, though identity was asked for", 2),
    "vast": ("bad content", "400000000 pixels, more than data.max_pixels", 2),
    "moved round": ("permanent", "more than 5 redirects", 6),
    "moved to ftp": ("permanent", "not an http(s) URL: ftp://127.0.0.1/x.jpg", 1),
    "moved to file": ("permanent", "not an http(s) URL: file:///etc/hostname", 1),
    "moved with a password": ("permanent", "a URL with a user or password is refused", 1),
    "moved nowhere": ("permanent", "redirect to an invalid URL", 1),
}
PASSING = [name for name, (outcome, *_) in LASTING.items() if outcome != "permanent"]
WAITS = {  # shorter timeouts for hosts that never answer
    "silent": replace(QUICK, read_timeout=0.4),
    "trickle": replace(QUICK, total_timeout=0.6),
}
ONCE = [name for name in PASSING if name not in ("endless", "announced too large")]


@pytest.fixture
def museum(tmp_path: Path) -> Iterator[BadMuseum]:
    """Ten images."""
    folder = tmp_path / "host"
    bad = BadMuseum(draw_small(folder, 10), folder)
    with served(bad):
        yield bad


def assert_sound(museum: BadMuseum, folder: Path) -> dict[str, DownloadRecord]:
    """On disk are those images that the journal says are there, byte for byte, and nothing else."""
    records = journal.read_journal(folder / "journal.csv")
    had = {image_id: record for image_id, record in records.items() if record.ok}
    files = {path.stem: path for path in folder.glob("*/*")}
    assert files.keys() == had.keys()
    for image_id, path in files.items():
        assert path == folder / image_id[:2] / f"{image_id}.jpg"
        body = path.read_bytes()
        assert body == museum.files[image_id].read_bytes()
        digest, size = hashlib.sha256(body).hexdigest(), str(len(body))
        assert (had[image_id].sha256, had[image_id].bytes) == (digest, size)
        assert (had[image_id].width, had[image_id].height) == ("24", "24")
    return records


def test_images_arrive_byte_for_byte(museum: BadMuseum, tmp_path: Path) -> None:
    fetched = download_all(museum, tmp_path / "images")
    assert fetched.present.keys() == museum.files.keys()
    assert fetched.present == assert_sound(museum, tmp_path / "images")
    assert set(museum.asked.values()) == {1}


@pytest.mark.parametrize("name", LASTING)
def test_a_permanent_fault_has_its_outcome_and_number_of_requests(
    name: str, museum: BadMuseum, tmp_path: Path
) -> None:
    image_id = list(museum.files)[3]
    museum.faults[image_id] = Fault(name)
    fetched = download_all(museum, tmp_path / "images", WAITS.get(name, QUICK))
    record = assert_sound(museum, tmp_path / "images")[image_id]
    outcome, reason, requests = LASTING[name]
    assert (record.outcome, museum.asked[image_id]) == (outcome, requests)
    assert record.reason.startswith(reason)
    assert [failed.image_id for failed in fetched.failed] == [image_id]
    assert len(fetched.present) == 9


@pytest.mark.parametrize("name", ONCE)
def test_a_fault_that_occurs_once_costs_one_more_request(
    name: str, museum: BadMuseum, tmp_path: Path
) -> None:
    image_id = list(museum.files)[3]
    museum.faults[image_id] = Fault(name, times=1)
    assert len(download_all(museum, tmp_path / "images").present) == 10
    record = assert_sound(museum, tmp_path / "images")[image_id]
    assert (museum.asked[image_id], record.attempts) == (2, "2")


@pytest.mark.parametrize(
    ("images", "faults", "without"),
    [(200, 46, WAITS), pytest.param(2000, 396, {}, marks=pytest.mark.slow)],
)
def test_images_with_every_fault_mixed_in(
    images: int, faults: int, without: Collection[str], tmp_path: Path
) -> None:
    folder, draw = tmp_path / "host", random.Random(0)
    museum = BadMuseum(draw_small(folder, images), folder)
    kinds = [(name, None) for name in LASTING] + [(name, 1) for name in ONCE]
    kinds = [(name, times) for name, times in kinds if name not in without]
    assert len(kinds) <= faults
    waits = ["429 wait", "503 wait until"]
    for image_id, name in zip(list(museum.files)[-4:], waits * 2, strict=True):
        museum.faults[image_id] = Fault(name, 1)
    for number, image_id in enumerate(draw.sample(list(museum.files)[:-4], faults)):
        museum.faults[image_id] = Fault(*kinds[number % len(kinds)])
    with served(museum):
        fetched = download_all(museum, tmp_path / "images")
    records = assert_sound(museum, tmp_path / "images")
    assert records.keys() == museum.files.keys()
    for image_id, record in records.items():
        fault = museum.faults.get(image_id)
        if fault is None or fault.times:
            assert record.ok
            assert museum.asked[image_id] == (2 if fault else 1)
        else:
            outcome, reason, requests = LASTING[fault.name]
            assert (record.outcome, museum.asked[image_id]) == (outcome, requests)
            assert record.reason.startswith(reason)
    assert len(fetched.present) + len(fetched.failed) == images


def test_images_of_any_museum_are_found_on_disk(tmp_path: Path) -> None:
    """Ids need not be hexadecimal, as the National Gallery's are."""
    path = path_of(tmp_path, "met-436001")
    path.parent.mkdir()
    path.write_bytes(b"bytes")
    partial = path.with_suffix(".jpg.part")
    partial.touch()
    (tmp_path / "journal.csv").touch()
    assert sizes_on_disk(tmp_path) == {"met-436001": 5}
    remove_partial_files(tmp_path)
    assert path.exists() and not partial.exists()


def test_an_image_in_tiny_pieces_arrives_whole(museum: BadMuseum, tmp_path: Path) -> None:
    museum.every = Fault("pieces")
    assert download_all(museum, tmp_path / "images").present.keys() == museum.files.keys()
    for image_id, file in museum.files.items():
        assert path_of(tmp_path / "images", image_id).read_bytes() == file.read_bytes()
