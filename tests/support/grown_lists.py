"""Searches that go on from kept lists, and what they multiply."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src.similarity import Neighbors, NeighborSearch, SearchOptions
from src.similarity.centering import Centered
from src.similarity.growth import Growth

N, NEW, WIDTH, K = 400, 20, 12, 5
ROWS = np.random.default_rng(0).random((N, WIDTH), dtype="f4")
IS_NEW = np.isin(np.arange(N), np.random.default_rng(1).choice(N, NEW, replace=False))


def keep(folder: Path, rows: Any, k: int, groups: Any = None, **options: Any) -> Neighbors:
    """Return the neighbors, with the help of what is in folder/earlier, and keep them in folder."""
    given = SearchOptions(lists=folder, earlier=(folder / "earlier",), **options)
    return NeighborSearch(rows, groups, given).nearest(k)


class Compared:
    """Counts what is multiplied, and notes what searches go on from."""

    def __init__(self) -> None:
        self.pairs = 0
        self.growths: list[Growth | None] = []

    def __enter__(self) -> "Compared":
        """Begin to count."""
        self._patch = pytest.MonkeyPatch()
        tile, compare = Centered.tile, NeighborSearch.compare

        def counted(centered: Centered, rows: Any, columns: slice, *rest: Any) -> torch.Tensor:
            found = tile(centered, rows, columns, *rest)
            self.pairs += found.numel()
            return found

        def noted(*given: Any, **named: Any) -> Any:
            self.growths.append(named.get("growth"))
            return compare(*given, **named)

        self._patch.setattr(Centered, "tile", counted)
        self._patch.setattr(NeighborSearch, "compare", noted)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._patch.undo()
