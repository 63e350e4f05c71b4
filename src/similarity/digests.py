"""Which row of an earlier collection each row is, found by content: names prove nothing.

n = images, d = width of a row, e = images of the earlier collection.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from src.similarity.parallel import parallel_map

DIGEST_BYTES = 16  # of SHA-256: two different rows with one digest are not to be found
ROWS_PER_STEP = 1024  # hashed by one thread after the other
NEW = -1  # in place of the number of an earlier row

Digests = NDArray[np.uint8]


def row_digests(rows: Tensor) -> Digests:
    """Return the digest of each row of (n, d): of its bits, width and dtype, (n, 16) uint8.

    >>> import torch
    >>> digests = row_digests(torch.tensor([[1.0, 2.0], [0.0, 2.0], [1.0, 2.0]]))
    >>> (digests[:, None] == digests).all(2).tolist()
    [[True, False, True], [False, True, False], [True, False, True]]
    """
    digests = np.empty((len(rows), DIGEST_BYTES), np.uint8)
    start = hashlib.sha256(f"{rows.dtype} {rows.shape[1]} ".encode())

    def fill(part: slice) -> None:
        """Fill the digests of these rows."""
        for digest, row in zip(digests[part], rows[part].contiguous().numpy(), strict=True):
            of_row = start.copy()
            of_row.update(row.view(np.uint8).data)
            digest[:] = np.frombuffer(of_row.digest()[:DIGEST_BYTES], np.uint8)

    parallel_map(fill, len(rows), ROWS_PER_STEP)
    return digests


def earlier_rows(digests: Digests, earlier: Digests) -> NDArray[np.int64]:
    """Return which row of an earlier collection each row is, NEW if none, (n,) int64.

    digests are (n, 16), those of the earlier collection (e, 16), as row_digests returns them. No
    two rows are the same earlier one: of equal rows the first is the first of the earlier ones,
    and so on, so that the order of rows changes as little as it must.

    >>> a, b, c = np.eye(3, 16, dtype=np.uint8)
    >>> earlier_rows(np.stack([c, a, b, a, a]), np.stack([a, b, a])).tolist()
    [-1, 0, 1, 2, -1]
    """
    count = len(earlier)
    both = np.concatenate([earlier, digests]).view(np.uint64)  # (e + n, 2)
    order = np.lexsort(both.T)  # stable: equal rows ascend, the earlier ones first
    is_first = np.r_[True, (both[order[1:]] != both[order[:-1]]).any(axis=1)]  # of equal rows
    content = np.empty(len(both), np.int64)  # a number for each content
    content[order] = is_first.cumsum() - 1
    is_earlier = order < count
    old, new = order[is_earlier], order[~is_earlier]  # by content, then by number
    copies = np.bincount(content[old], minlength=content.max() + 1)  # earlier ones of a content
    before = copies.cumsum() - copies
    own = content[new]
    occurrence = np.arange(len(new)) - np.searchsorted(own, own)  # among the rows of a content
    known = occurrence < copies[own]
    found = np.full(len(digests), NEW, np.int64)
    found[new[known] - count] = old[before[own[known]] + occurrence[known]]
    return found
