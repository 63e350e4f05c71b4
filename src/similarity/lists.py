"""Lists of neighbors: those of a finished search, and those that are not proven to the end.

n = images, k = neighbors, r = rows, w = entries of a list.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Neighbors:
    """The k nearest neighbors of each image, by descending score, ties by ascending row.

    After a search with a penalty they are ordered by score minus penalty.
    """

    index: NDArray[np.int32]  # (n, k) rows
    score: NDArray[np.float32]  # (n, k) cosines
    fallback_share: float  # share of rows that the fast pass could not prove, searched again


@dataclass(frozen=True)
class Lists:
    """The nearest of each row, best first; of one row more may be known than of another."""

    index: Tensor  # (r, w) int32
    score: Tensor  # (r, w) float32
    depth: Tensor  # (r,) int32: so many entries are proven to be the best; others mean nothing
    unproven: Tensor  # (r,) bool: rows that the fast pass could not prove, searched exhaustively

    @property
    def columns(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return all four."""
        return self.index, self.score, self.depth, self.unproven

    def followed_by(self, others: "Lists") -> "Lists":
        """Return these lists and others of as many entries."""
        pairs = zip(self.columns, others.columns, strict=True)
        return Lists(*(torch.cat(pair) for pair in pairs))

    def in_order_of(self, rows: Tensor) -> "Lists":
        """Return the lists in the order of their rows (r,), which are all numbers below r."""
        order = rows.argsort()
        return Lists(*(column[order] for column in self.columns))
