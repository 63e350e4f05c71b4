"""A IIIF institution on localhost, for tests of data=iiif."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from src.demo.server import served
from src.downloader.client import RetryPolicy
from tests.support.hosts import draw_small, shorten_timeouts
from tests.support.iiif_host import IiifHost

WORKS = 24


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IiifHost]:
    """Serve 24 works in collections of both versions, and shorten the client's timeouts."""
    quick = RetryPolicy(
        attempts=4, first_wait=0.01, connect_timeout=4, read_timeout=4, total_timeout=8
    )
    shorten_timeouts(monkeypatch, quick)
    records = draw_small(tmp_path / "host", WORKS, side=64)
    with served(museum := IiifHost(records, tmp_path / "host")):
        yield museum
