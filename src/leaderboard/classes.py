"""The classes of a metric's label, which are resampled, flipped and put into halves as wholes.

n = images. Imports no torch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.errors import UserError
from src.evaluation.metrics import FILTER, find_metric
from src.gallery.label_sets import first_values, stored_separator
from src.leaderboard.runs import Run


class Classes(NamedTuple):
    """The class of each image of a board, such as its artist."""

    column: str  # of works.csv, "" for a metric without a label
    ids: NDArray[np.int64] | None = None  # (n,), -1 for none; None if they are not known
    names: Sequence[str] = ()  # by id
    why_unknown: str = ""


def label_column(metric: str) -> str:
    """Return the column of works.csv that a metric is about, "" if it is about none.

    >>> label_column("style-no_same_artist/map_at_10"), label_column("object/recall_at_1")
    ('style', 'object_id')
    >>> label_column("intra"), label_column("seconds/rank")
    ('', '')
    """
    found, label = find_metric(metric), metric.rpartition("/")[0]
    if found is None or not found.pattern.startswith(("<label>/", "object/")):
        return ""
    return "object_id" if label == "object" else label.partition(FILTER)[0]


def read_classes(runs: Sequence[Run], metric: str) -> Classes:
    """Return the classes of the metric's label, from the first of comparable runs that has them."""
    column, why = label_column(metric), ""
    for run in runs if column else ():
        try:
            gallery = run.files.gallery()
        except (UserError, OSError):  # it was deleted, or the run was copied alone
            why = why or "the gallery of the runs is gone or damaged"
            continue
        if column not in gallery.works:
            why = f"works.csv has no column {column}"
            continue
        recorded = run.files.label_hashes().get(column)
        if recorded not in (None, gallery.label_fingerprints().get(column)):
            why = f"the labels in {gallery.name} were changed after the run"
            continue
        values = first_values(gallery, column, stored_separator(run.settings))
        ids, names = pd.factorize(values.where(values != ""))
        return Classes(column, ids.astype(np.int64), names.tolist())
    return Classes(column, why_unknown=why)
