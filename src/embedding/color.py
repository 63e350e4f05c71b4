"""A baseline without weights: the colors of an image as a histogram in CIELAB.

It shows what a network adds, and is a view of a collection of its own: paintings of one palette.
b = images, p = pixels of each.
"""

import torch
import torch.fx
from torch import Tensor, nn

SIZE = 128  # pixels, the side of the square in which colors are counted
BINS = 8  # of each of L*, a* and b*: rows of 8 * 8 * 8 numbers
# Of L*, a* and b*. Bin centers lie evenly from one to the other; stronger colors than those of most
# paints count in the outermost bins.
LOWEST, HIGHEST = (0.0, -50.0, -50.0), (100.0, 60.0, 70.0)
# Linear sRGB to XYZ, each row divided by that of white (D65): IEC 61966-2-1
TO_XYZ = (
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)


class Lab(nn.Module):
    """Converts sRGB to CIELAB under D65."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix: Tensor
        self.register_buffer("matrix", torch.tensor(TO_XYZ), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return L*, a* and b* (b, p, 3) of images (b, 3, h, w) from 0 to 1.

        Source: CIE 15, Colorimetry.
        """
        encoded = images.float().flatten(2).transpose(1, 2)  # (b, p, 3)
        dark, bright = encoded / 12.92, ((encoded.clamp(min=0.04) + 0.055) / 1.055).pow(2.4)
        linear = torch.where(encoded <= 0.04045, dark, bright)
        xyz = (linear.unsqueeze(2) * self.matrix).sum(3)  # no product in reduced precision
        root = xyz.clamp(min=0.008).pow(1 / 3)
        f = torch.where(xyz > (6 / 29) ** 3, root, xyz / (3 * (6 / 29) ** 2) + 4 / 29)
        x, y, z = f.unbind(2)
        return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 2)


def float32_product(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right in float32, whatever trainer.precision is."""
    if left.is_meta:  # where shapes alone are computed; autocast does not know that device
        return left @ right
    with torch.autocast(left.device.type, enabled=False):
        return left @ right


torch.fx.wrap("float32_product")  # as one step: tracing cannot enter the context


class Histogram(nn.Module):
    """Counts colors in soft bins."""

    def __init__(self) -> None:
        super().__init__()
        self.low: Tensor
        self.step: Tensor
        self.bins: Tensor
        self.register_buffer("low", torch.tensor(LOWEST), persistent=False)
        step = (torch.tensor(HIGHEST) - torch.tensor(LOWEST)) / (BINS - 1)
        self.register_buffer("step", step, persistent=False)
        self.register_buffer("bins", torch.arange(BINS).float(), persistent=False)

    def forward(self, lab: Tensor) -> Tensor:
        """Return the roots of the shares of colors, (b, 512), of pixels lab (b, p, 3).

        Each pixel is shared among the 8 bins around it by trilinear interpolation, so that a small
        change of color moves a row little. The cosine of two rows of roots is the Bhattacharyya
        coefficient of the histograms: 1 for equal ones, 0 for palettes without a common color.
        """
        place = ((lab - self.low) / self.step).clamp(0, BINS - 1)
        # (b, p, 3, 8): how much of a pixel is in each bin of an axis, 1 in all
        share = (1 - (place.unsqueeze(3) - self.bins).abs()).clamp(min=0)
        lightness, a, b = share.unbind(2)
        chroma = (a.unsqueeze(3) * b.unsqueeze(2)).flatten(2)  # (b, p, 64)
        counts = float32_product(lightness.transpose(1, 2), chroma)
        return (counts.flatten(1) / lab.shape[1]).sqrt()


class ColorNetwork(nn.Module):
    """A network without weights, whose only layer is histogram."""

    def __init__(self) -> None:
        super().__init__()
        self.lab, self.histogram = Lab(), Histogram()

    def forward(self, images: Tensor) -> Tensor:
        """Return rows (b, 512) of images (b, 3, h, w) from 0 to 1."""
        rows: Tensor = self.histogram(self.lab(images))
        return rows
