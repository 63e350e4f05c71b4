"""From a decoded image to the network's square of pixels. No torch, so that a run whose rows are
cached knows their fingerprint without it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from src.config.data import Data
from src.config.enums import Decode, Resize

Pixels = NDArray[np.uint8]
DECODE_OVERSAMPLING = (
    2  # times the pixels that are kept: a JPEG decoded smaller still looks the same
)


@dataclass(frozen=True)
class Preset:
    """The preprocessing that the weights were trained with, and the network's stages."""

    size: int  # pixels, the side of the network's square input
    crop_from: int  # pixels that the shorter side has before a center crop
    mean: tuple[float, ...]  # of each channel, of values from 0 to 1
    std: tuple[float, ...]
    interpolation: str  # as PIL and torchvision call it, in lower case
    stages: tuple[str, ...] = ()  # layer1 to layer4 of torchvision's ResNets, else none


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

    def min_decode_size(self, width: int, height: int) -> tuple[int, int]:
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
        return max(1, round(width * kept * DECODE_OVERSAMPLING)), max(
            1, round(height * kept * DECODE_OVERSAMPLING)
        )

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


def transform(preset: Preset, data: Data) -> Transform:
    """The transform that the options ask for, to what the weights expect."""
    return Transform(
        resize=data.resize,
        size=preset.size,
        crop_from=preset.crop_from,
        longer_side=data.longer_side,
        mean=preset.mean,
        std=preset.std,
        interpolation=preset.interpolation,
        decode=data.decode,
    )
