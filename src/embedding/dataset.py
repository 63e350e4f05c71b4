"""Dataset and DataModule: the images of a gallery as batches of pixels."""

import errno
import signal
from collections.abc import Sequence
from typing import NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from src.embedding.shared_memory import Activity, BatchMemory
from src.embedding.transforms import Pixels, Transform
from src.errors import UserError
from src.gallery import Gallery
from src.io.files import sha256
from src.io.images import load_with_remark
from src.io.unreadable import Unreadable

CHANGED = "the file has changed since it was listed: run the same command again"


class Notes(NamedTuple):
    """What became of the images of a batch."""

    rows: list[int]  # (b,) row numbers of the gallery, of the images that were decoded
    unreadable: list[tuple[int, str]]  # row and reason
    damaged: list[tuple[int, str]]  # row, and what is damaged about a file that was decoded


class Batch(NamedTuple):
    """The decoded images of a batch, and its images that could not be read."""

    images: Tensor  # (b, size, size, 3) uint8
    rows: list[int]  # (b,) row numbers of the gallery
    unreadable: list[tuple[int, str]]  # row and reason
    damaged: Sequence[tuple[int, str]] = ()  # row, and what is damaged about a decoded file


class LoaderError(UserError):
    """Images cannot be decoded, through no fault of theirs: the run ends."""

    code = 1


class Item(NamedTuple):
    """An image of the gallery as a worker returns it."""

    row: int
    # the reason why the file is unreadable, or the error that ends the run, which DataLoader would
    # turn into text with a traceback if it were raised
    content: Pixels | str | LoaderError
    damage: str = ""  # to a file that was read


class SharedBatch(NamedTuple):
    """A batch on its way from a worker process; its pixels are in the shared memory."""

    key: tuple[int, int, int]  # of BatchMemory
    notes: Notes
    error: LoaderError | None


class PaintingsDataset(Dataset[Item]):
    """Every image of a gallery, by row."""

    def __init__(self, gallery: Gallery, transform: Transform, max_pixels: int):
        self.root, self.files = gallery.root, gallery.files
        self.checksums = list(gallery.works["sha256"])
        self.transform, self.max_pixels = transform, max_pixels
        self.activity = Activity()

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Item:
        with self.activity.decoding(row):
            try:
                return self._read(row)
            except (Unreadable, FileNotFoundError) as reason:
                return Item(row, str(reason))
            except (OSError, MemoryError) as error:
                return Item(row, LoaderError(f"{self.files[row]}: {_about_machine(error)}"))

    def _read(self, row: int) -> Item:
        path = self.root / self.files[row]
        image, damage = load_with_remark(path, self.max_pixels, self.transform.min_decode_size)
        # else its row would be cached as that of the listed image, for other galleries too
        if self.checksums[row] not in ("", sha256(path)):
            raise Unreadable(CHANGED)
        return Item(row, self.transform(image), damage)


def _about_machine(error: OSError | MemoryError) -> str:
    """Return the message for an error that says nothing about the file."""
    if isinstance(error, MemoryError) or error.errno == errno.ENOMEM:
        return "too little memory to decode it: lower data.workers or data.max_pixels"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{error.strerror}: raise the limit with ulimit -n, or lower data.workers"
    return f"{error.strerror or error}: run the same command again, it resumes"


def split(items: list[Item]) -> tuple[list[Pixels], Notes]:
    """Return the pixels of the readable images, and all else about the images."""
    images = [item.content for item in items if isinstance(item.content, np.ndarray)]
    return images, Notes(
        rows=[item.row for item in items if isinstance(item.content, np.ndarray)],
        unreadable=[(item.row, item.content) for item in items if isinstance(item.content, str)],
        damaged=[(item.row, item.damage) for item in items if item.damage],
    )


def first_error(items: list[Item]) -> LoaderError | None:
    """Return the first error that ends the run, None if there is none."""
    errors = (item.content for item in items if isinstance(item.content, LoaderError))
    return next(errors, None)


def collate(items: list[Item]) -> Batch:
    """Stack the readable images of a batch and list the others. Raises LoaderError."""
    if error := first_error(items):
        raise error
    images, notes = split(items)
    pixels = np.stack(images) if images else np.empty(0, np.uint8)
    return Batch(torch.from_numpy(pixels), *notes)


def _set_signals(worker: int) -> None:
    """Let a crash end this worker without DataLoader's own line: LoaderGuard reports it.

    Signals that Slurm sends to all processes of a job are left to the main process, whose handlers
    would start the job again once more from each worker.
    """
    for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE):
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


class GalleryDataModule(L.LightningDataModule):
    """Serves rows of a gallery to Trainer.predict, in their order."""

    def __init__(
        self,
        dataset: PaintingsDataset,
        rows: list[int],
        batch_size: int,
        workers: int,
        pin_memory: bool = False,
    ) -> None:
        super().__init__()
        self.dataset, self.rows = dataset, rows
        self.batch_size, self.workers, self.pin_memory = batch_size, workers, pin_memory
        self._memory: BatchMemory | None = None
        dataset.activity = Activity(workers)

    def predict_dataloader(self) -> DataLoader[Item]:
        """Return a loader of batches of at most batch_size images."""
        if self.workers:
            batch_size = min(self.batch_size, len(self.rows))
            self._memory = BatchMemory(self.workers, batch_size, self.dataset.transform.size)
        return DataLoader(
            self.dataset,
            batch_size=self.batch_size,
            sampler=self.rows,
            num_workers=self.workers,
            collate_fn=self._send if self.workers else collate,
            worker_init_fn=_set_signals,
            # shared memory reaches forked processes alone
            multiprocessing_context="fork" if self.workers else None,
        )

    def _send(self, items: list[Item]) -> SharedBatch:
        """Collate in a worker process."""
        assert self._memory is not None
        images, notes = split(items)
        return SharedBatch(self._memory.store(images), notes, first_error(items))

    def on_before_batch_transfer(self, batch: Batch | SharedBatch, dataloader_idx: int) -> Batch:
        """Return the batch with its pixels as a tensor. Raises LoaderError."""
        if isinstance(batch, SharedBatch):
            assert self._memory is not None
            if batch.error:
                raise batch.error
            pixels = torch.from_numpy(self._memory.load(batch.key))
            batch = Batch(pixels, *batch.notes)
        if self.pin_memory:
            batch = batch._replace(images=batch.images.pin_memory())
        return batch
