"""Neighbor lists, and which parts of their order are arbitrary.

n = images, k = neighbors of each. Imports no torch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from src.evaluation.relevance import Flags, Ints

NARROW = 16  # neighbors that are looked at first: most filters leave ten of them
TiedImages = Callable[[Ints], Iterator[tuple[Ints, Flags]]]


@dataclass(frozen=True)
class RankedLists:
    """The neighbors of each image, and which of them are in an arbitrary order."""

    index: NDArray[np.int32]  # (n, k) rows, best first
    key: NDArray[np.float32] | None = None  # (n, k) what they are ordered by; None: all differ
    # Goes through given rows in parts, each with the images (n,) that have, as neighbors of these
    # rows, the key of the last neighbor; None if lists hold all such images
    tied_images: TiedImages | None = None

    @cached_property
    def is_tied(self) -> Flags:
        """Return (n,) whether two neighbors of an image have the same key."""
        if self.key is None:
            return np.zeros(len(self.index), dtype=bool)
        return np.asarray((self.key[:, 1:] == self.key[:, :-1]).any(axis=1))

    def early(self, rows: Ints) -> NDArray[np.int32]:
        """Return the first neighbors (b, NARROW) of rows (b,)."""
        return self.index[rows, :NARROW]

    @cached_property
    def is_tied_early(self) -> Flags:
        """Return (n,) whether two of the first NARROW + 1 neighbors of an image have one key."""
        if self.key is None:
            return np.zeros(len(self.index), dtype=bool)
        early = self.key[:, : NARROW + 1]
        return np.asarray((early[:, 1:] == early[:, :-1]).any(axis=1))

    @cached_property
    def is_open(self) -> Flags:
        """Return (n,) whether images beyond a list may have the key of its last neighbors.

        A last neighbor that differs from the one before it is taken to differ from those beyond.
        """
        n, k = self.index.shape
        if self.key is None or self.tied_images is None or k in (1, n - 1):
            return np.zeros(n, dtype=bool)
        return np.asarray(self.key[:, -1] == self.key[:, -2])
