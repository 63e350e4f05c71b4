"""A IIIF institution on localhost, for tests of data=iiif."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from src.demo.server import served
from src.downloader.client import PoliteClient, RetryPolicy
from src.gallery import museum as stage
from tests.support.hosts import draw_small
from tests.support.iiif_host import IiifHost

WORKS = 24


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IiifHost]:
    """Serve 24 works in collections of both versions, and shorten the client's timeouts."""
    quick = RetryPolicy(
        attempts=4, first_wait=0.01, connect_timeout=2, read_timeout=1, total_timeout=2
    )
    monkeypatch.setattr(
        stage, "PoliteClient", lambda *options: PoliteClient(*options, retry_policy=quick)
    )
    records = draw_small(tmp_path / "host", WORKS, side=64)
    with served(museum := IiifHost(records, tmp_path / "host")):
        yield museum
