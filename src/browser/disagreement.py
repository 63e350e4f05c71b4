"""Where two runs disagree: the neighbors that their lists share, and the precision of each list.

n = images, k = neighbors of each. Only runs over the same images in the same rows are compared.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.browser.opened import OpenRun
from src.evaluation.hubness import shared_neighbors
from src.reporting.hits import main_hits

ORDERS = {"": "Fewest shared neighbors", "gains": "Gains most", "losses": "Loses most"}


class Precision(NamedTuple):
    """The average precision of each image's list."""

    label: str  # an image's hits have its value of this column; "" without labels
    values: NDArray[np.float64]  # (n,) NaN where it is unknown


class Disagreement(NamedTuple):
    """What two runs share, image by image."""

    k: int  # neighbors of each list that are compared
    shared: NDArray[np.int64]  # (n,) neighbors in both lists
    gain: NDArray[np.float64]  # (n,) in average precision, from the first to the second, or NaN

    @property
    def jaccard(self) -> NDArray[np.float64]:
        """Return (n,) the share of the neighbors in either list that are in both."""
        return np.asarray(self.shared / (2 * self.k - self.shared))


def comparable_runs(run: OpenRun, runs: Sequence[OpenRun]) -> list[OpenRun]:
    """Return the runs, this one among them, over the same images in the same rows."""
    return [other for other in runs if other.images == run.images]


def why_left_out(run: OpenRun, runs: Sequence[OpenRun]) -> list[tuple[str, str]]:
    """Return the names of the runs that cannot be compared with this one, with the reason."""
    others = [other for other in runs if other.images != run.images]
    return [
        (
            other.name,
            f"it is over {len(other)} images, this run over {len(run)}"
            if len(other) != len(run)
            else "its images are others, or in another folder",
        )
        for other in others
    ]


@lru_cache(maxsize=64)
def precision_of(run: OpenRun) -> Precision:
    """Return the average precision of a run's main label."""
    label = main_hits(run.gallery, run.metrics, run.settings).label
    values = run.files.query_values(f"{label}/map_at_10", len(run)) if label else None
    return Precision(label, np.full(len(run), np.nan) if values is None else values)


@lru_cache(maxsize=64)
def disagreement(first: OpenRun, second: OpenRun) -> Disagreement:
    """Return what two comparable runs share."""
    gain = precision_of(second).values - precision_of(first).values
    k = min(first.index.shape[1], second.index.shape[1])
    return Disagreement(k, shared_neighbors(first.index, second.index), gain)


@lru_cache(maxsize=64)
def ordered_rows(first: OpenRun, second: OpenRun, order: str) -> NDArray[np.int64]:
    """Return the images by one of ORDERS, of those that have a page; equal ones by row.

    "" is fewest shared neighbors first, of equal ones the largest difference in average precision.
    Gains and losses are of those that gain or lose.
    """
    rows, (_, shared, gain) = first.rows, disagreement(first, second)
    gain = np.nan_to_num(gain[rows])
    if order == "":
        return np.asarray(rows[np.lexsort((-np.abs(gain), shared[rows]))])
    gain = gain if order == "gains" else -gain
    sequence = np.argsort(-gain, kind="stable")
    return np.asarray(rows[sequence[: np.count_nonzero(gain > 0)]])
