"""Open runs with given lists of neighbors, without running anything."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from src.browser.opened import OpenRun
from src.browser.site import Site
from src.gallery import Gallery
from src.io.outputs import Outputs
from src.reporting.run_folder import RunFolder
from tests.support.made_runs import write_run


def open_run(
    folder: Path,
    index: np.ndarray,
    score: np.ndarray | None = None,
    number: int = 0,
    precision: np.ndarray | None = None,
    works: dict[str, list[str]] | None = None,
    **settings: Any,
) -> OpenRun:
    """Return run `number` below folder, with neighbors index (n, k) and their scores.

    precision (n,) is the average precision of the label artist, of which images have two values.
    """
    n, path = len(index), folder / str(number)
    values = np.zeros(n) if precision is None else precision
    if not path.exists():
        write_run(path, values, index.astype(np.int32))
    columns = {"file": [f"{row}.png" for row in range(n)], "sha256": [str(row) for row in range(n)]}
    columns |= {"artist": [("ada", "bea")[row % 2] for row in range(n)]} | (works or {})
    gallery = Gallery("g", folder, pd.DataFrame(columns, dtype=object))
    given = np.linspace(0.9, 0.8, index.size).reshape(index.shape) if score is None else score
    return OpenRun(
        number=number,
        images=0,
        files=RunFolder(path),
        gallery=gallery,
        index=index.astype(np.int32),
        score=given.astype(np.float32),
        settings=settings,
        metrics={"artist/precision_at_1": 0.5, "artist/map_at_10": 0.5, "images": n},
        name=f"run {number}",
    )


def site_of(*runs: OpenRun, is_static: bool = False) -> Site:
    """Return the site of runs."""
    return Site(list(runs), Outputs(Path("outputs")), is_static=is_static)


def random_lists(draw: np.random.Generator, n: int, k: int) -> np.ndarray:
    """Return (n, k) random other rows, each once in a list."""
    keys = draw.random((n, n))
    np.fill_diagonal(keys, 2)
    return keys.argsort(axis=1)[:, :k]
