"""Fixtures of the tests of searches."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from src.similarity import search
from src.similarity.centering import Centered, center
from tests.support.grown_lists import IS_NEW, ROWS, K, keep


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of lists; the lists of the first images are in its subfolder."""
    keep(tmp_path / "earlier", ROWS[~IS_NEW], K)
    return tmp_path


@pytest.fixture
def inexact_pass(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fast pass that is off by up to the first number, with a bound that says the second."""
    tile, (off, bound) = Centered.tile, request.param

    def wrong(self: Centered, *where: slice | torch.Tensor) -> torch.Tensor:
        right = tile(self, *where)
        return right + off * torch.sin(1e4 * right)

    def claimed(rows: torch.Tensor, *how: object) -> Centered:
        centered = center(rows, *how)
        return replace(centered, bound=centered.bound + bound)

    monkeypatch.setattr(Centered, "tile", wrong)
    monkeypatch.setattr(search, "center", claimed)
    monkeypatch.setattr(search, "MARGIN", 1)
