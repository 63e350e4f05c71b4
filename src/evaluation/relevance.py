"""Which images may be neighbors of a query, and which of them are right.

n = images, b = queries of a block, k = neighbors of each. Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Relevance:
    """The candidates of each query, and their labels.

    An image with the query's label is right, one without a label wrong. An image is in its own
    groups, and so is no candidate for itself.
    """

    labels: Ints  # (n,), -1 if unknown
    excluded: Sequence[Ints]  # (n,) group ids each; images of one group are no candidates
    left_out: Flags | None = None  # (n,) images that are neither queries nor candidates

    def counts(self, images: Flags | None = None) -> tuple[Ints, Ints]:
        """Return N and R of each query (n,): its candidates, and those of them that are right.

        images (n,), if given, says which images are counted.
        """
        weights = np.ones(len(self.labels)) if images is None else images.astype(np.float64)
        if self.left_out is not None:
            weights = weights * ~self.left_out
        candidates = np.full(len(weights), weights.sum())
        relevant = _weight(self._label_ids, weights)
        for sign, joint, with_label in self._shared_groups:
            candidates += sign * _weight(joint, weights)
            relevant += sign * _weight(with_label, weights)
        return candidates.astype(np.int64), relevant.astype(np.int64)

    def allowed(self, query: Ints, neighbor: NDArray[np.int32]) -> Flags:
        """Return which neighbors (b, k) of the queries (b,) are candidates."""
        allowed = np.ones(neighbor.shape, dtype=bool)
        for ids in self._small_groups:
            allowed &= ids[neighbor] != ids[query, None]
        if self.left_out is not None:
            allowed &= ~self.left_out[neighbor]
        return allowed

    def right(self, query: Ints, neighbor: NDArray[np.int32]) -> Flags:
        """Return which neighbors (b, k) have the label of their query (b,), which has one."""
        return np.asarray(self._small_labels[neighbor] == self._small_labels[query, None])

    @cached_property
    def _label_ids(self) -> Ints:
        return renumber(self.labels)

    @cached_property
    def _small_labels(self) -> NDArray[np.int32]:
        return self.labels.astype(np.int32)  # half the memory traffic

    @cached_property
    def _small_groups(self) -> list[NDArray[np.int32]]:
        return [renumber(ids).astype(np.int32) for ids in self.excluded]

    @cached_property
    def _shared_groups(self) -> list[tuple[int, Ints, Ints]]:
        """Return the terms of inclusion and exclusion over groups that two images share.

        A term is its sign, an id (n,) of the groups, and one (n,) of the groups and the label.
        """
        groups = [renumber(ids) for ids in self.excluded]
        subsets = [
            subset for size in range(1, len(groups) + 1) for subset in combinations(groups, size)
        ]
        joints = [((-1) ** len(subset), _joint(subset)) for subset in subsets]
        return [(sign, joint, _joint((self._label_ids, joint))) for sign, joint in joints]


def renumber(values: Ints) -> Ints:
    """Return (n,) the same groups with ids from 0 up."""
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def _joint(columns: Sequence[Ints]) -> Ints:
    """Return (n,) an id for each combination of the ids in columns."""
    joint = columns[0]
    for ids in columns[1:]:
        joint = renumber(joint * (int(ids.max()) + 1) + ids)
    return joint


def _weight(ids: Ints, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) the sum of the weights of the images that share each image's id."""
    return np.asarray(np.bincount(ids, weights)[ids], dtype=np.float64)
