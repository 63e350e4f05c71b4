"""Dataset and DataModule: the images of a gallery as batches of pixels."""

from typing import NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from src.embedding.transforms import Pixels, Transform
from src.gallery import Gallery
from src.io.files import sha256
from src.io.images import Unreadable, load_rgb

CHANGED = "the file has changed since it was listed: run the same command again"


class Batch(NamedTuple):
    """The decoded images of a batch, and its images that could not be read."""

    images: Tensor  # (b, size, size, 3) uint8
    rows: list[int]  # (b,) row numbers of the gallery
    unreadable: list[tuple[int, str]]  # row and reason


class PaintingsDataset(Dataset[tuple[int, Pixels | str]]):
    """(row, pixels) of every image of a gallery; (row, reason) for an image that is unreadable."""

    def __init__(self, gallery: Gallery, transform: Transform, max_pixels: int):
        self.root, self.files = gallery.root, gallery.files
        self.checksums = list(gallery.works["sha256"])
        self.transform, self.max_pixels = transform, max_pixels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[int, Pixels | str]:
        path = self.root / self.files[row]
        try:
            image = load_rgb(path, self.max_pixels, self.transform.min_decode_size)
            # else its row would be cached as that of the listed image, for other galleries too
            if self.checksums[row] not in ("", sha256(path)):
                return row, CHANGED
        except (Unreadable, FileNotFoundError) as reason:
            return row, str(reason)
        return row, self.transform(image)


def collate(items: list[tuple[int, Pixels | str]]) -> Batch:
    """Stack the readable images of a batch and list the others."""
    readable = [(row, image) for row, image in items if not isinstance(image, str)]
    unreadable = [(row, reason) for row, reason in items if isinstance(reason, str)]
    pixels = np.stack([image for _, image in readable]) if readable else np.empty(0, np.uint8)
    return Batch(torch.from_numpy(pixels), [row for row, _ in readable], unreadable)


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

    def predict_dataloader(self) -> DataLoader[tuple[int, Pixels | str]]:
        """Return a loader of batches of at most batch_size images."""
        return DataLoader(
            self.dataset,
            batch_size=self.batch_size,
            sampler=self.rows,
            num_workers=self.workers,
            collate_fn=collate,
            pin_memory=self.pin_memory,
        )
