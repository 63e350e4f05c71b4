"""A small file of vectors, and what is read from one."""

from pathlib import Path

import numpy as np

from src.gallery.vector_files import open_vectors

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


def contents(path: Path) -> np.ndarray:
    """Return all rows of a file of vectors."""
    return np.concatenate(list(open_vectors(path).blocks(path.with_name("scratch.npy"))))
