"""Makes a matrix of the rows of an earlier one and the scores of new rows, in the same file or not.

n = images, e = images of the earlier collection, m = new rows, c = rows of a chunk.
"""

import errno
import logging
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import filesize

from src.errors import UserError
from src.io.arrays import read_npy, view_npy
from src.io.files import folder_lock, open_to_write, pwrite_all
from src.runtime.progress import Watch
from src.runtime.resume import RECORD
from src.similarity.exact_tiles import ExactTiles
from src.similarity.matrix_files import (
    PARTIAL,
    digests_path,
    images_of,
    npy_header,
    part_folder,
    reserve,
)
from src.similarity.matrix_growth import NEW_ROWS, OLD_ROWS, GrowthRecord, agrees
from src.similarity.row_moves import (
    CHUNK_BYTES,
    Chunk,
    MoveLog,
    Rows,
    chunks_in_place,
    is_monotone,
)

log = logging.getLogger(__name__)

MOVES, SAVED = "moves.txt", "saved.bin"  # in the folder of the unfinished matrix
# An earlier matrix is taken over if the new one has at least this share of its rows
MIN_SHARE_OF_EARLIER = 0.9


def assemble(path: Path, exact: ExactTiles, record: GrowthRecord, watch: Watch) -> bool:
    """Complete the unfinished matrix of path; return whether that was possible.

    It is not if the earlier matrix is gone, or after a crash of the machine while rows were moved.
    Raises UserError if the disk is too small.
    """
    folder, earlier = part_folder(path), Path(record.earlier)
    old_row, is_begun = read_npy(folder / OLD_ROWS), (folder / PARTIAL).exists()
    moves = MoveLog(folder / MOVES) if is_begun else None
    if moves is not None and not moves.is_valid:
        log.warning("similarity: computing all, because the machine was started again")
        return False
    with ExitStack() as stack:
        if moves is None or not moves.in_place:
            stack.enter_context(folder_lock(earlier.parent))
            e = images_of(earlier, record.dtype)
            if e <= old_row.max() or not agrees(earlier, exact, old_row):
                log.info("similarity: computing all, because it is not there any more: %s", earlier)
                return False
            moves = moves or _take_over(folder, earlier, e, old_row, record)
        _Assembly(folder, earlier, moves, old_row, record.dtype).run(watch)
    return True


def _take_over(folder: Path, earlier: Path, e: int, old_row: Rows, record: GrowthRecord) -> MoveLog:
    """Move the earlier matrix to folder, or reserve the space of a new one there; begin the log."""
    n, size = len(old_row), np.dtype(record.dtype).itemsize
    kept = int((old_row >= 0).sum())
    in_place = (
        is_monotone(old_row)
        and kept >= MIN_SHARE_OF_EARLIER * e
        and not kept == e == n  # the same rows: the matrix of a collection that is still there
        and earlier.stat().st_dev == folder.stat().st_dev
    )
    moves = MoveLog.begin(folder / MOVES, e, in_place)
    if not in_place:
        log.info("similarity: copying the matrix of %s", earlier.parent)
        reserve(folder / PARTIAL, n, record.dtype)
        return moves
    _check_space(folder, max(0, n * n - e * e) * size + CHUNK_BYTES)
    log.info("similarity: the earlier matrix is moved and grown, so it is no longer at %s", earlier)
    os.rename(earlier, folder / PARTIAL)
    return moves


def _check_space(folder: Path, size: int) -> None:
    """Raise UserError if the disk has less than size bytes free."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"{folder} has {filesize.decimal(free)} free, but growing the matrix needs"
            f" {filesize.decimal(size)}: free some space, or use similarity=topk"
        )


class _Assembly:
    """Moves or copies the rows of an unfinished matrix, in steps that can be done again."""

    def __init__(self, folder: Path, earlier: Path, moves: MoveLog, old_row: Rows, dtype: str):
        self._folder, self._earlier, self._moves = folder, earlier, moves
        self._old_row, self._dtype = old_row, np.dtype(dtype)
        self._n, self._e = len(old_row), moves.images
        self._new = np.flatnonzero(old_row < 0)
        self._header = npy_header(self._n, dtype)
        self._line = self._n * self._dtype.itemsize  # bytes of a row
        self._scores: NDArray[Any] = np.empty((0, self._n), self._dtype)  # (m, n)
        if len(self._new):
            self._scores = view_npy(folder / NEW_ROWS)

    def run(self, watch: Watch) -> None:
        """Move what is not moved yet, and complete the file."""
        if self._moves.in_place:
            for left in (self._earlier.with_suffix(".json"), digests_path(self._earlier)):
                if not self._earlier.exists():
                    left.unlink(missing_ok=True)
        with ExitStack() as stack:
            target = open_to_write(self._folder / PARTIAL)
            stack.callback(os.close, target)
            source = target
            if not self._moves.in_place:
                source = os.open(self._earlier, os.O_RDONLY)
                stack.callback(os.close, source)
            self._extend(target)
            chunks = self._chunks()
            for number in watch(range(len(chunks)), "moving rows", len(chunks)):
                if number not in self._moves.moved:
                    self._move(source, target, number, chunks[number])
            self._complete(target)

    def _extend(self, target: int) -> None:
        """Reserve the space of the matrix. Raises UserError if the disk has not enough."""
        size = len(self._header) + self._n * self._line
        before = os.fstat(target).st_size
        if size > before and hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(target, before, size - before)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                _check_space(self._folder, size - before)
                raise

    def _chunks(self) -> list[Chunk]:
        """Return the chunks in the order in which they are moved; new rows come last."""
        most = max(1, CHUNK_BYTES // max(self._line, self._e * self._dtype.itemsize))
        if self._moves.in_place:
            kept = chunks_in_place(self._old_row, self._e, most)
        else:
            rows = np.flatnonzero(self._old_row >= 0)
            kept = [Chunk(rows[at : at + most], False) for at in range(0, len(rows), most)]
        new = [self._new[at : at + most] for at in range(0, len(self._new), most)]
        return kept + [Chunk(rows, False) for rows in new]

    def _move(self, source: int, target: int, number: int, chunk: Chunk) -> None:
        """Write the rows of a chunk to their places."""
        if chunk.is_saved and number in self._moves.saved:
            saved = np.fromfile(self._folder / SAVED, self._dtype)
            lines = saved.reshape(-1, self._n)
        else:
            lines = self._lines(source, chunk.rows)
            if chunk.is_saved:
                (self._folder / SAVED).write_bytes(lines.data)
                self._moves.append("saved", number)
        for row, line in zip(chunk.rows.tolist(), lines, strict=True):
            offset = len(self._header) + row * self._line
            pwrite_all(target, line.view(np.uint8).data, offset)
        self._moves.append("moved", number)

    def _lines(self, source: int, rows: Rows) -> NDArray[Any]:
        """Return rows of the matrix, (c, n): kept ones or new ones."""
        if self._old_row[rows[0]] < 0:
            return self._scores[np.searchsorted(self._new, rows)]
        size = self._e * self._dtype.itemsize
        old = np.empty((len(rows), self._e), self._dtype)
        for line, row in zip(old, self._old_row[rows].tolist(), strict=True):
            read = os.preadv(source, [line], len(self._header) + row * size)
            if read != size:
                raise OSError(errno.EIO, f"the matrix is too short: {self._earlier}")
        lines = np.take(old, np.maximum(self._old_row, 0), axis=1)
        lines[:, self._new] = self._scores[:, rows].T
        return lines

    def _complete(self, target: int) -> None:
        """Write the header, cut off what is left of a larger matrix, and wait for the disk."""
        pwrite_all(target, self._header, 0)
        os.ftruncate(target, len(self._header) + self._n * self._line)
        log.info("similarity: waiting until the disk has the matrix")
        try:
            os.fsync(target)
        except OSError:
            (self._folder / RECORD).unlink()  # another sync may succeed although data was lost
            raise
