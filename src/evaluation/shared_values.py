"""Images that share a value where each may have several, such as two styles or artists.

n = images, v = values of the image that has most, t = subsets of the values of all images. Imports
no torch.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
MANY = 8  # values of an image in all relations together, beyond which it is compared with each


def counts_of_sets(
    labels: Ints, excluded: Sequence[Ints], weights: Floats
) -> tuple[Floats, Floats]:
    """Return N and R of each image (n,): others that share no excluded value, and their right ones.

    labels and excluded are (n, v) each, -1 for no value; an image that shares a label is right.
    weights (n,) say how often an image counts. An image does not count itself.
    """
    forbidden = np.concatenate([_without_single(values) for values in _disjoint(excluded)], axis=1)
    lost = sharing([forbidden], weights)
    right = sharing([labels], weights) - sharing([labels, forbidden], weights)
    itself = np.where((forbidden >= 0).any(axis=1), 0, weights)  # else it is among those lost
    right -= itself * (labels >= 0).any(axis=1)
    return weights.sum() - lost - itself, right


def sharing(relations: Sequence[Ints], weights: Floats) -> Floats:
    """Return (n,) the sum of the weights of all images that share a value with each.

    relations are (n, v) each, -1 for no value; an image has to share a value in all of them. An
    image with values in all shares them with itself. By inclusion and exclusion over the subsets of
    its values; images with many values, which have too many subsets, are compared with each.
    """
    total = sum((values >= 0).sum(axis=1) for values in relations)
    few = np.flatnonzero(total <= MANY)
    subset = _subsets(relations[0][few])
    for values in relations[1:]:
        subset = _pairs(subset, _subsets(values[few]))
    row, number, sign = subset
    count = np.bincount(number, weights[few][row])
    shared = np.zeros(len(weights))
    shared[few] = np.bincount(row, sign * count[number], len(few))
    for image in np.flatnonzero(total > MANY).tolist():
        flags = np.logical_and.reduce([_share_with(values, image) for values in relations])
        shared[few] += weights[image] * flags[few]
        shared[image] = weights[flags].sum()
    return shared


def _subsets(values: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the non-empty subsets of the values (n, v) of each row, (t,) each.

    They are the row, a number that equal subsets share, and the sign of inclusion and exclusion.
    """
    ordered = np.sort(values, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = -1  # each value once
    ordered = np.sort(ordered, axis=1)[:, ::-1]  # the values before -1
    most = int((ordered >= 0).sum(axis=1).max(initial=0))
    found, numbers, sign_of_size = [np.zeros((3, 0), dtype=np.int64)], 0, 1
    for size in range(1, most + 1):
        parts = []
        for columns in combinations(range(most), size):
            row = np.flatnonzero(ordered[:, columns[-1]] >= 0)
            parts.append(np.column_stack([row, ordered[row][:, columns]]))
        part = np.concatenate(parts)
        number = _number(part[:, 1:])
        signs = np.full(len(part), sign_of_size)
        found.append(np.stack([part[:, 0], number + numbers, signs]))
        numbers, sign_of_size = numbers + int(number.max(initial=-1)) + 1, -sign_of_size
    row, number, sign = np.concatenate(found, axis=1)
    return row, number, sign


def _pairs(
    first: tuple[Ints, Ints, Ints], second: tuple[Ints, Ints, Ints]
) -> tuple[Ints, Ints, Ints]:
    """Return each subset of the first relation with each of the second, of the same row."""
    order = np.argsort(second[0], kind="stable")
    row, number, sign = (column[order] for column in second)
    start = np.searchsorted(row, first[0])
    lengths = np.searchsorted(row, first[0], side="right") - start
    one = np.repeat(np.arange(len(lengths)), lengths)
    offset = np.arange(len(one)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    other = start[one] + offset
    both = np.column_stack([first[1][one], number[other]])
    return first[0][one], _number(both), first[2][one] * sign[other]


def _number(rows: Ints) -> Ints:
    """Return (t,) a number from 0 up for each row (t, s), the same for equal rows."""
    number = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T:
        joint = number * (int(column.max(initial=0)) + 1) + column
        number = np.unique(joint, return_inverse=True)[1].reshape(-1)
    return number


def _share_with(values: Ints, image: int) -> NDArray[np.bool_]:
    """Return (n,) which images share a value (n, v) with this one."""
    own = values[image][values[image] >= 0]
    return np.asarray(np.isin(values, own).any(axis=1))


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
