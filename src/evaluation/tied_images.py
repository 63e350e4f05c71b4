"""All images that have, as neighbors of a query, the score of the last neighbor in its list.

n = images, d = width of a row, k = neighbors of each, u = distinct queries searched at once.
"""

import hashlib
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.evaluation.relevance import Flags, Ints
from src.similarity.numerics import PAIRS_PER_STEP, doubles, exact_scores, ranking_scores, row_norms

TOGETHER = 32  # distinct queries
MARGIN = 1e-6  # times 1 + |key|; above the rounding of keys to float32 and of float64 products


class TiedImages:
    """Searches among all rows for those whose key is that of a query's last neighbor.

    A key is the score, or float32(score - penalty of the image). Queries with the same row and key
    are searched once, and kept: an embedding that gives all images the same row takes one search.

    Args:
        features: (n, d) rows that were compared.
        key: (n, k) what the neighbors of each are ordered by, descending.
        penalty: (n,) float64, or None.
    """

    def __init__(self, features: Tensor, key: NDArray[np.float32], penalty: Tensor | None = None):
        self._features, self._last, self._penalty = features, key[:, -1], penalty
        self._digests: dict[int, bytes] = {}  # of row and key, by query
        self._found: dict[bytes, NDArray[np.uint8]] = {}  # packed flags, by digest

    @cached_property
    def _norms(self) -> Tensor:
        return row_norms(self._features)

    def __call__(self, rows: Ints) -> Iterator[tuple[Ints, Flags]]:
        """Yield the queries rows (q,) in parts, each with the images (n,) that tie with its last.

        A query itself may be among them.
        """
        parts: dict[bytes, list[int]] = {}
        for row in rows.tolist():
            parts.setdefault(self._digest(row), []).append(row)
        new = [(digest, part[0]) for digest, part in parts.items() if digest not in self._found]
        for start in range(0, len(new), TOGETHER):
            some = new[start : start + TOGETHER]
            found = self._search(torch.tensor([row for _, row in some]))
            for (digest, _), flags in zip(some, found, strict=True):
                self._found[digest] = np.packbits(flags)
        for digest, part in parts.items():
            flags = np.unpackbits(self._found[digest], count=len(self._features)).astype(bool)
            yield np.array(part), flags

    def _digest(self, row: int) -> bytes:
        """Return a hash of what decides which images tie with the last neighbor of a row."""
        if row not in self._digests:
            content = self._features[row].numpy().tobytes() + self._last[row].tobytes()
            self._digests[row] = hashlib.blake2b(content).digest()
        return self._digests[row]

    def _search(self, queries: Tensor) -> Iterator[Flags]:
        """Yield for each of the queries (u,) the images (n,) with the key of its last neighbor."""
        wanted = torch.from_numpy(self._last)[queries]
        products = torch.empty(len(self._features), len(queries), dtype=torch.float64)
        own = self._features[queries].double().T
        for at, block in doubles(self._features):
            products[at] = block @ own
        scale = self._norms[:, None] * self._norms[queries]
        scores = torch.where(scale == 0, 0, products / scale)
        penalty = torch.zeros(()) if self._penalty is None else self._penalty[:, None]
        error = (scores - penalty - wanted.double()).abs()
        near = (error <= MARGIN * (1 + wanted.double().abs())).T
        for query, key, flags in zip(queries, wanted, near, strict=True):
            yield self._confirmed(query, key, flags.nonzero().flatten())

    def _confirmed(self, query: Tensor, key: Tensor, images: Tensor) -> Flags:
        """Return which of all images (n,) are among images (c,) and have exactly this key."""
        flags = np.zeros(len(self._features), dtype=bool)
        for part in images.split(PAIRS_PER_STEP):
            score = exact_scores(self._features, self._norms, query[None], part[None])[0]
            penalty = None if self._penalty is None else self._penalty[part]
            score = ranking_scores(score, penalty)
            flags[part[score == key].numpy()] = True
        return flags
