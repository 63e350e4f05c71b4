"""Which images may be neighbors of a query, and which of them are right.

n = images, b = queries of a block, k = neighbors of each. Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from src.evaluation.shared_values import counts_of_sets

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Columns = list[NDArray[np.int32]]  # (n,) each; int32 is half the memory traffic


@dataclass(frozen=True)
class Relevance:
    """The candidates of each query, and their labels.

    An image that shares a label with the query is right, one without a label wrong. An image is in
    its own groups, and so is no candidate for itself.
    """

    # (n,), -1 if unknown, or (n, v) for up to v labels of an image, then -1
    labels: Ints
    # (n,) or (n, v) group ids each; images that share one are no candidates. The first is (n,)
    excluded: Sequence[Ints]
    left_out: Flags | None = None  # (n,) images that are neither queries nor candidates

    def counts(self, images: Flags | None = None) -> tuple[Ints, Ints]:
        """Return N and R of each query (n,): its candidates, and those of them that are right.

        images (n,), if given, says which images are counted.
        """
        weights = np.ones(len(self.labels)) if images is None else images.astype(np.float64)
        if self.left_out is not None:
            weights = weights * ~self.left_out
        if self._has_sets:
            labels, *groups = (_as_sets(values) for values in (_known(self.labels), *self._groups))
            counts = counts_of_sets(labels, groups, weights)
            return counts[0].astype(np.int64), counts[1].astype(np.int64)
        candidates = np.full(len(weights), weights.sum())
        relevant = _weight(self._label_ids, weights)
        for sign, joint, with_label in self._shared_groups:
            candidates += sign * _weight(joint, weights)
            relevant += sign * _weight(with_label, weights)
        relevant[self.labels < 0] = 0
        return candidates.astype(np.int64), relevant.astype(np.int64)

    def allowed(self, query: Ints, neighbor: NDArray[np.int32]) -> Flags:
        """Return which neighbors (b, k) of the queries (b,) are candidates."""
        allowed = np.ones(neighbor.shape, dtype=bool)
        for columns in self.group_columns:
            allowed &= ~shared_values(columns, query, neighbor)
        if self.left_out is not None:
            allowed &= ~self.left_out[neighbor]
        return allowed

    def right(self, query: Ints, neighbor: NDArray[np.int32]) -> Flags:
        """Return which neighbors (b, k) share a label with their query (b,)."""
        return shared_values(self.label_columns, query, neighbor)

    @cached_property
    def classes(self) -> Ints:
        """Return (n,) the label of each image, the first of several, -1 if unknown."""
        return _as_sets(self.labels)[:, 0]

    @property
    def _has_sets(self) -> bool:
        return any(values.ndim > 1 for values in (self.labels, *self.excluded))

    @cached_property
    def _label_ids(self) -> Ints:
        return renumber(self.labels)

    @cached_property
    def _groups(self) -> list[Ints]:
        return [renumber(ids) if ids.ndim == 1 else _known(ids) for ids in self.excluded]

    @cached_property
    def label_columns(self) -> Columns:
        """Return the columns of labels, (n,) each, numbered from 0 up, -1 for none."""
        return _columns(_known(self.labels))

    @cached_property
    def group_columns(self) -> list[Columns]:
        """Return the columns of each of `excluded`, (n,) each, numbered from 0 up, -1 for none."""
        return [_columns(ids) for ids in self._groups]

    @cached_property
    def _shared_groups(self) -> list[tuple[int, Ints, Ints]]:
        """Return the terms of inclusion and exclusion over groups that two images share.

        A term is its sign, an id (n,) of the groups, and one (n,) of the groups and the label.
        """
        subsets = [
            subset
            for size in range(1, len(self._groups) + 1)
            for subset in combinations(self._groups, size)
        ]
        joints = [((-1) ** len(subset), _joint(subset)) for subset in subsets]
        return [(sign, joint, _joint((self._label_ids, joint))) for sign, joint in joints]


def renumber(values: Ints) -> Ints:
    """Return (n,) the same groups with ids from 0 up."""
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def _columns(values: Ints) -> Columns:
    """Return the columns of values (n,) or (n, v)."""
    return [column.astype(np.int32) for column in np.atleast_2d(values.T)]


def _known(values: Ints) -> Ints:
    """Return values (n,) or (n, v) >= 0 numbered from 0 up, and -1 for others."""
    numbers = np.full(values.shape, -1)
    numbers[values >= 0] = renumber(values[values >= 0])
    return numbers


def _as_sets(values: Ints) -> Ints:
    """Return values (n,) or (n, v) as (n, v)."""
    return values.reshape(len(values), -1)


def shared_values(columns: Columns, query: Ints, neighbor: NDArray[np.integer]) -> Flags:
    """Return which neighbors (b, k) have a value >= 0 of their query (b,) in one of the columns."""
    shared = np.zeros(neighbor.shape, dtype=bool)
    for own in columns:
        values = np.where(own[query] < 0, -2, own[query])[:, None]
        if (values >= 0).any():
            for column in columns:
                shared |= np.take(column, neighbor) == values
    return shared


def _joint(columns: Sequence[Ints]) -> Ints:
    """Return (n,) an id for each combination of the ids in columns."""
    joint = columns[0]
    for ids in columns[1:]:
        joint = renumber(joint * (int(ids.max()) + 1) + ids)
    return joint


def _weight(ids: Ints, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) the sum of the weights of the images that share each image's id."""
    return np.asarray(np.bincount(ids, weights)[ids], dtype=np.float64)
