"""Which images are never each other's neighbors, and how many are copies of others.

n = images.
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from src.config import Similarity
from src.errors import UserError

# By similarity.exclude, the column of works.csv: images with the same value in it are one group
SHARED_COLUMN = {"same_object": "object_id", "same_image": "sha256"}


def max_neighbors(groups: NDArray[np.int64]) -> int:
    """Return how many neighbors every image can have: n minus the size of the largest group.

    `groups` (n,) are exclusion groups.

    >>> max_neighbors(np.array([0, 1, 1, 2]))
    2
    """
    return len(groups) - int(np.unique(groups, return_counts=True)[1].max())


def check_neighbors(groups: NDArray[np.int64], options: Similarity) -> None:
    """Raise UserError if an image of these groups (n,) has fewer neighbors than are asked for."""
    n, limit = len(groups), max_neighbors(groups)
    by = f" with similarity.exclude={options.exclude.name}" if limit < n - 1 else ""
    if n > 1 and not limit:
        raise UserError(f"no image has a possible neighbor{by}: all {n} images are one group")
    for name, low in (("top_k", 1), ("augment", 0)):
        if (value := getattr(options, name)) > limit:
            raise UserError(
                f"similarity.{name} must be between {low} and {limit} for {n} images{by}, got"
                f" {value}"
            )


def count_copies(checksums: Iterable[str]) -> int:
    """Return how many images have the checksum of another one; "" is unknown, and no copy.

    >>> count_copies(["a", "b", "a", "", "", "a"])
    3
    """
    counts = Counter(filter(None, checksums))
    return sum(count for count in counts.values() if count > 1)
