"""Files of a run that say what was compared, and what was found. Imports no torch.

n = images, k = neighbors of each, d = width of a row, m = width after post-processing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.io.arrays import write_npy, write_npz
from src.reporting import run_checks

NEIGHBORS = "neighbors.npz"
AUGMENT = "augment.npz"


@dataclass(frozen=True, init=False)
class ComparisonFiles:
    """Neighbors, and how the features were changed and ordered before; part of a RunFolder."""

    path: Path

    def __init__(self, path: Path | str) -> None:
        object.__setattr__(self, "path", Path(path).expanduser())

    def write_neighbors(
        self, index: NDArray[np.int32], score: NDArray[np.float32], files: list[str]
    ) -> None:
        """Write neighbors.npz (index, score) and top_<k>_similar.npy (name, score), each (n, k).

        files (n,) are the images of the gallery in row order.
        """
        write_npz(self.path / NEIGHBORS, {"index": index, "score": score})
        names = np.array(files)[index]  # (n, k)
        named = np.empty(index.shape, [("name", names.dtype), ("score", np.float32)])
        named["name"], named["score"] = names, score
        write_npy(self.path / f"top_{index.shape[1]}_similar.npy", named)

    def neighbors(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return index (n, k), rows of the gallery, best first, and their scores (n, k)."""
        return run_checks.read_neighbors(self.path / NEIGHBORS)

    def write_postprocess(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Write postprocess.npz: mean (d,) and axes (d, m), to apply to features of new images."""
        write_npz(self.path / "postprocess.npz", arrays)

    def postprocess(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Return the mean (d,) and, if features were whitened, the axes (d, m) of their change."""
        return run_checks.read_postprocess(self.path / "postprocess.npz")

    def write_penalty(self, penalty: NDArray[np.float64]) -> None:
        """Write penalty.npy: what csls subtracts from each image's score, (n,), to order by it."""
        write_npy(self.path / "penalty.npy", penalty)

    def penalty(self) -> NDArray[np.float64]:
        """Return what csls subtracts from each image's score, (n,). Raises UserError or OSError."""
        return run_checks.read_penalty(self.path / "penalty.npy", len(self.neighbors()[0]))

    def write_augmentation(
        self,
        index: NDArray[np.int32],
        score: NDArray[np.float32],
        length: NDArray[np.float64],
    ) -> None:
        """Write augment.npz: the neighbors (n, k) added to each image's row, and their cosines.

        length (n,) is that of the sums, of rows of length 1, before they were given length 1 again.
        """
        write_npz(self.path / AUGMENT, {"index": index, "score": score, "length": length})

    def augmentation(self) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float64]]:
        """Return index, score and length as write_augmentation takes them. Raises UserError."""
        with run_checks.told_if_deleted("augmented rows"):
            return run_checks.read_augmentation(self.path / AUGMENT, len(self.neighbors()[0]))
