"""The labels that a run has measured, and those that say most."""

from collections.abc import Mapping
from typing import Any

from src.evaluation.metrics import FILTER, is_of_label, main_names
from src.gallery import Gallery

END = "/precision_at_1"  # of the names of a label's metrics


def measured_columns(metrics: Mapping[str, Any]) -> list[str]:
    """Return the label columns that have metrics, in their order."""
    measured = (name.removesuffix(END) for name in metrics if is_of_label(name, END))
    return list(dict.fromkeys(map(column_of, measured)))


def column_of(name: str) -> str:
    """Return the column of a label with or without a filter."""
    return name.partition(FILTER)[0]


def main_labels(columns: list[str], gallery: Gallery) -> list[str]:
    """Return the labels to show: those that paintings usually have, else the most detailed.

    `columns` are those measured, at least one. The most detailed has most values that several
    images share; of equal ones the first.
    """
    return main_names(columns) or [max(columns, key=lambda name: _shared_values(gallery, name))]


def _shared_values(gallery: Gallery, column: str) -> int:
    """Return the number of values that at least two images have."""
    values = gallery.works[column]
    return int((values[values != ""].value_counts() > 1).sum())
