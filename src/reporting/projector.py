"""TensorBoard's Embedding Projector: a sample of the images as points with thumbnails.

s = images of the sample, d = width of a row.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from math import ceil, sqrt
from pathlib import Path

import numpy as np
import torch
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from torch import Tensor

from src.gallery import Gallery
from src.gallery.gallery import NON_LABEL_COLUMNS
from src.io.files import atomic_write
from src.reporting.contact_sheets import thumbnail

SAMPLE = 5000  # images at most: more than that the page cannot turn smoothly
WIDTH = 100  # numbers a point; the page itself starts from no more than 200
SIDE = 48  # pixels of a thumbnail; all of them make one image, of 8,192 pixels at most


def write_projection(
    features: Tensor, gallery: Gallery, seed: int, folder: Path, name: str
) -> None:
    """A seeded sample of the rows (n, d), their thumbnails and labels, where TensorBoard looks.

    The points are the rows at unit length, turned so that WIDTH numbers keep the most of them.
    """
    n = len(gallery)
    draw = np.random.default_rng(seed)
    rows = np.sort(draw.choice(n, min(SAMPLE, n), replace=False))
    data = folder / "projector"
    data.mkdir(exist_ok=True)
    np.savetxt(data / "points.tsv", reduced(features[rows], WIDTH), fmt="%.5g", delimiter="\t")
    columns = ["title", *(c for c in gallery.works if c not in NON_LABEL_COLUMNS), "file"]
    works = gallery.works.reindex(columns=columns, fill_value="").iloc[rows]
    lines = [columns, *works.to_numpy().tolist()]
    with (data / "works.tsv").open("w", encoding="utf-8", errors="replace") as file:
        file.writelines("\t".join(" ".join(cell.split()) for cell in line) + "\n" for line in lines)
    sprite(gallery, rows.tolist()).save(data / "thumbnails.jpg", quality=85)
    config = ProjectorConfig()
    points = config.embeddings.add(tensor_name=name, tensor_path="projector/points.tsv")
    points.metadata_path = "projector/works.tsv"
    points.sprite.image_path = "projector/thumbnails.jpg"
    points.sprite.single_image_dim.extend([SIDE, SIDE])
    with atomic_write(folder / "projector_config.pbtxt") as part:
        part.write_text(text_format.MessageToString(config))


def reduced(rows: Tensor, width: int) -> np.ndarray:
    """(s, width) unit rows on the axes that keep the most of their lengths, so of their products.

    Not centered, else cosines would change. Rows that are no wider stay as they are.
    """
    unit = torch.nn.functional.normalize(rows.float(), dim=1)
    s, d = unit.shape
    if d <= width:
        return unit.numpy()
    if d <= s:
        axes = torch.linalg.eigh(unit.T @ unit).eigenvectors[:, -width:]  # (d, width)
        points = (unit @ axes).flip(1)
    else:  # the smaller matrix, with the same result
        values, vectors = torch.linalg.eigh(unit @ unit.T)
        points = (vectors[:, -width:] * values[-width:].clamp(min=0).sqrt()).flip(1)
    return np.asarray(points)


def sprite(gallery: Gallery, rows: list[int]) -> Image.Image:
    """Thumbnails of these rows in a square grid, line by line."""
    columns = ceil(sqrt(len(rows)))
    page = Image.new("RGB", (columns * SIDE, ceil(len(rows) / columns) * SIDE), "white")
    files = [gallery.root / gallery.files[row] for row in rows]
    with ThreadPoolExecutor() as pool:
        for number, image in enumerate(pool.map(thumbnail, files, repeat(SIDE))):
            down, right = divmod(number, columns)
            left, top = (SIDE - image.width) // 2, (SIDE - image.height) // 2
            page.paste(image, (right * SIDE + left, down * SIDE + top))
    return page
