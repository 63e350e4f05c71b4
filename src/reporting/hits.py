"""Which neighbors share the label of their query: those are underlined."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.gallery import Gallery
from src.reporting.labels import main_labels, measured_columns


@dataclass(frozen=True)
class Hits:
    """Pairs of a gallery's images that share a label; none if it is ""."""

    gallery: Gallery
    label: str

    def __call__(self, row: int, neighbor: int) -> bool:
        """Return whether two images are known to share the label."""
        return bool(self._codes[row] >= 0 and self._codes[row] == self._codes[neighbor])

    @cached_property
    def _codes(self) -> NDArray[np.int64]:
        """Return the label of each image as a number (n,), -1 if it is unknown."""
        return self.gallery.labels(self.label) if self.label else np.full(len(self.gallery), -1)

    @property
    def meaning(self) -> str:
        """Return what an underlined image is, "" without a label."""
        return f"underlined: the same {self.label} as the query" if self.label else ""

    def count(self, row: int, neighbors: list[int]) -> str:
        """Return the meaning with the number of a query's hits, "" without a label."""
        if not self.label:
            return ""
        if self._codes[row] < 0:
            return f"no image is underlined: the {self.label} of the query is unknown"
        found = sum(self(row, neighbor) for neighbor in neighbors)
        return f"{self.meaning} ({found} of {len(neighbors)})"


def main_hits(gallery: Gallery, metrics: Mapping[str, Any]) -> Hits:
    """Return the hits of the main label that was measured, else of the gallery's main label."""
    columns = [name for name in measured_columns(metrics) if name in gallery.works]
    columns = columns or gallery.label_columns()
    return Hits(gallery, main_labels(columns, gallery)[0] if columns else "")
