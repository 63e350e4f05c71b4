"""Resize a decoded image to the network's square input.

Imports no torch, so that a run whose rows are cached does not load it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from src.config.data import Data
from src.config.enums import Decode, Resize

Pixels = NDArray[np.uint8]  # (size, size, 3)
DECODE_OVERSAMPLING = 2  # a JPEG decoded at twice the needed size looks the same


@dataclass(frozen=True)
class Preset:
    """The preprocessing that the weights were trained with, and the network's stages.

    Fields are named as in the JSON files of presets.py.
    """

    size: int  # pixels, the side of the network's square input
    crop_from: int  # pixels, the shorter side before a center crop
    mean: tuple[float, ...]  # of each channel, of values from 0 to 1
    std: tuple[float, ...]
    interpolation: str  # as PIL and torchvision call it, in lower case
    stages: tuple[str, ...] = ()  # layer1 to layer4 of torchvision's ResNets, else none
    weights_file: str = ""  # of torchvision, whose name ends in digits of its SHA-256, or timm's


@dataclass(frozen=True)
class Transform:
    """Resize a PIL image to the network's square.

    mean and std are for the network, which subtracts and divides on its own device.
    """

    resize: Resize
    size: int  # pixels, the side of the network's square
    resize_before_crop: int  # pixels, the shorter side before a center crop
    max_side: int | None  # pixels; larger images are first reduced to this longer side
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    decode: Decode = Decode.scaled

    def fingerprint(self) -> str:
        """Return the text that identifies this transform in options.yaml and in folder names.

        Its form, with earlier names of two fields, is fixed: another text for the same transform
        would make every gallery be embedded again.
        """
        resize, decode = self.resize.name, self.decode.name
        return (
            f"Transform(resize=<Resize.{resize}: '{resize}'>, size={self.size},"
            f" crop_from={self.resize_before_crop}, longer_side={self.max_side},"
            f" mean={self.mean}, std={self.std}, interpolation={self.interpolation!r},"
            f" decode=<Decode.{decode}: '{decode}'>)"
        )

    def __call__(self, image: Image.Image) -> Pixels:
        """Return the pixels (size, size, 3) uint8 of image, which may be reduced in place."""
        if self.max_side is not None:
            image.thumbnail((self.max_side, self.max_side))
        return np.asarray(self._square(image))

    def min_decode_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the smallest width and height, in pixels, to decode a file of width x height at.

        The square made from it looks the same as one made from the whole file.
        """
        if self.decode is Decode.full:
            return width, height
        scale = {
            Resize.squash: self.size / min(width, height),
            Resize.crop: self.resize_before_crop / min(width, height),
            Resize.pad: self.size / max(width, height),
        }[self.resize]
        if self.max_side is not None:
            scale = max(scale, self.max_side / max(width, height))
        return max(1, round(width * scale * DECODE_OVERSAMPLING)), max(
            1, round(height * scale * DECODE_OVERSAMPLING)
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
                corner = (round((self.size - width) / 2), round((self.size - height) / 2))
                padded.paste(image.resize((width, height), method), corner)
                return padded
            case Resize.crop:
                return image.resize(square, method, self._crop_box(*image.size))

    def _crop_box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the box that torchvision's Resize(resize_before_crop), CenterCrop(size) keep.

        It is in pixels of the given image: resizing all of 1 x 10,000 pixels would fill gigabytes.
        """
        (left, right), (top, bottom) = (
            self._crop_span(side, min(width, height)) for side in (width, height)
        )
        return left, top, right, bottom

    def _crop_span(self, side: int, shorter: int) -> tuple[float, float]:
        """Return where the box starts and ends along a side."""
        resized = int(self.resize_before_crop * side / shorter)
        start = round((resized - self.size) / 2)
        return start * side / resized, min(side, (start + self.size) * side / resized)


def transform(preset: Preset, data: Data) -> Transform:
    """Return the transform for the preset of the weights and the options of the data."""
    return Transform(
        resize=data.resize,
        size=preset.size,
        resize_before_crop=preset.crop_from,
        max_side=data.max_side,
        mean=preset.mean,
        std=preset.std,
        interpolation=preset.interpolation,
        decode=data.decode,
    )
