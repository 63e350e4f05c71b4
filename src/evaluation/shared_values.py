"""Images that share a value where each may have several, such as two styles or artists.

n = images, v = values of the image that has most, t = types: images with the same values, p = pairs
of a block. Imports no torch.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
PAIRS = 2**22  # of a block


def counts_of_sets(
    labels: Ints, excluded: Sequence[Ints], weights: Floats
) -> tuple[Floats, Floats]:
    """Return N and R of each image (n,): others that share no excluded value, and their right ones.

    labels and excluded are (n, v) each, -1 for no value; an image that shares a label is right.
    weights (n,) say how often an image counts. An image does not count itself.
    """
    forbidden = np.concatenate([_without_single(values) for values in _disjoint(excluded)], axis=1)
    kinds, kind = np.unique(
        np.sort(np.concatenate([labels, forbidden + (forbidden >= 0) * (labels.max() + 1)], 1), 1),
        axis=0,
        return_inverse=True,
    )
    kind = kind.reshape(-1)
    first = np.zeros(len(kinds), dtype=np.int64)
    first[kind[::-1]] = np.arange(len(kind))[::-1]  # an image of each type
    size = np.bincount(kind, weights)
    lost, lost_right = np.zeros((2, len(kinds)))
    for one, other in sharing_pairs(forbidden[first]):
        right = share(labels[first[one]], labels[first[other]])
        lost += np.bincount(one, size[other], len(kinds))
        lost_right += np.bincount(one, size[other] * right, len(kinds))
    itself = np.where((forbidden >= 0).any(axis=1), 0, weights)  # else it is among those lost
    labeled = (labels >= 0).any(axis=1)
    right = right_of_all(labels, weights) - lost_right[kind] - itself * labeled
    return weights.sum() - lost[kind] - itself, right


def right_of_all(labels: Ints, weights: Floats) -> Floats:
    """Return (n,) the sum of the weights of all images that share a label (n, v) with each."""
    sets, number = np.unique(labels, axis=0, return_inverse=True)
    number = number.reshape(-1)
    size, found = np.bincount(number, weights), np.zeros(len(sets))
    for one, other in sharing_pairs(sets):
        found += np.bincount(one, size[other], len(sets))
    return np.asarray(found[number])


def share(first: Ints, second: Ints) -> NDArray[np.bool_]:
    """Return (p,) whether rows of two arrays of values (p, v), -1 for none, share a value."""
    shared = np.zeros(len(first), dtype=bool)
    for one in first.T:
        for other in second.T:
            shared |= (one == other) & (one >= 0)
    return shared


def sharing_pairs(values: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield in blocks all pairs of rows of values (t, v) that share a value, each once.

    -1 is no value. A row with a value is paired with itself, too.
    """
    row = np.repeat(np.arange(len(values)), values.shape[1])
    value = values.reshape(-1)
    row, value = row[value >= 0], value[value >= 0]
    members = row[np.argsort(value, kind="stable")]  # by value
    number = np.bincount(value)
    start = np.cumsum(number) - number
    ends = np.cumsum(number[value])  # of the pairs of each entry
    while len(row):
        # all entries of a row stay in one block, so that a pair is found once
        stop = max(int(np.searchsorted(ends, ends[0] - number[value[0]] + PAIRS)), 1)
        stop = int(np.searchsorted(row, row[stop - 1], side="right"))
        lengths = number[value[:stop]]
        one = np.repeat(row[:stop], lengths)
        offset = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        other = members[np.repeat(start[value[:stop]], lengths) + offset]
        pairs = np.unique(one * len(values) + other)
        yield pairs // len(values), pairs % len(values)
        row, value, ends = row[stop:], value[stop:], ends[stop:]


def _disjoint(columns: Sequence[Ints]) -> list[Ints]:
    """Return the arrays of values (n, v) with numbers that no two of them share."""
    found, low = [], 0
    for values in columns:
        found.append(np.where(values >= 0, values + low, -1))
        low += int(values.max(initial=-1)) + 1
    return found


def _without_single(values: Ints) -> Ints:
    """Return values (n, v) with -1 for those that a single image has."""
    number = np.bincount(values[values >= 0], minlength=1)
    return np.where((values >= 0) & (number[values] > 1), values, -1)
