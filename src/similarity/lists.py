"""Lists of neighbors of which more may be known of one row than of another.

r = rows, w = entries of a list.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Lists:
    """The nearest of each row, best first."""

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
