"""Inputs of several stages' tests."""

from pathlib import Path

import pytest

from tests.support.own_vectors import saved
from tests.support.ranked_run import clustered


@pytest.fixture(name="vectors")
def small_vectors(tmp_path: Path) -> Path:
    """Return a file of 60 vectors of 24 numbers."""
    return saved(tmp_path, clustered())
