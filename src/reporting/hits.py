"""Which neighbors share the label of their query: those are underlined."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from src.gallery import Gallery
from src.gallery.label_sets import label_sets, stored_separator
from src.reporting.labels import main_labels, measured_columns


@dataclass(frozen=True)
class Hits:
    """Pairs of a gallery's images that share a label; none if it is ""."""

    gallery: Gallery
    label: str
    separator: str | None = None  # evaluation.multilabel

    def __call__(self, row: int, neighbor: int) -> bool:
        """Return whether two images are known to share the label."""
        return not self._values[row].isdisjoint(self._values[neighbor])

    @cached_property
    def _values(self) -> list[set[int]]:
        """Return the labels of each image as numbers, none if they are unknown."""
        if not self.label:
            return [set() for _ in range(len(self.gallery))]
        sets = label_sets(self.gallery, self.label, self.separator)
        return [{value for value in values if value >= 0} for values in sets.tolist()]

    @property
    def meaning(self) -> str:
        """Return what an underlined image is, "" without a label."""
        return f"underlined: the same {self.label} as the query" if self.label else ""

    def count(self, row: int, neighbors: list[int]) -> str:
        """Return the meaning with the number of a query's hits, "" without a label."""
        if not self.label:
            return ""
        if not self._values[row]:
            return f"no image is underlined: the {self.label} of the query is unknown"
        found = sum(self(row, neighbor) for neighbor in neighbors)
        return f"{self.meaning} ({found} of {len(neighbors)})"


def main_hits(gallery: Gallery, metrics: Mapping[str, Any], settings: Mapping[str, Any]) -> Hits:
    """Return the hits of the main label that was measured, else of the gallery's main label.

    settings are those of the run, by dotted name.
    """
    columns = [name for name in measured_columns(metrics) if name in gallery.works]
    columns = columns or gallery.label_columns()
    label = main_labels(columns, gallery)[0] if columns else ""
    return Hits(gallery, label, stored_separator(settings))
