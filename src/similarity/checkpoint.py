"""Checkpoints of an unfinished search: the candidates of the tiles compared so far."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import count
from pathlib import Path

import numpy as np
import torch
from filelock import Timeout

from src.io.arrays import read_npz
from src.io.files import atomic_write, file_lock, refused
from src.runtime.processes import ProcessGroup
from src.runtime.resume import begin_or_resume
from src.similarity.candidates import Candidates
from src.similarity.record import FREE_TO_DIFFER, SearchRecord

SAVE_SECONDS = 20.0  # between two saves
SAVE_COST_RATIO = 20  # or this many times the duration of a save, if that is longer


class Checkpoint:
    """Saves the candidates of finished tiles in folder, one file per process."""

    def __init__(
        self,
        folder: Path,
        candidates: Candidates,
        record: SearchRecord,
        processes: ProcessGroup,
    ):
        self.folder, self.candidates, self.processes = folder, candidates, processes
        self.record = record  # in force: with the block of the call that began
        self._record_json = json.dumps(asdict(record))
        self._last_save, self._save_seconds = time.monotonic(), 0.0

    def restore(self) -> None:
        """Merge the files of all processes of an interrupted call into one."""
        paths = list(self.folder.glob("candidates-*.npz"))
        files = [read_npz(path) for path in paths]
        # a run may still have saved here after another one had begun again with another block
        files = [file for file in files if str(file["record"]) == self._record_json]
        for file in sorted(files, key=lambda file: -len(file["done"])):
            done = set(file["done"].tolist())
            if not done & self.candidates.seen:  # else rank 0 had joined it already
                key, index = torch.from_numpy(file["key"]), torch.from_numpy(file["index"])
                self.candidates.join(key, index)
                self.candidates.seen |= done
        if files:
            self.save()
            for path in paths:
                if path != self._path(0):
                    path.unlink()

    def save_if_due(self) -> None:
        """Save if the last save is long enough ago, given what a save costs."""
        interval = max(SAVE_SECONDS, SAVE_COST_RATIO * self._save_seconds)
        if time.monotonic() - self._last_save > interval:
            self.save()

    def save(self) -> None:
        """Write the candidates of this process."""
        start = time.monotonic()
        done = np.array(sorted(self.candidates.seen), dtype=np.int64)
        key, index = self.candidates.key.cpu().numpy(), self.candidates.index.cpu().numpy()
        with atomic_write(self._path(self.processes.rank)) as part, part.open("xb") as file:
            np.savez(
                file, allow_pickle=False, record=self._record_json, done=done, key=key, index=index
            )
        self._last_save = time.monotonic()
        self._save_seconds = self._last_save - start

    def _path(self, rank: int) -> Path:
        return self.folder / f"candidates-{rank}.npz"


@contextmanager
def open_checkpoint(
    parent: Path, candidates: Candidates, record: SearchRecord, processes: ProcessGroup
) -> Iterator[Checkpoint]:
    """Yield the checkpoint of this search in parent, with what an interrupted call left restored.

    Rank 0 takes over its candidates; the other ranks learn which tiles those come from. The folder
    is deleted at the end of the block, and stays if that raises.
    """
    name = f"neighbors-{record.features}-{record.groups}-{candidates.c}"
    with ExitStack() as stack:

        def restore() -> tuple[Path, SearchRecord, set[int]]:
            """Return the folder, the record in force and the numbers of the restored tiles."""
            folder = stack.enter_context(_locked_folder(parent, name))
            in_force = begin_or_resume(folder, record, FREE_TO_DIFFER)
            Checkpoint(folder, candidates, in_force, processes).restore()
            return folder, in_force, candidates.seen

        folder, in_force, restored = processes.broadcast_from_rank_zero(restore)
        candidates.seen_elsewhere = set(restored) - candidates.seen
        yield Checkpoint(folder, candidates, in_force, processes)
        processes.barrier()  # no other process needs the folder any more


@contextmanager
def _locked_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yield the first folder of that name that no other run works in, and delete it at the end.

    Runs that compare the same rows at the same time, as those of a sweep may, have a folder each.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for number in count():
        folder = parent / f"{name}{f'-{number}' if number else ''}.part"
        lock = file_lock(folder.with_suffix(".lock"))
        try:
            with refused(lock.lock_file):
                lock.acquire(blocking=False)
        except Timeout:
            continue
        try:
            yield folder
            shutil.rmtree(folder, ignore_errors=True)
            Path(lock.lock_file).unlink(missing_ok=True)
        finally:
            lock.release()
        return
