"""A museum of one image, for tests of the client and its robots.txt."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from src.demo.server import served
from tests.support.hosts import BadMuseum, draw_small


@pytest.fixture
def museum(tmp_path: Path) -> Iterator[BadMuseum]:
    """Serve a museum of one image; files that need more images define another museum."""
    bad = BadMuseum(draw_small(tmp_path, 1), tmp_path)
    with served(bad):
        yield bad
