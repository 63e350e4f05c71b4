"""The folders of an unfinished pass, parent/<hash>.part/, from which the next process resumes.

A pass has one for each pooling that it writes, and each can be resumed without the others. Rank 0
opens them, plans which rows are still to embed, and turns them into finished folders at the end.
Imports neither Lightning nor torch.
"""

import hashlib
import logging
import shutil
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.config.enums import Pooling
from src.embedding.cache import EmbeddingRequest
from src.embedding.copied_rows import copy_rows
from src.embedding.outdated import EARLIER
from src.embedding.pooling import Output
from src.embedding.row_files import (
    DONE,
    FEATURES,
    NAMES,
    SKIPPED,
    DoneRows,
    create_rows,
    describe,
    kind_of_reason,
    select_rows,
)
from src.errors import UserError
from src.gallery import Gallery
from src.io.csv_cells import write_rows
from src.io.files import atomic_write, remove_own
from src.runtime.resume import begin, read_record

log = logging.getLogger(__name__)

MAX_REASONS = 12  # in the log


@dataclass(frozen=True)
class PassRecord:
    """Settings stored at the start of a pass.

    A resumed pass uses them again, so that its rows are bit-identical.
    """

    layers: list[str]
    batch: int  # images in a batch
    compiler: str | None  # with its version
    device: str  # the GPU's name, or the CPU's instruction set
    torch: str  # its version


@dataclass(frozen=True)
class UnfinishedRows:
    """What a pass has to do for the layers of one pooling."""

    pooling: Pooling
    folder: Path  # <hash>.part
    record: PassRecord
    resumed: frozenset[int]  # rows that an interrupted pass has done
    copied: frozenset[int]  # rows that were copied from other galleries


@dataclass(frozen=True)
class ExtractionPlan:
    """The work of a pass, planned by rank 0 and broadcast to all ranks."""

    parts: list[UnfinishedRows]  # one for each pooling
    rows: list[int]  # of the gallery, still to embed for one of them or more, ascending
    resumed_rows: int  # done before for all of them, by an interrupted pass
    copied_rows: int  # of the others that need not be embedded; some were copied

    @property
    def record(self) -> PassRecord:
        """Return the settings of the pass; the layers are those of the first part."""
        return self.parts[0].record

    @property
    def outputs(self) -> list[Output]:
        """Return what the pass writes, in order."""
        return [Output(layer, each.pooling) for each in self.parts for layer in each.record.layers]


def plan_pass(parts: list[UnfinishedRows], n: int) -> ExtractionPlan:
    """Return the plan of a pass over n images."""
    resumed = frozenset.intersection(*(part.resumed for part in parts))
    done = frozenset.intersection(*(part.resumed | part.copied for part in parts))
    rows = [row for row in range(n) if row not in done]
    return ExtractionPlan(parts, rows, len(resumed), len(done - resumed))


def open_or_resume(
    parent: Path, record: PassRecord, free: Container[str]
) -> tuple[Path, PassRecord]:
    """Return the folder and the record of a pass over record.layers, an interrupted or a new one.

    An interrupted pass is resumed if it has the settings of record, except for those in free, and
    at least its layers; of several, the one with the most finished rows.
    """
    resumable = [
        (len(DoneRows(part).rows), part, earlier)
        for part in parent.glob("*.part")
        if (earlier := read_record(part, record, free))
        and set(record.layers) <= set(earlier.layers)
    ]
    if resumable and (best := max(resumable, key=lambda item: item[0]))[0]:
        return best[1:]
    digest = hashlib.sha256(repr(record).encode()).hexdigest()[:12]
    folder = parent / f"{digest}.part"
    begin(folder, record)
    return folder, record


def begin_rows(
    request: EmbeddingRequest, folder: Path, record: PassRecord, dims: dict[Output, int]
) -> UnfinishedRows:
    """Create missing features.npy files, copy reusable rows; return what is done.

    dims has the widths of rows, those of other poolings too. Raises UserError if the disk has no
    space for the rows.
    """
    n, checksums = len(request.gallery), list(request.gallery.works["sha256"])
    layers = [layer for layer in record.layers if not (request.folder / layer).exists()]
    missing = {layer: dims[Output(layer, request.pooling)] for layer in layers}
    if create_rows(folder, n, missing):
        for path in folder.glob(DONE):  # it lists rows of deleted files
            path.unlink()
    for layer in missing:  # so that other passes can copy its rows
        describe(folder / layer, request.options | {"layer": layer}, checksums)
    done, copied = DoneRows(folder), list[int]()
    resumed = frozenset(done.rows)
    if resumed:
        log.info("embedding: resuming: %d of %d rows done", len(resumed), n)
    elif copied := copy_rows(request, folder, list(missing)):
        log.info("embedding: reusing %d rows of earlier runs", len(copied))
        done.append(copied, [])
    return UnfinishedRows(request.pooling, folder, record, resumed, frozenset(copied))


def finish(
    parts: list[UnfinishedRows], requests: list[EmbeddingRequest], escape_formulas: bool = True
) -> None:
    """Turn the folders of a complete pass into <folder of the request>/<layer>/ for each layer.

    Rows of unreadable images are removed and listed in skipped.csv. If interrupted, it can be
    called again. Raises UserError if rows are missing, or if no image was readable.
    """
    logs, files = [DoneRows(part.folder) for part in parts], requests[0].gallery.files
    for part, done in zip(parts, logs, strict=True):
        if len(done.rows) != len(files):
            raise UserError(
                f"{part.folder} lacks rows written by other processes: run the same command again"
            )
        if len(done.unreadable) == len(files):
            for each in parts:
                shutil.rmtree(each.folder)
            raise UserError(
                f"none of the {len(files)} images can be read; the first: {files[0]}:"
                f" {done.unreadable[0]}"
            )
    _log_reasons(files, logs[0])
    request_of = {request.pooling: request for request in requests}
    for part, done in zip(parts, logs, strict=True):
        _finish_part(part, done, request_of[part.pooling], escape_formulas)


def _finish_part(
    part: UnfinishedRows, done: DoneRows, request: EmbeddingRequest, escape_formulas: bool
) -> None:
    """Turn the folder of one pooling into finished ones."""
    files = request.gallery.files
    rows = [row for row in range(len(files)) if row not in done.unreadable]
    skipped = [(files[row], reason) for row, reason in sorted(done.unreadable.items())]
    missing = [layer for layer in part.record.layers if not (request.folder / layer).exists()]
    for layer in missing:
        folder = part.folder / layer
        _finish_layer(folder, request.gallery, rows, skipped, escape_formulas)
        checksums = list(request.gallery.works["sha256"].iloc[rows])
        describe(folder, request.options | {"layer": layer}, checksums)
        for left in folder.glob("*.part"):  # of a process that was killed on another machine
            remove_own(left)
    for layer in missing:
        (part.folder / layer).rename(request.folder / layer)
    shutil.rmtree(part.folder)
    _remove_superseded(request.folder)


def _log_reasons(files: list[str], done: DoneRows) -> None:
    """Log how many images are skipped or damaged, and why."""
    if done.unreadable:
        count = len(done.unreadable)
        log.warning("%d images cannot be read and are skipped: see %s", count, SKIPPED)
        _log_counts([(files[row], reason) for row, reason in sorted(done.unreadable.items())])
    if done.damaged:
        log.warning("%d images are damaged, but were embedded", len(done.damaged))
        _log_counts([(files[row], damage) for row, damage in sorted(done.damaged.items())])


def _log_counts(reasons: list[tuple[str, str]]) -> None:
    """Log how many of (file, reason) have which reason, with the first file of each.

    Names and numbers in a reason do not count.
    """
    files: dict[str, list[str]] = {}
    for file, reason in reasons:
        files.setdefault(kind_of_reason(reason), []).append(file)
    kinds = sorted(files.items(), key=lambda kind: -len(kind[1]))
    for reason, names in kinds[:MAX_REASONS]:
        log.warning("%8d  %s (%s)", len(names), reason, names[0])
    if rest := sum(len(names) for _, names in kinds[MAX_REASONS:]):
        log.warning("%8d  other reasons", rest)


def _finish_layer(
    folder: Path,
    gallery: Gallery,
    rows: list[int],
    skipped: list[tuple[str, str]],
    escape_formulas: bool,
) -> None:
    """Reduce a layer's features.npy to rows, and write the names of images beside it."""
    select_rows(folder / FEATURES, rows)
    with atomic_write(folder / NAMES) as part, part.open("xb") as names:
        np.save(names, np.array([gallery.files[row] for row in rows]))
    with (
        atomic_write(folder / SKIPPED) as part,
        part.open("x", -1, "utf-8", "surrogateescape", "") as file,
    ):
        write_rows(file, [("file", "reason"), *skipped], escape_formulas)


def _remove_superseded(parent: Path) -> None:
    """Remove unfinished passes whose layers are all finished, and outdated layers."""
    for outdated in parent.glob(f"{EARLIER}/*"):
        if (parent / outdated.name).is_dir():
            shutil.rmtree(outdated)
    for part in [*parent.glob("*.part"), *parent.glob(EARLIER)]:
        layers = [path.parent.name for path in part.glob(f"*/{FEATURES}")]
        if all((parent / layer).is_dir() for layer in layers):
            shutil.rmtree(part)
