"""The best run chosen on one half of a label's classes and reported on the other.

The best of many runs is partly best by chance; on classes that had no say in the choice it is not.
n = images. Imports no torch.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from src.evaluation.metrics import direction
from src.leaderboard.paired import Difference, Paired

NAMES = ("A", "B")
# One seed for everybody: who could choose it could choose the split on which a run wins
SEED = 0


def half_of(name: str) -> int:
    """Return the half of a class, 0 or 1, which depends on nothing but its name.

    >>> [half_of(name) for name in ("Claude Monet", "Berthe Morisot", "Édouard Manet")]
    [1, 1, 0]
    """
    text = f"half of the classes, seed {SEED}: {name}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[0] % 2


@dataclass(frozen=True)
class Choice:
    """A run that is the best on one half, and what it is on the other half."""

    at: int  # place among the runs
    chosen_on: int  # 0 or 1, in NAMES
    value: float  # on that half
    other: float  # on the other half
    low: float | None  # 95% interval of the latter
    high: float | None
    difference: Difference  # to the reference, on the other half; empty for the reference itself

    @property
    def name(self) -> str:
        """Return the name of the half that it was chosen on."""
        return NAMES[self.chosen_on]

    @property
    def other_name(self) -> str:
        """Return the name of the half that had no say."""
        return NAMES[1 - self.chosen_on]


@dataclass(frozen=True)
class Halves:
    """The runs of a board on each half of the classes."""

    paired: Paired

    @property
    def why_not(self) -> str:
        """Return why the classes are not halved, "" if they are."""
        classes, metric = self.paired.classes, self.paired.metric
        if not classes.column:
            return f"{metric} has no label whose classes could be halved"
        if self.paired.reference_queries is None:
            return f"{metric} has no value for each query"
        if classes.ids is None:
            return f"the classes of {metric} are not known: {classes.why_unknown}"
        if self.paired.unequal_settings:
            return f"{metric} is not comparable between these runs"
        if sum(map(self.paired.has_same_queries, range(len(self.paired.runs)))) < 2:
            return "there are no two comparable runs to choose from"
        if not all(queries for _, queries in self.sizes):
            return f"all classes of {classes.column} are in the same half"
        return ""

    @cached_property
    def of_images(self) -> NDArray[np.int8]:
        """Return (n,) the half of each image: 0 or 1, -1 for an image without a class."""
        classes = self.paired.classes
        assert classes.ids is not None
        return np.array([*map(half_of, classes.names), -1], dtype=np.int8)[classes.ids]

    @cached_property
    def of_queries(self) -> NDArray[np.int8]:
        """Return the half of each query of the reference (q,)."""
        return self.of_images[self.paired.reference_queries]

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Return of each half how many classes and queries it has."""
        queries, ids = self.paired.reference_queries, self.paired.classes.ids
        assert ids is not None
        return [
            (len(np.unique(ids[queries][inside])), int(inside.sum()))
            for inside in (self.of_queries == half for half in (0, 1))
        ]

    @cached_property
    def values(self) -> list[tuple[float, float]]:
        """Return the metric of each run on each half, NaN where it is not known."""
        return [self._means(run.query_values(self.paired.metric)) for run in self.paired.runs]

    def _means(self, values: NDArray[np.float64] | None) -> tuple[float, float]:
        """Return the mean of values (n,) over the queries of each half."""
        if values is None:
            return np.nan, np.nan
        inside = [values[(self.of_images == half) & ~np.isnan(values)] for half in (0, 1)]
        first, second = (float(part.mean()) if len(part) else np.nan for part in inside)
        return first, second

    def choose(self, half: int) -> Choice:
        """Return the best run on a half, among those with the queries of the reference.

        Of equal runs it is the first.
        """
        paired, other = self.paired, self.of_queries != half
        places = [at for at in range(len(paired.runs)) if paired.has_same_queries(at)]
        sign = direction(paired.metric)
        at = max(places, key=lambda at: sign * self.values[at][half])
        values = paired.runs[at].query_values(paired.metric)
        assert values is not None
        ends = paired.interval(paired.metric, values[paired.reference_queries], other)
        return Choice(
            at, half, self.values[at][half], self.values[at][1 - half], *ends, self._gap(at, other)
        )

    def _gap(self, at: int, among: NDArray[np.bool_]) -> Difference:
        """Return a run minus the reference among some of the queries (q,)."""
        run = self.paired.runs[at]
        if run is self.paired.reference:
            return Difference()
        pairs = self.paired.pairs(run)
        ends = self.paired.interval("difference", pairs, among)
        return Difference(float(pairs[among].mean()), *ends)

    @cached_property
    def choices(self) -> list[Choice]:
        """Return the choice on each half."""
        return [self.choose(half) for half in (0, 1)]
