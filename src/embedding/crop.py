"""A rectangle of a picture, in percent of its sides. Imports no torch."""

import re
from math import ceil, floor
from typing import NamedTuple

from PIL import Image

from src.errors import UserError
from src.io.jpeg import MinSize

NUMBER = r"\d{1,3}(?:\.\d{1,6})?"


class Crop(NamedTuple):
    """A part of an upright picture, in percent of its width and of its height."""

    left: float
    top: float
    width: float
    height: float

    def __str__(self) -> str:
        """Return the numbers as in an address, with at most two decimals."""
        return ",".join(f"{number:.2f}".rstrip("0").rstrip(".") for number in self)

    def of(self, image: Image.Image) -> Image.Image:
        """Return the part of a picture, at least a pixel; all of it is the picture itself."""
        if self == WHOLE:
            return image
        (left, right), (top, bottom) = (
            _pixels(start, length, side)
            for start, length, side in zip(self[:2], self[2:], image.size, strict=True)
        )
        return image.crop((left, top, right, bottom))

    def min_decode_size(self, of_whole: MinSize, width: int, height: int) -> tuple[int, int]:
        """Return the smallest size to decode a file of width x height at, for this part of it.

        of_whole tells it for a picture that is only the part. A file may be stored on its side, so
        the larger of both answers is taken.
        """
        if self == WHOLE:
            return of_whole(width, height)
        scales = []
        for across, down in ((self.width, self.height), (self.height, self.width)):
            part = max(1, round(width * across / 100)), max(1, round(height * down / 100))
            needed = of_whole(*part)
            scales += [needed[0] / part[0], needed[1] / part[1]]
        scale = min(1.0, max(scales))
        return ceil(width * scale), ceil(height * scale)


WHOLE = Crop(0, 0, 100, 100)


def parse_crop(text: str) -> Crop:
    """Return the part that a text names: left, top, width and height, "" for all of the picture.

    Raises UserError.

    >>> str(parse_crop("12.5,0,50,100"))
    '12.5,0,50,100'
    """
    if not text:
        return WHOLE
    numbers = text.split(",") if re.fullmatch(rf"{NUMBER}(?:,{NUMBER}){{3}}", text, re.A) else []
    crop = Crop(*(round(float(number), 2) for number in numbers)) if numbers else None
    if crop is None or min(crop[2:]) <= 0 or max(map(sum, (crop[::2], crop[1::2]))) > 100.01:
        raise UserError(
            "crop must be left, top, width and height in percent of the picture, as in"
            f" 10,20,50.5,40, got {text[:60]}"
        )
    return crop


def _pixels(start: float, length: float, side: int) -> tuple[int, int]:
    """Return where a part begins and ends along a side of that many pixels."""
    first = min(floor(start * side / 100), side - 1)
    return first, min(side, max(first + 1, ceil((start + length) * side / 100)))
