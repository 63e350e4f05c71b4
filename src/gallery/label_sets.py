"""Labels of which an image may have several, such as two styles: texts split at a separator.

n = images, v = values of the image that has most.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.gallery.gallery import LISTS, NON_LABEL_COLUMNS, Gallery

LIST_SEPARATOR = ";"  # of the museum's lists


def stored_separator(settings: Mapping[str, Any]) -> str | None:
    """Return evaluation.multilabel of a run's settings by dotted name, None for what is none.

    Anybody may have written them.
    """
    separator = settings.get("evaluation.multilabel")
    return separator if isinstance(separator, str) and separator.strip() else None


def label_sets(gallery: Gallery, column: str, separator: str | None) -> NDArray[np.int64]:
    """Return (n, v) int64: the numbers of each image's values of a column, then -1.

    The first value is the text's first. Values are numbered from 0 in order of appearance. With a
    separator, the museum's list of a column, such as styles for style, takes its place where works
    has one; without a separator, v is 1 and a text is one value. Raises UserError if there is no
    such column.
    """
    if separator is None:
        return gallery.labels(column)[:, None]
    gallery.labels(column)  # refuses a name that is no column
    values = _values(gallery, column, separator)
    lengths = np.array([len(names) for names in values], dtype=np.int64)
    codes = pd.factorize(np.array([name for names in values for name in names], dtype=object))[0]
    sets = np.full((len(gallery), max(1, int(lengths.max(initial=0)))), -1, dtype=np.int64)
    sets[np.arange(sets.shape[1]) < lengths[:, None]] = codes
    return sets


def first_values(gallery: Gallery, column: str, separator: str | None) -> "pd.Series[str]":
    """Return (n,) each image's value of a column, the first of several, "" if it is unknown."""
    if separator is None:
        return gallery.works[column]
    return pd.Series([next(iter(names), "") for names in _values(gallery, column, separator)])


def repeated_columns(gallery: Gallery, separator: str | None) -> list[str]:
    """Return the label columns that have several values, at least one of them in two images."""
    if separator is None:
        return gallery.label_columns()
    found = []
    for column in gallery.works.columns:
        if column not in NON_LABEL_COLUMNS:
            values = _values(gallery, column, separator)
            counts = Counter(name for names in values for name in names)
            if len(counts) > 1 and max(counts.values()) > 1:
                found.append(column)
    return found


def _values(gallery: Gallery, column: str, separator: str) -> list[list[str]]:
    """Return each image's different values of a column, in their order."""
    listed = LISTS.get(column, "")
    if listed in gallery.works:
        column, separator = listed, LIST_SEPARATOR
    parts = (text.split(separator) for text in gallery.works[column])
    return [list(dict.fromkeys(filter(None, map(str.strip, names)))) for names in parts]
