"""The canvas and the tools of the styles."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Floats = NDArray[np.floating]


def _ink(values: Floats) -> tuple[int, ...]:
    return tuple(np.clip(values, 0, 255).astype(int).tolist())


class Canvas:
    """A painting in progress, drawn at twice its final size so that shrinking smooths the edges.

    All lengths are in hundredths of the short side.
    """

    def __init__(self, rng: np.random.Generator, palette: Floats, coarseness: float) -> None:
        self.rng, self.coarseness = rng, coarseness
        self.palette = palette  # (5, 3) RGB from 0 to 255: ground, dark, three accents
        long, aspect = 2 * rng.integers(300, 401), np.exp(rng.uniform(np.log(0.6), np.log(1.7)))
        columns, rows = int(long * min(1, aspect)), int(long / max(1, aspect))
        self.scale = min(columns, rows) / 100  # pixels per unit of length
        self.w, self.h = columns / self.scale, rows / self.scale
        # Coordinates of the pixels: (rows, 1) and (1, columns)
        self.y, self.x = (axis / self.scale for axis in np.ogrid[:rows, :columns])
        self.image = Image.new("RGB", (columns, rows), _ink(palette[0]))
        self.draw = ImageDraw.Draw(self.image)

    def color(self, number: int | None = None, light: float = 1.0) -> Floats:
        """Return a noisy color (3,) of the palette, a random accent if number is None."""
        row = self.rng.integers(2, 5) if number is None else number
        base: Floats = self.palette[row] * light
        return base + self.rng.normal(0, 5, 3)

    def blend(self, positions: Floats) -> Floats:
        """Return colors (..., 3) interpolated at positions (...) from 0 to 1 along the palette."""
        channels = [np.interp(positions * 4, range(5), channel) for channel in self.palette.T]
        return np.stack(channels, -1)

    def cloud(self, cells: int) -> Floats:
        """Return smooth noise (rows, columns), mostly between 0 and 1."""
        coarse = Image.fromarray(self.rng.random((cells, cells), np.float32))
        return np.asarray(coarse.resize(self.image.size, Image.Resampling.BICUBIC))

    def cuts(self, length: float, step: float) -> list[tuple[float, float]]:
        """Cut a length into uneven pieces of about `step`; return at least two (start, end)."""
        steps = self.rng.uniform(0.4, 2, max(2, round(length / step / self.coarseness))).cumsum()
        return list(pairwise([0.0, *(length * steps / steps[-1]).tolist()]))

    def cover(self, pixels: Floats) -> None:
        """Fill the canvas with pixels that broadcast to (rows, columns, 3)."""
        whole = np.broadcast_to(pixels, (*self.image.size[::-1], 3))
        self.image.paste(Image.fromarray(np.clip(whole, 0, 255).astype(np.uint8)))

    def shape(self, points: Floats, fill: Floats) -> None:
        """Draw a filled polygon of points (n, 2)."""
        self.draw.polygon((points * self.scale).ravel().tolist(), _ink(fill))

    def stroke(self, path: Floats, fill: Floats, width: float) -> None:
        """Draw a line along a path (n, 2)."""
        points, pixels = (path * self.scale).ravel().tolist(), max(1, round(width * self.scale))
        self.draw.line(points, _ink(fill), pixels, joint="curve")

    def box(self, x: tuple[float, float], y: tuple[float, float], fill: Floats) -> None:
        """Draw a filled rectangle, given by (start, end) in x and y."""
        self.draw.rectangle([v * self.scale for v in (x[0], y[0], x[1], y[1])], _ink(fill))

    def disc(self, x: float, y: float, rx: float, ry: float, fill: Floats) -> None:
        """Draw a filled ellipse, given by center and radii."""
        self.draw.ellipse([v * self.scale for v in (x - rx, y - ry, x + rx, y + ry)], _ink(fill))

    def ball(self, x: float, y: float, rx: float, ry: float) -> None:
        """Draw a shaded ellipse in a random accent color."""
        color = self.color()
        for s in np.linspace(0, 1, 20):  # smaller, lighter and nearer the upper left
            x, y, size = x - 0.018 * rx, y - 0.018 * ry, 1 - 0.85 * s
            self.disc(x, y, rx * size, ry * size, color * (0.62 + 0.55 * s))

    def finish(self) -> Image.Image:
        """Return the painting at its final size, with canvas weave and uneven varnish."""
        small = np.asarray(self.image.reduce(2))
        h, w = small.shape[:2]
        weave = 0.015 * np.sin(np.arange(h) * 2.1)[:, None] * np.sin(np.arange(w) * 2.0)
        light = 0.95 + 0.09 * self.cloud(5)[:h, :w] + weave + self.rng.normal(0, 0.018, (h, w))
        return Image.fromarray(np.clip(small * light[..., None], 0, 255).astype(np.uint8))
