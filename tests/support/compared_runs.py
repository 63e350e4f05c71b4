"""Write runs over one gallery with given values for each query, for tests of comparisons."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from src.gallery.gallery import write_gallery
from tests.support.made_runs import random_neighbors, write_run


def write_compared(
    folder: Path,
    artists: Sequence[str],
    values: Mapping[str, np.ndarray],
    settings: Mapping[str, dict[str, Any]] | None = None,
    **shared: Any,
) -> Path:
    """Write a run by name for each artist/map_at_10 of the images (n,); return their folder.

    settings are those of a run, by group; shared are those of all.
    """
    works = pd.DataFrame({"file": [f"{row}.png" for row in range(len(artists))]}, dtype=object)
    works = works.assign(artist=list(artists), sha256="", width="4", height="4")
    works = works.assign(image_id=works["file"])
    gallery = write_gallery("folder", folder / "images", works, {}, folder / "outputs")
    np.save(folder / "image_names.npy", np.array(gallery.files))
    paths: dict[str, Any] = {"gallery": f"../../outputs/galleries/{gallery.name}"}
    paths |= {"embeddings": "../..", "labels": gallery.label_fingerprints()}
    index = random_neighbors(np.random.default_rng(0), len(artists))
    for name, precision in values.items():
        options = {"backbone": {"layer": name}, "evaluation": {"resample": "class"}} | shared
        run = folder / "sweep" / name
        write_run(run, precision, index, paths, **(options | dict((settings or {}).get(name, {}))))
    return folder / "sweep"


def read_notes(printed: str) -> str:
    """Return what was printed as one line with single blanks."""
    return " ".join(printed.split())
