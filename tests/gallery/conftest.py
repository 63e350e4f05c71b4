"""A museum on localhost, for tests of downloads."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from src.demo.server import served
from src.downloader.client import RetryPolicy
from tests.support.hosts import BadMuseum, draw_small, shorten_timeouts


@pytest.fixture
def museum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BadMuseum]:
    """Serve a museum of 40 images, and shorten the timeouts of the stage that downloads them."""
    quick = RetryPolicy(
        attempts=2, first_wait=0.01, connect_timeout=2, read_timeout=2, total_timeout=2
    )
    shorten_timeouts(monkeypatch, quick)
    bad = BadMuseum(draw_small(tmp_path / "host", 40), tmp_path / "host")
    with served(bad):
        yield bad
