"""Lists of neighbors, kept in a file for later searches of the same rows, or of more.

e = images of the collection, m = entries kept of each.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.errors import UserError
from src.io.arrays import read_npz, write_npz
from src.io.bounded import damaged
from src.similarity.digests import DIGEST_BYTES, NEW, Digests, earlier_rows

log = logging.getLogger(__name__)

KEPT = "nearest-*-*.npz"
MAX_FILES = 100  # the newest, whose rows are looked at
ARITHMETIC = "arithmetic"  # in a file beside the arrays: what the last bit of a score depends on
SUMS = "float64, summed by halves"  # to be changed with numerics.exact_sum
BY_ROW = {"digests": np.uint8, "groups": np.int64, "depth": np.int32, "unproven": np.bool_}
TYPES = BY_ROW | {"index": np.int32, "score": np.float32}
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class KeptLists:
    """The nearest of each image of a collection, best first, and which rows the images have."""

    digests: Digests  # (e, 16)
    groups: NDArray[np.int64]  # (e,) no image is a neighbor of its group's
    index: NDArray[np.int32]  # (e, m) rows
    score: NDArray[np.float32]  # (e, m) cosines
    depth: NDArray[np.int32]  # (e,) so many entries are the best; those after them mean nothing
    unproven: NDArray[np.bool_]  # (e,) rows that the fast pass could not prove, searched again

    @property
    def is_complete(self) -> NDArray[np.bool_]:
        """Return which lists have all images of other groups, (e,)."""
        return _is_complete(self.groups, self.depth)


@dataclass(frozen=True)
class Found:
    """Kept lists that share rows with a collection of n images."""

    lists: KeptLists
    earlier: NDArray[np.int64]  # (n,) which of their rows each row is, or NEW
    path: Path

    @property
    def is_same(self) -> bool:
        """Return whether they are of the same rows in the same order."""
        return np.array_equal(self.earlier, np.arange(len(self.lists.depth)))


def kept_path(folder: Path, features: str, groups: str) -> Path:
    """Return the file in folder for rows and groups with these hashes."""
    return folder / f"nearest-{features}-{groups}.npz"


def write_kept(path: Path, lists: KeptLists) -> None:
    """Write lists to a file, which appears whole or not at all."""
    write_npz(path, asdict(lists) | {ARITHMETIC: np.array(SUMS)})


def find_kept(digests: Digests, k: int, own: Path, folders: Iterable[Path]) -> Found | None:
    """Return the kept lists that share most rows with digests (n, 16), None if none share any.

    Lists of fewer than k entries do not count, unless they have all images. Files are those of
    own and its folder, then the newest of other folders. What is damaged is passed over, and a
    warning says so.
    """
    shared: list[tuple[int, Path]] = []
    for path in _files(own, folders):
        with _skip_damaged():
            count = _shared(path, digests, k)
            shared.append((count, path))
            if path == own and count == len(digests):
                break
    for count, path in sorted(shared, key=lambda each: -each[0]):  # stable: own is first
        with _skip_damaged():
            lists = _read(path) if count else None
            if lists is not None:
                return Found(lists, earlier_rows(digests, lists.digests), path)
    if shared:
        log.info("similarity: comparing all, since no kept lists are of rows as these")
    return None


@contextmanager
def _skip_damaged() -> Iterator[None]:
    """Log a UserError about a file as a warning, and end the block; so too if the file is gone."""
    try:
        yield
    except UserError as error:
        log.warning("similarity: not used: %s", error)
    except FileNotFoundError:  # removed by another run since the folder was listed
        pass


def _files(own: Path, folders: Iterable[Path]) -> Iterator[Path]:
    """Yield own, if it exists, then the other files of kept lists, the newest first."""
    if own.is_file():
        yield own
    paths = {path for folder in (own.parent, *folders) for path in folder.glob(KEPT)} - {own}
    dated = sorted(((path.stat().st_mtime, path) for path in paths if path.is_file()), reverse=True)
    yield from islice((path for _, path in dated), MAX_FILES)


def _shared(path: Path, digests: Digests, k: int) -> int:
    """Return how many of the rows with these digests have k entries or all images in a file."""
    arrays = read_npz(path, (*BY_ROW, ARITHMETIC))
    if not _is_ours(arrays):
        return 0
    _check(path, arrays, len(arrays["digests"]), 0)
    depth, earlier = arrays["depth"], earlier_rows(digests, arrays["digests"])
    is_enough = (depth >= k) | _is_complete(arrays["groups"], depth)
    return int(is_enough[earlier[earlier != NEW]].sum())


def _is_complete(groups: NDArray[np.int64], depth: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return whether a list of this depth has all images of other groups, (e,)."""
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    complete: NDArray[np.bool_] = depth == len(groups) - sizes[group]
    return complete


def _is_ours(arrays: Arrays) -> bool:
    """Return whether a file is of this version, and its scores are what they would be now."""
    return {*BY_ROW} <= arrays.keys() and str(arrays.get(ARITHMETIC)) == SUMS


def _read(path: Path) -> KeptLists | None:
    """Return the lists in a file, None if those of another arithmetic. Raises UserError."""
    arrays = read_npz(path)
    if not _is_ours(arrays):
        return None
    arrays.pop(ARITHMETIC)
    _require(path, arrays.keys() == TYPES.keys() and arrays["index"].ndim == 2)
    _check(path, arrays, *arrays["index"].shape)
    lists = KeptLists(**arrays)
    is_entry = np.arange(lists.index.shape[1]) < lists.depth[:, None]
    index, score = np.where(is_entry, lists.index, 0), np.where(is_entry, lists.score, -np.inf)
    _require(path, bool(((index >= 0) & (index < len(index))).all()))
    _require(path, not (is_entry & (lists.groups[index] == lists.groups[:, None])).any())
    falls = (score[:, 1:] < score[:, :-1]) | ~is_entry[:, 1:]
    ties = (score[:, 1:] == score[:, :-1]) & (index[:, 1:] > index[:, :-1])
    _require(path, bool((falls | ties).all() and (abs(score[:, 0]) <= 2).all()))
    return lists


def _check(path: Path, arrays: Arrays, e: int, m: int) -> None:
    """Raise UserError unless arrays have their types and shapes; m is 0 without lists."""
    shapes = {"digests": (e, DIGEST_BYTES), "index": (e, m), "score": (e, m)}
    for name, array in arrays.items():
        if name != ARITHMETIC:
            _require(path, array.shape == shapes.get(name, (e,)) and array.dtype == TYPES[name])
    depth = arrays["depth"]
    _require(path, bool(e and (depth >= 1).all() and (not m or (depth <= m).all())))


def _require(path: Path, condition: bool) -> None:
    """Raise UserError unless the condition holds."""
    if not condition:
        raise damaged(path, "not lists of neighbors")
