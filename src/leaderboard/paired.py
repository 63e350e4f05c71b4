"""The paired differences of runs to one of them, query by query.

n = images, c = classes, m = runs that are compared. Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from src.evaluation.bootstrap import intervals
from src.evaluation.judged_table import JUDGEMENTS
from src.evaluation.metrics import depends_on, ranks_settings
from src.evaluation.significance import holm, sign_flip_p_values
from src.leaderboard.classes import Classes
from src.leaderboard.runs import Run
from src.runtime.progress import Watch, progress, unwatched

RESAMPLES = 1000  # of an interval
LEVEL = 0.05  # of the tests together
NUMBERS_AT_ONCE = 2**24  # that are resampled together, of several runs
CHANCE_TOLERANCE = 1e-6  # it follows from the sizes of classes, not from the embedding
ALL = slice(None)
Interval = tuple[float | None, float | None]  # its ends, None where it is not known


@dataclass(frozen=True)
class Difference:
    """A run minus the reference, in the unit of the metric; None for what is not known."""

    value: float | None = None
    low: float | None = None  # the 95% interval by a paired bootstrap
    high: float | None = None
    p: float | None = None  # two-sided, by sign flips
    p_holm: float | None = None  # adjusted for all comparisons

    @property
    def survives(self) -> bool:
        """Return whether the difference is significant after Holm's correction."""
        return self.p_holm is not None and self.p_holm <= LEVEL


@dataclass(frozen=True)
class Paired:
    """Runs of a board compared with one of them by a metric."""

    metric: str
    runs: Sequence[Run]
    reference: Run
    classes: Classes

    @cached_property
    def unequal_settings(self) -> list[str]:
        """Return the settings on which the metric depends and in which the runs differ."""
        return unequal_settings(self.metric, self.runs)

    @cached_property
    def is_by_class(self) -> bool:
        """Return whether classes are resampled, and not queries: unless all runs ask for those."""
        asked = {str(run.settings.get("evaluation.resample", "class")) for run in self.runs}
        return self.classes.ids is not None and asked != {"query"}

    @cached_property
    def queries(self) -> list[NDArray[np.bool_] | None]:
        """Return of each run which images have a value of their own (n,); None if unknown."""
        values = [run.query_values(self.metric) for run in self.runs]
        return [None if found is None else ~np.isnan(found) for found in values]

    @cached_property
    def reference_queries(self) -> NDArray[np.bool_] | None:
        """Return which images are queries of the reference (n,)."""
        return self.queries[self.runs.index(self.reference)]

    def has_same_queries(self, at: int) -> bool:
        """Return whether the queries of a run are those of the reference; also if both lack any.

        They also have to have as many possible neighbors of their class, as chance tells.
        """
        queries, reference = self.queries[at], self.reference_queries
        if queries is None or reference is None:
            return queries is reference
        return np.array_equal(queries, reference) and self.has_same_chance(at)

    def has_same_chance(self, at: int) -> bool:
        """Return whether random order would give a run what it would give the reference."""
        name = f"{self.metric}_chance"
        own, reference = (run.metrics.get(name) for run in (self.runs[at], self.reference))
        return own is None or reference is None or abs(own - reference) < CHANCE_TOLERANCE

    @cached_property
    def units(self) -> NDArray[np.int64] | None:
        """Return for each query of the reference (q,) the number of what is resampled with it."""
        if self.reference_queries is None:
            return None
        rows = np.flatnonzero(self.reference_queries)
        if not self.is_by_class or self.classes.ids is None:
            return np.arange(len(rows))
        ids = self.classes.ids[rows]
        ids = np.where(ids < 0, -1 - rows, ids)  # an image without a class stands alone
        return np.unique(ids, return_inverse=True)[1].reshape(-1)

    @property
    def unit_count(self) -> int:
        """Return how many classes, or queries, are resampled; 0 if that is not known."""
        return 0 if self.units is None or not len(self.units) else int(self.units.max()) + 1

    @cached_property
    def differences(self) -> list[Difference]:
        """Return each run's difference; that of the reference is empty.

        So are those of runs with other queries, and all if the metric depends on unequal settings.
        """
        found = [self._difference(at) for at in range(len(self.runs))]
        known = [at for at, difference in enumerate(found) if difference.value is not None]
        places = known if self.reference_queries is not None else []
        step = max(1, NUMBERS_AT_ONCE // max(1, self.reference.rows))
        for start in range(0, len(places), step):
            part = places[start : start + step]
            pairs = {str(at): self.pairs(self.runs[at]) for at in part}
            for at, ends in zip(part, self._intervals(pairs, progress), strict=True):
                found[at] = replace(found[at], low=ends[0], high=ends[1])
        return found

    def _difference(self, at: int) -> Difference:
        run = self.runs[at]
        if run is self.reference or self.unequal_settings or not self.has_same_queries(at):
            return Difference()
        value, reference = (float(of.metrics[self.metric]) for of in (run, self.reference))
        return Difference(value - reference)

    @cached_property
    def reference_values(self) -> NDArray[np.float64] | None:
        """Return the metric of the reference for each image (n,), NaN without one."""
        return self.reference.query_values(self.metric)

    def pairs(self, run: Run) -> NDArray[np.float64]:
        """Return run minus reference for each query of both (q,), which must have the same."""
        values, reference = run.query_values(self.metric), self.reference_values
        assert values is not None and reference is not None
        return (values - reference)[self.reference_queries]

    def interval(
        self, name: str, values: NDArray[np.float64], among: NDArray[np.bool_]
    ) -> Interval:
        """Return the 95% interval of the mean of values (q,) of some of the queries.

        name is that of the metric, unless values are differences. A single class has no interval.
        """
        (ends,) = self._intervals({name: values}, among=among)
        return ends

    def _intervals(
        self,
        values: dict[str, NDArray[np.float64]],
        watch: Watch = unwatched,
        among: NDArray[np.bool_] | slice = ALL,
    ) -> list[Interval]:
        """Return the 95% intervals of the means of values (q,), all by the same resamples."""
        assert self.units is not None
        chosen = {name: of_queries[among] for name, of_queries in values.items()}
        classes = dict.fromkeys(values, self.units[among]) if self.is_by_class else {}
        ends = intervals(chosen, classes, RESAMPLES, 0, watch)
        return [(ends.get(f"{name}_low"), ends.get(f"{name}_high")) for name in values]

    @cached_property
    def tested(self) -> list[Difference]:
        """Return the differences with their p-values, adjusted for the number of comparisons.

        A metric that cannot rank settings is not tested.
        """
        differences = list(self.differences)
        if not ranks_settings(self.metric):
            return differences
        places = [at for at, found in enumerate(differences) if found.low is not None]
        if not places:
            return differences
        sums = np.stack([self._sums(self.runs[at]) for at in places], axis=1)  # (c, m)
        p_values = sign_flip_p_values(sums)
        for at, p, adjusted in zip(places, p_values, holm(p_values), strict=True):
            differences[at] = replace(differences[at], p=float(p), p_holm=float(adjusted))
        return differences

    def _sums(self, run: Run) -> NDArray[np.float64]:
        """Return the summed differences of each unit (c,)."""
        assert self.units is not None
        return np.asarray(np.bincount(self.units, self.pairs(run), minlength=self.unit_count))


def unequal_settings(metric: str, runs: Sequence[Run]) -> list[str]:
    """Return the settings on which a metric depends and in which the runs differ.

    A run that lacks a setting, as one of an earlier version may, does not differ in it.
    """
    values = {
        name: {value for run in runs if (value := _setting(run, metric, name)) is not None}
        for name in depends_on(metric)
    }
    return [name for name, found in values.items() if len(found) > 1]


def _setting(run: Run, metric: str, name: str) -> str | None:
    """Return a setting of a run as text; of judgements, which grow, what the file held."""
    if name == JUDGEMENTS:
        return str(run.metrics.get("judgements")) if metric in run.metrics else None
    return str(run.settings[name]) if name in run.settings else None
