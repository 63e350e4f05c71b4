"""Example queries of a board's page: the same images and their neighbors under each run."""

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.errors import UserError
from src.evaluation.metrics import FILTER
from src.gallery import Gallery
from src.gallery.label_sets import stored_separator
from src.leaderboard.board import Board
from src.reporting.contact_sheets import card, thumbnail
from src.reporting.hits import Hits
from src.reporting.text import format_number
from src.runtime.progress import progress

QUERIES, NEIGHBORS = 5, 10  # example queries, and neighbors of each
SMALL, LARGE = 96, 320  # pixels of a neighbor's thumbnail and of a query's

# The neighbors of one run: its label, index (n, k) and score (n, k)
NeighborList = tuple[str, NDArray[np.int32], NDArray[np.float32]]


@dataclass
class Thumbnails:
    """The images of a page, each once: by file, their numbers and the pixels to draw them in."""

    numbers: dict[Path, int] = field(default_factory=dict)
    sizes: dict[Path, int] = field(default_factory=dict)

    def add(self, path: Path, size: int) -> int:
        """Return the number of an image that is shown at least in this size."""
        self.sizes[path] = max(size, self.sizes.get(path, 0))
        return self.numbers.setdefault(path, len(self.numbers))

    def draw(self) -> list[str]:
        """Return base64 of each image as JPEG, by number."""
        count = len(self.sizes)
        shown = progress(self.sizes.items(), "drawing thumbnails", count, " images")
        return [_jpeg(path, size) for path, size in shown]


def _jpeg(path: Path, size: int) -> str:
    """Return base64 of a JPEG that fits a square of size pixels."""
    buffer = io.BytesIO()
    thumbnail(path, size).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()


def example_neighbors(board: Board, thumbnails: Thumbnails) -> dict[str, Any]:
    """Return for the template: the same queries under each run, with the best run's images."""
    best = board.runs[0]
    lists = [
        (label, *run.files.neighbors()) for label, run in zip(board.labels, board.runs, strict=True)
    ]
    try:
        gallery = best.files.gallery()
    except (UserError, OSError) as error:  # the images were deleted, or the runs were copied
        return {"queries": [], "shared": "", "missing": f" The images are missing: {error}"}
    label = board.metric.rpartition("/")[0].partition(FILTER)[0]
    shared = label if label in gallery.works else ""
    is_hit = Hits(gallery, shared, stored_separator(best.settings))
    values = best.query_values(board.metric)
    rows = np.arange(len(gallery)) if values is None else np.flatnonzero(~np.isnan(values))
    drawn = np.random.default_rng(0).choice(rows, min(QUERIES, len(rows)), replace=False)
    queries = [_query(gallery, row, lists, is_hit, thumbnails) for row in sorted(drawn.tolist())]
    return {
        "queries": queries,
        "shared": shared,
        "missing": "",
    }


def _query(
    gallery: Gallery,
    row: int,
    lists: list[NeighborList],
    is_hit: Hits,
    thumbnails: Thumbnails,
) -> dict[str, Any]:
    """Return an image and its neighbors in each list, for the template."""

    def number(row: int, size: int) -> int:
        """Return the number of the thumbnail of an image."""
        return thumbnails.add(gallery.root / gallery.files[row], size)

    shown = []
    for name, index, score in lists:
        nearest = zip(index[row, :NEIGHBORS].tolist(), score[row, :NEIGHBORS].tolist(), strict=True)
        neighbors = [
            {
                "row": neighbor,
                "image": number(neighbor, SMALL),
                "title": f"{format_number(value)}  {gallery.caption(neighbor)}",
                "same": is_hit(row, neighbor),
            }
            for neighbor, value in nearest
        ]
        shown.append({"name": name, "neighbors": neighbors})
    query = card(gallery, row, "")
    image = number(row, LARGE)
    return {"row": row, "image": image, "title": query.title, "note": query.note, "lists": shown}
