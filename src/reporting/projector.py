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
from src.runtime.progress import progress

MAX_POINTS = 5000  # with more, the page does not rotate smoothly
WIDTH = 100  # numbers per point; the page itself starts from at most 200
THUMBNAIL = 48  # pixels; all thumbnails make one image, of at most 8,192 pixels a side


def write_projection(
    features: Tensor, gallery: Gallery, seed: int, folder: Path, name: str
) -> None:
    """Write a seeded sample of features (n, d) with thumbnails and labels into a run's folder.

    Points are rows of unit length, rotated so that WIDTH numbers keep as much of them as possible.
    Where there are no pictures, they have no thumbnails.
    """
    n = len(gallery)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(n, min(MAX_POINTS, n), replace=False))  # (s,)
    data = folder / "projector"
    data.mkdir(exist_ok=True)
    points = project(features[rows], WIDTH)
    np.savetxt(data / "points.tsv", points, fmt="%.5g", delimiter="\t")
    columns = ["title", *(c for c in gallery.works if c not in NON_LABEL_COLUMNS), "file"]
    works = gallery.works.reindex(columns=columns, fill_value="").iloc[rows]
    lines = [columns, *works.to_numpy().tolist()]
    with (data / "works.tsv").open("w", encoding="utf-8", errors="replace") as file:
        file.writelines("\t".join(" ".join(cell.split()) for cell in line) + "\n" for line in lines)
    config = ProjectorConfig()
    embedding = config.embeddings.add(tensor_name=name, tensor_path="projector/points.tsv")
    embedding.metadata_path = "projector/works.tsv"
    if gallery.has_pictures:
        sprite(gallery, rows.tolist()).save(data / "thumbnails.jpg", quality=85)
        embedding.sprite.image_path = "projector/thumbnails.jpg"
        embedding.sprite.single_image_dim.extend([THUMBNAIL, THUMBNAIL])
    with atomic_write(folder / "projector_config.pbtxt") as part:
        part.write_text(text_format.MessageToString(config))


def project(rows: Tensor, width: int) -> np.ndarray:
    """Return (s, width) the unit rows (s, d) on the axes that keep most of their inner products.

    Rows are not centered, which would change cosines. Rows with d <= width are only normalized.
    """
    unit = torch.nn.functional.normalize(rows.float(), dim=1)
    s, d = unit.shape
    if d <= width:
        return unit.numpy()
    if d <= s:
        axes = torch.linalg.eigh(unit.T @ unit).eigenvectors[:, -width:]  # (d, width)
        points = (unit @ axes).flip(1)
    else:  # the (s, s) matrix is smaller and gives the same points
        values, vectors = torch.linalg.eigh(unit @ unit.T)
        points = (vectors[:, -width:] * values[-width:].clamp(min=0).sqrt()).flip(1)
    return np.asarray(points)


def sprite(gallery: Gallery, rows: list[int]) -> Image.Image:
    """Return one image with the thumbnails of these rows in a square grid, line by line."""
    columns = ceil(sqrt(len(rows)))
    page = Image.new("RGB", (columns * THUMBNAIL, ceil(len(rows) / columns) * THUMBNAIL), "white")
    files = [gallery.root / gallery.files[row] for row in rows]
    with ThreadPoolExecutor() as pool:
        images = pool.map(thumbnail, files, repeat(THUMBNAIL))
        shown = progress(images, "drawing thumbnails", len(rows), " images")
        for number, image in enumerate(shown):
            row, column = divmod(number, columns)
            left, top = (THUMBNAIL - image.width) // 2, (THUMBNAIL - image.height) // 2
            page.paste(image, (column * THUMBNAIL + left, row * THUMBNAIL + top))
    return page
