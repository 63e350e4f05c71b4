"""From files to pixels: decoding, the transform to the network's square, and the batches."""

from dataclasses import dataclass
from typing import NamedTuple

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from src.choices import Decode, Resize
from src.files import sha256
from src.gallery import Gallery
from src.images import Unreadable, load_rgb

Pixels = NDArray[np.uint8]
CHANGED = "the file has changed since it was listed: start again"
SPARE = 2  # times the pixels that are kept: a JPEG decoded smaller still looks the same


class Batch(NamedTuple):
    """Decoded images and the gallery rows they belong to; rows that could not be read, and why."""

    images: Tensor  # (b, size, size, 3) uint8
    rows: list[int]
    unreadable: list[tuple[int, str]]


@dataclass(frozen=True)
class Transform:
    """A PIL image to the network's square. Its repr identifies it in the embeddings' fingerprint.

    mean and std are for the network, which subtracts and divides on its own device.
    """

    resize: Resize
    size: int  # pixels, the side of the network's square
    crop_from: int  # pixels that the shorter side has before a center crop
    longer_side: int | None  # pixels; larger images are first reduced to this
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    decode: Decode = Decode.scaled

    def __call__(self, image: Image.Image) -> Pixels:
        """The (size, size, 3) pixels."""
        if self.longer_side is not None:
            image.thumbnail((self.longer_side, self.longer_side))
        return np.asarray(self._square(image))

    def needed(self, width: int, height: int) -> tuple[int, int]:
        """The fewest pixels of a file of width x height that the square is still made of well."""
        if self.decode is Decode.full:
            return width, height
        kept = {
            Resize.squash: self.size / min(width, height),
            Resize.crop: self.crop_from / min(width, height),
            Resize.pad: self.size / max(width, height),
        }[self.resize]
        if self.longer_side is not None:
            kept = max(kept, self.longer_side / max(width, height))
        return max(1, round(width * kept * SPARE)), max(1, round(height * kept * SPARE))

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


class PaintingsDataset(Dataset[tuple[int, Pixels | str]]):
    """(row, pixels) of every image of a gallery; for one that cannot be read, (row, reason)."""

    def __init__(self, gallery: Gallery, transform: Transform, max_pixels: int):
        self.root, self.files = gallery.root, gallery.files
        self.checksums = list(gallery.works["sha256"])
        self.transform, self.max_pixels = transform, max_pixels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[int, Pixels | str]:
        path = self.root / self.files[row]
        try:
            image = load_rgb(path, self.max_pixels, self.transform.needed)
            # the row would be taken for that of the image that was listed, in other galleries too
            if self.checksums[row] not in ("", sha256(path)):
                return row, CHANGED
        except (Unreadable, FileNotFoundError) as reason:
            return row, str(reason)
        return row, self.transform(image)


def collate(items: list[tuple[int, Pixels | str]]) -> Batch:
    """The readable images of a batch stacked, the others listed."""
    good = [(row, image) for row, image in items if not isinstance(image, str)]
    bad = [(row, reason) for row, reason in items if isinstance(reason, str)]
    pixels = np.stack([image for _, image in good]) if good else np.empty(0, np.uint8)
    return Batch(torch.from_numpy(pixels), [row for row, _ in good], bad)


class GalleryDataModule(L.LightningDataModule):
    """Serves rows of a gallery to Trainer.predict, in batches of their order."""

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
        """Batches of at most batch_size images."""
        return DataLoader(
            self.dataset,
            batch_size=self.batch_size,
            sampler=self.rows,
            num_workers=self.workers,
            collate_fn=collate,
            pin_memory=self.pin_memory,
        )
