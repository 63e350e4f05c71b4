"""From files to tensors: decoding, the transform to the network's square, and the batches."""

import os
from dataclasses import dataclass
from typing import NamedTuple

import lightning as L
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from src.config import Data, Resize
from src.gallery import Gallery
from src.images import Unreadable, load_rgb


class Batch(NamedTuple):
    """Decoded images and the gallery rows they belong to; rows that could not be read, and why."""

    images: Tensor  # (b, 3, size, size) float32
    rows: list[int]
    unreadable: list[tuple[int, str]]


@dataclass(frozen=True)
class Transform:
    """A PIL image to the network's input. Its repr identifies it in the embeddings' fingerprint."""

    resize: Resize
    size: int  # pixels, the side of the network's square
    crop_from: int  # pixels that the shorter side has before a center crop
    longer_side: int | None  # pixels; larger images are first reduced to this
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"

    def __call__(self, image: Image.Image) -> Tensor:
        """A (3, size, size) float32 tensor, normalized by mean and std."""
        if self.longer_side is not None:
            image.thumbnail((self.longer_side, self.longer_side))
        pixels = np.array(self._square(image))  # (size, size, 3) uint8
        square = torch.from_numpy(pixels).permute(2, 0, 1).float().div_(255)
        mean, std = torch.tensor(self.mean), torch.tensor(self.std)
        return (square - mean[:, None, None]) / std[:, None, None]

    def _square(self, image: Image.Image) -> Image.Image:
        method = Image.Resampling[self.interpolation.upper()]
        square = (self.size, self.size)
        match self.resize:
            case Resize.squash:
                return image.resize(square, method)
            case Resize.pad:
                # ImageOps.pad loses a picture that is thinner than a pixel
                scale = self.size / max(image.size)
                width, height = (max(1, round(side * scale)) for side in image.size)
                padded = Image.new("RGB", square)
                at = (round((self.size - width) / 2), round((self.size - height) / 2))
                padded.paste(image.resize((width, height), method), at)
                return padded
            case Resize.crop:
                return image.resize(square, method, self._center(*image.size))

    def _center(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The box of an image that torchvision's Resize(crop_from), CenterCrop(size) would keep.

        Taken from the image itself: 1 x 10,000 pixels resized whole would fill gigabytes.
        """
        (left, right), (top, bottom) = (
            self._span(side, min(width, height)) for side in (width, height)
        )
        return left, top, right, bottom

    def _span(self, side: int, shorter: int) -> tuple[float, float]:
        resized = int(self.crop_from * side / shorter)
        start = round((resized - self.size) / 2)
        return start * side / resized, min(side, (start + self.size) * side / resized)


class PaintingsDataset(Dataset[tuple[int, Tensor | str]]):
    """(row, image) of every image of a gallery; for one that cannot be read, (row, reason)."""

    def __init__(self, gallery: Gallery, transform: Transform, max_pixels: int):
        self.root, self.files = gallery.root, gallery.files
        self.transform, self.max_pixels = transform, max_pixels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[int, Tensor | str]:
        try:
            image = load_rgb(self.root / self.files[row], self.max_pixels)
        except Unreadable as reason:
            return row, str(reason)
        return row, self.transform(image)


def collate(items: list[tuple[int, Tensor | str]]) -> Batch:
    """The readable images of a batch stacked, the others listed."""
    good = [(row, image) for row, image in items if isinstance(image, Tensor)]
    bad = [(row, reason) for row, reason in items if isinstance(reason, str)]
    images = torch.stack([image for _, image in good]) if good else torch.empty(0)
    return Batch(images, [row for row, _ in good], bad)


class GalleryDataModule(L.LightningDataModule):
    """Serves a gallery to Trainer.predict: each row once, to whichever process."""

    def __init__(self, gallery: Gallery, transform: Transform, data: Data, sharing: int = 1):
        super().__init__()
        self.dataset = PaintingsDataset(gallery, transform, data.max_pixels)
        self.batch_size = data.batch_size
        self.workers = worker_count(sharing) if data.workers is None else data.workers

    def predict_dataloader(self) -> DataLoader[tuple[int, Tensor | str]]:
        """Batches of at most batch_size images."""
        return DataLoader(
            self.dataset,
            batch_size=self.batch_size,
            num_workers=self.workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.workers > 0,
        )


def worker_count(sharing: int = 1) -> int:
    """Decoding processes for this machine: none on two cores, where they would take turns.

    Where so many processes of a run are sharing the machine, each takes its part of the cores.
    """
    everything = os.cpu_count() or 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else everything
    if cores == everything:  # else Slurm, say, has given each process its own
        cores //= sharing
    return 0 if cores <= 2 else min(cores - 1, 8)
