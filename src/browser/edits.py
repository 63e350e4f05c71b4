"""How many edits lie between words: letters put in, left out, exchanged, or two swapped."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def edit_distances(word: str, others: Sequence[str]) -> NDArray[np.int64]:
    """Return (m,) the edits that make each of m other words of word.

    An edit puts in, leaves out or exchanges a letter, or swaps two neighbors; no part of a word is
    edited twice (optimal string alignment). One table is filled for all words at once.

    >>> edit_distances("monet", ["monet", "monte", "manet", "money", "degas"]).tolist()
    [0, 1, 1, 1, 5]
    """
    if not others:
        return np.zeros(0, np.int64)
    lengths = np.array([len(other) for other in others])
    width = max(int(lengths.max()), 1)
    letters = np.array(others, f"U{width}").view(np.uint32).reshape(-1, width).T  # (width, m)
    last: NDArray[np.int64] | None = None  # rows of the table: (width + 1, m)
    row: NDArray[np.int64] = np.repeat(np.arange(width + 1)[:, None], len(others), axis=1)
    for i, letter in enumerate(map(ord, word)):
        differs = letters != letter
        above, row = row, np.empty_like(row)
        row[0] = i + 1
        for j in range(width):
            row[j + 1] = np.minimum(above[j] + differs[j], np.minimum(above[j + 1], row[j]) + 1)
            if last is not None and j:
                swapped = ~differs[j - 1] & (letters[j] == ord(word[i - 1]))
                row[j + 1] = np.where(swapped, np.minimum(row[j + 1], last[j - 1] + 1), row[j + 1])
        last = above
    edits: NDArray[np.int64] = row[lengths, np.arange(len(others))]
    return edits
