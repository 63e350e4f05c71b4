"""Twelve styles of painting, each a function that fills a Canvas `c`."""

from itertools import product

import numpy as np
from PIL import ImageEnhance, ImageFilter, ImageOps

from src.demo.canvas import Canvas


def grid(c: Canvas) -> None:
    """Draw ruled cells, half of them the bare ground."""
    xs, ys, line = c.cuts(c.w, 22), c.cuts(c.h, 22), 0.8 * c.coarseness
    cells = list(product(xs, ys))
    for i, j in c.rng.integers((len(xs) - 1, len(ys) - 1), size=(4, 2)):  # cells of two by two
        cells.append(((xs[i][0], xs[i + 1][1]), (ys[j][0], ys[j + 1][1])))
    for x, y in cells:
        c.box((x[0] - line, x[1] + line), (y[0] - line, y[1] + line), c.color(1))
        fill = c.color(0 if c.rng.random() < 0.55 else None)
        c.box((x[0] + line, x[1] - line), (y[0] + line, y[1] - line), fill)


def color_field(c: Canvas) -> None:
    """Draw a few soft-edged bands that float on the ground."""
    pixels, margin = c.palette[0], c.rng.uniform(3, 6)
    bands = c.cuts(c.h - 2 * margin, c.rng.uniform(35, 55) / c.coarseness)
    for number, (top, bottom) in zip(c.rng.permutation([1, 2, 3, 4] * 2), bands, strict=False):
        across = np.minimum(c.x - margin, c.w - margin - c.x)
        down = np.minimum(c.y - top - 1.4 * margin, bottom + 0.6 * margin - c.y)
        inside = np.minimum(across, down) + 2 * c.cloud(70) - 1  # ragged edges
        veil = np.clip(inside / 4 / c.coarseness, 0, 1) * (0.7 + 0.3 * c.cloud(9))
        pixels = pixels + (c.color(number) - pixels) * veil[..., None]
    c.cover(pixels)


def landscape(c: Canvas) -> None:
    """Draw a sun over receding ridges."""
    sky = np.clip(c.y / c.h * 1.5, 0, 1)[..., None]
    c.cover(c.palette[4] * (1 - sky) + c.palette[0] * sky + 14 * c.cloud(6)[..., None])
    c.disc(c.w * c.rng.uniform(0.1, 0.9), c.h * c.rng.uniform(0.1, 0.4), 6, 6, c.color(2))
    x, horizon = np.linspace(0, c.w, 60), c.h * c.rng.uniform(0.35, 0.6)
    for depth in np.linspace(0, 1, 5):
        hills = sum(np.sin(x * f + c.rng.uniform(0, 6)) / f for f in c.rng.uniform(0.02, 0.15, 3))
        ridge = horizon + (0.98 * c.h - horizon) * depth**1.4 - 0.27 * hills / c.coarseness
        for furrow in range(14):
            y = ridge + furrow * (1 + 2.2 * depth)
            tone = (c.palette[3] * (1 - depth) + c.palette[1] * depth) * (1 + 0.02 * furrow)
            hill = np.vstack([np.stack([x, y], 1), [(c.w, c.h), (0, c.h)]])
            c.shape(hill, tone + c.rng.normal(0, 6))


def pointillism(c: Canvas) -> None:
    """Draw a landscape in dots."""
    landscape(c)
    dots = np.mgrid[0 : c.w : 2.1 * c.coarseness, 0 : c.h : 2.1 * c.coarseness].reshape(2, -1).T
    dots = c.rng.permutation(dots + c.rng.normal(0, 0.5 * c.coarseness, dots.shape))
    columns, rows = np.clip(dots * c.scale, 0, np.array(c.image.size) - 1).astype(int).T
    tones = np.asarray(c.image)[rows, columns] + c.rng.normal(0, 26, (len(dots), 3))
    c.cover(c.palette[0])
    for (x, y), tone in zip(dots, tones, strict=True):
        c.disc(x, y, 1.5 * c.coarseness, 1.5 * c.coarseness, tone)


def waves(c: Canvas) -> None:
    """Draw bands of the palette along a warped phase."""
    phase = c.y * c.rng.uniform(0.07, 0.1) / c.coarseness
    for f, tilt, shift in c.rng.uniform((0.02, -0.02, 0), (0.09, 0.02, 6), (3, 3)):
        phase = phase + 0.032 / f * np.sin(f * c.x + tilt * c.y + shift)
    band = np.floor(phase).astype(int)
    c.cover(c.palette[band % 5] * (0.72 + 0.4 * (phase - band))[..., None])


def gesture(c: Canvas) -> None:
    """Draw wide bristly strokes along random curves."""
    t = np.linspace(0, 1, 24)[:, None]
    bezier = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3])
    for _ in range(round(16 / c.coarseness)):
        path = bezier @ (c.rng.uniform(-0.1, 1.1, (4, 2)) * (c.w, c.h))
        slope = np.gradient(path, axis=0)
        normal = slope[:, ::-1] * (-1, 1) / np.linalg.norm(slope, axis=1, keepdims=True)
        number, width = int(c.rng.integers(1, 5)), c.rng.uniform(2, 6) * c.coarseness
        for offset in np.linspace(-width, width, 16):
            bristle = (path + normal * offset)[c.rng.integers(3) : c.rng.integers(20, 25)]
            c.stroke(bristle, c.color(number, c.rng.uniform(0.8, 1.2)), width / 6)


def _bottle(c: Canvas, x: float, foot: float) -> None:
    """Draw a shaded bottle around x that stands at y = foot."""
    (height, width), tone, level = c.rng.uniform((35, 6), (55, 9)), c.color(), np.linspace(0, 1, 30)
    half = width * np.interp(level, [0, 0.03, 0.5, 0.68, 0.94, 0.95], [0.9, 1, 1, 0.35, 0.3, 0.4])
    y = foot - height * level
    c.disc(x + width, foot, width * 1.8, 2, c.color(1, 0.7))
    for lit in np.linspace(1, 0.1, 16):
        left, right = np.stack([x - half, y], 1), np.stack([x - half + 2 * half * lit, y], 1)
        c.shape(np.vstack([left, right[::-1]]), tone * (1.2 - 0.6 * lit))


def still_life(c: Canvas) -> None:
    """Draw a bowl of fruit, bottles and loose fruit on a table."""
    table, columns = c.h * c.rng.uniform(0.55, 0.66), np.arange(9, c.w - 8, 16)
    c.cover(c.palette[0] * (0.87 + 0.15 * c.cloud(4))[..., None])
    c.box((0, c.w), (table, c.h), c.color(1))
    for x in c.rng.choice(columns, c.rng.integers(1, 4), replace=False):
        _bottle(c, x, table + c.rng.uniform(4, 12))
    x, y, half = c.w * c.rng.uniform(0.3, 0.7), table + c.rng.uniform(12, 16), np.linspace(0, np.pi)
    for shift in np.linspace(-13, 13, 4):
        c.ball(x + shift, y - 14 + abs(shift) / 5, 7.5, c.rng.uniform(7, 9))
    c.disc(x + 4, y, 19, 3, c.color(1, 0.7))
    c.shape(np.stack([x + 19 * np.cos(half), y - 12 + 13 * np.sin(half)], 1), c.color(0, 0.9))
    for x in c.rng.choice(columns, c.rng.integers(2, 5), replace=False):
        y, size = table + c.rng.uniform(14, 26), c.rng.uniform(5, 7)
        c.disc(x + size * 0.7, y + size * 0.8, size * 1.2, size * 0.35, c.color(1, 0.7))
        c.ball(x, y, size, size * c.rng.uniform(0.9, 1.15))


def rings(c: Canvas) -> None:
    """Draw a set of concentric discs in each cell."""
    size = c.rng.uniform(30, 50)
    for x, y in product(c.cuts(c.w, size), c.cuts(c.h, size)):
        numbers, rx, ry = c.rng.integers(5, size=7).tolist(), (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
        c.box(x, y, c.color(numbers.pop()))
        for share in sorted(c.rng.uniform(0.1, 1, 6), reverse=True):
            c.disc(x[0] + rx, y[0] + ry, rx * share, ry * share, c.color(numbers.pop()))


def op_art(c: Canvas) -> None:
    """Draw a checkerboard that bulges around two points."""
    x, y, size = c.x, c.y, c.rng.uniform(7, 11) * c.coarseness
    for cx, cy in c.rng.uniform(0.1, 0.9, (2, 2)) * (c.w, c.h):
        bulge = c.rng.uniform(0.3, 0.55) * np.exp(-((c.x - cx) ** 2 + (c.y - cy) ** 2) / 1100)
        x, y = x - (c.x - cx) * bulge, y - (c.y - cy) * bulge
    odd = (x // size + y // size) % 2 > 0
    dark = np.where(c.cloud(3) > 0.6, c.rng.integers(2, 5), 1)
    c.cover(c.palette[np.where(odd, dark, 0)])


def _building(c: Canvas, x: tuple[float, float], y: tuple[float, float], light: float) -> None:
    """Draw a dark box from (start, end) in x and y with randomly lit windows."""
    c.box(x, y, c.color(1, light))
    lefts, tops = np.arange(x[0] + 1, x[1] - 2, 2.6), np.arange(y[0] + 2, y[1] - 2, 3.4)
    for left, top in product(lefts, tops):
        if c.rng.random() < 0.45:
            c.box((left, left + 1.3), (top, top + 1.8), c.color(int(c.rng.integers(3, 5))))


def night_city(c: Canvas) -> None:
    """Draw lit windows over their reflection in water."""
    dusk, shore = (c.y / c.h)[..., None], c.h * c.rng.uniform(0.66, 0.8)
    c.cover(c.palette[0] * (1.2 - dusk) + c.palette[2] * dusk)
    c.disc(c.w * c.rng.uniform(0.1, 0.9), c.h * c.rng.uniform(0.08, 0.2), 4, 4, c.color(4))
    for light, tallest in ((2.6, 0.85), (1.3, 0.55)):
        for block in c.cuts(c.w, 11):
            top = shore * (1 - c.rng.uniform(0.15, 0.9) * tallest)
            _building(c, block, (top, shore), light)
    (columns, rows), edge = c.image.size, int(shore * c.scale)
    water = ImageOps.flip(c.image.crop((0, 2 * edge - rows, columns, edge)))
    water = water.filter(ImageFilter.BoxBlur((c.scale * 0.6, c.scale * 2.5)))
    c.image.paste(ImageEnhance.Brightness(water).enhance(0.85), (0, edge))


def shards(c: Canvas) -> None:
    """Draw the triangles of a jittered mesh, colored by smooth noise."""
    side, field = 12 * c.coarseness, c.cloud(4)
    mesh = np.moveaxis(np.mgrid[-1 : c.w / side + 2, -1 : c.h / side + 2], 0, -1) * side
    mesh += c.rng.normal(0, side / 4, mesh.shape)
    corners = mesh[:-1, :-1], mesh[:-1, 1:], mesh[1:, :-1], mesh[1:, 1:]
    triangles = np.concatenate([np.stack(corners[i : i + 3], 2).reshape(-1, 3, 2) for i in (0, 1)])
    centers = np.clip(triangles.mean(1) * c.scale, 0, np.array(c.image.size) - 1).astype(int)
    columns, rows = centers.T
    tones = c.blend(field[rows, columns]) * c.rng.uniform(0.75, 1.2, (len(centers), 1))
    for triangle, tone in zip(triangles, tones, strict=True):
        c.shape(triangle, tone)


def hatching(c: Canvas) -> None:
    """Draw short strokes that follow a flow."""
    size, field, angle = 9 * c.coarseness, c.cloud(4), 5 * c.cloud(3)
    centers = c.rng.random((round(2600 / c.coarseness**1.5), 2)) * (c.w, c.h)
    columns, rows = (centers * c.scale).astype(int).T
    turn, noise = angle[rows, columns], c.rng.normal(0, (0.12, 10, 10, 10), (len(centers), 4))
    reach = np.stack([np.cos(turn), np.sin(turn)], 1) * size / 2
    tones = c.blend(field[rows, columns] + noise[:, 0]) + noise[:, 1:]
    c.cover(c.palette[1])
    for path, tone in zip(np.stack([centers - reach, centers + reach], 1), tones, strict=True):
        c.stroke(path, tone, size / 8)
