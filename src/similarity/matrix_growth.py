"""Grows the matrix of an earlier collection: only pairs with a new row are computed.

The scores of the new rows with all are computed first, beside the earlier matrix. Then its file is
taken over, and its rows are moved to their places in it and completed; or they are copied.

n = images, e = images of the earlier collection, m = new rows.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from src.errors import UserError
from src.io.arrays import read_npy, view_npy, write_npy
from src.io.files import create_npy, open_to_write, pwrite_all
from src.runtime.processes import ProcessGroup
from src.runtime.progress import Watch
from src.runtime.resume import DoneTiles, begin, read_record
from src.similarity.digests import DIGEST_BYTES, Digests, earlier_rows
from src.similarity.exact_tiles import ExactTiles, blocks
from src.similarity.matrix_files import VERSION, MatrixDtype, digests_path, images_of, part_folder
from src.similarity.numerics import exact_scores
from src.similarity.row_moves import CHUNK_BYTES, Rows

log = logging.getLogger(__name__)

MIN_SHARE = 1 / 2  # of rows that are kept; with fewer, growing takes about as long as computing all
CHECKED_PAIRS = 256  # of an earlier matrix
OLD_ROWS, NEW_ROWS = "old_rows.npy", "new_rows.npy"  # in the folder of the unfinished matrix


@dataclass(frozen=True)
class GrowthRecord:
    """What a matrix is grown from. Stored as JSON under these names."""

    features: str  # hash of the rows
    dtype: MatrixDtype
    earlier: str = ""  # path of the earlier matrix
    version: int = VERSION
    side: int = 0  # new rows of a tile, by which finished tiles are numbered
    chunk_bytes: int = CHUNK_BYTES  # by which moved chunks are numbered


def begin_growth(
    path: Path,
    exact: ExactTiles,
    digests: Digests,
    dtype: MatrixDtype,
    features: str,
    earlier: Iterable[Path],
) -> GrowthRecord | None:
    """Return the record of growth that was interrupted, or of a new one; None if that is no use.

    digests are (n, 16). Of the earlier matrices the one with most of the rows is chosen.
    """
    folder = part_folder(path)
    record = GrowthRecord(features, dtype, side=exact.side)
    stored = read_record(folder, record, ("earlier",))
    if stored is not None and (folder / OLD_ROWS).is_file():
        return stored
    found = [(old_rows, each) for each in earlier for old_rows in _known_rows(each, digests, dtype)]
    if not found:
        return None
    old_row, chosen = max(found, key=lambda each: (each[0] >= 0).sum())
    kept, n = int((old_row >= 0).sum()), len(old_row)
    if kept < MIN_SHARE * n or not agrees(chosen, exact, old_row):
        return None
    log.info(
        "similarity: %s of %s images are those of %s; computing the scores of %s new %s",
        *(f"{kept:,}", f"{n:,}", chosen, f"{n - kept:,}", "one" if n - kept == 1 else "ones"),
    )
    record = replace(record, earlier=str(chosen))
    begin(folder, record)
    write_npy(folder / OLD_ROWS, old_row)
    return record


def _known_rows(path: Path, digests: Digests, dtype: MatrixDtype) -> list[Rows]:
    """Return which row of a complete matrix each row is, -1 for new ones; [] without a matrix."""
    try:
        images = images_of(path, dtype)
        earlier = read_npy(digests_path(path)) if images else digests[:0]
    except (UserError, OSError) as error:
        log.warning("similarity: not used: %s", error)
        return []
    known = images and earlier.dtype == np.uint8 and earlier.shape == (images, DIGEST_BYTES)
    return [earlier_rows(digests, earlier)] if known else []


def agrees(path: Path, exact: ExactTiles, old_row: Rows) -> bool:
    """Return whether some entries of an earlier matrix are the scores of their rows; log if not."""
    kept, matrix = np.flatnonzero(old_row >= 0), view_npy(path)
    chosen = np.random.default_rng(0).choice(kept, (2, CHECKED_PAIRS))
    rows, columns = torch.from_numpy(chosen)
    scores = exact_scores(exact.rows, exact.norms, rows, columns[:, None])[:, 0].numpy()
    stored = matrix[old_row[chosen[0]], old_row[chosen[1]]]
    matches = bool((stored == scores.astype(matrix.dtype)).all())
    if not matches:
        log.warning("similarity: not grown, because its entries are not the scores: %s", path)
    return matches


def fill_new_rows(
    folder: Path, exact: ExactTiles, record: GrowthRecord, processes: ProcessGroup, watch: Watch
) -> None:
    """Write the scores of the new rows with all, (m, n), to a file in folder; resumes."""
    old_row = read_npy(folder / OLD_ROWS)
    new, n = np.flatnonzero(old_row < 0), len(old_row)
    path, kind = folder / NEW_ROWS, np.dtype(record.dtype)

    def reserve() -> None:
        """Create the file, unless it is there."""
        part = path.with_suffix(".new")
        if not path.exists():
            part.unlink(missing_ok=True)
            with part.open("x+b") as file:
                create_npy(file, (len(new), n), kind)
            part.rename(path)

    processes.broadcast_from_rank_zero(reserve)
    finished, tiles = DoneTiles(folder, processes), blocks(slice(0, len(new)), record.side)
    missing = [number for number in range(len(tiles)) if number not in finished.done]
    shard = missing[processes.own_slice(len(missing))]
    file = open_to_write(path)
    start = path.stat().st_size - len(new) * n * kind.itemsize
    try:
        for number in watch(shard, "comparing new images", len(shard)):
            at = tiles[number]
            scores = new_scores(exact, torch.from_numpy(new[at]))
            lines = scores.cpu().numpy().astype(kind, copy=False)
            pwrite_all(
                file, lines.view(np.uint8).data.cast("B"), start + at.start * lines[0].nbytes
            )
            os.fdatasync(file)
            finished.append([number])
            processes.heartbeat()
    finally:
        os.close(file)
    processes.heartbeat(finished=True)
    processes.barrier()


def new_scores(exact: ExactTiles, rows: torch.Tensor) -> torch.Tensor:
    """Return the scores of rows, by their numbers (b,), with all, (b, n) on the device."""
    scores = torch.empty(len(rows), len(exact), device=exact.device)
    exact.fill(scores, rows, blocks(slice(0, len(exact)), exact.side))
    return scores
