"""The list of images of a museum, whichever museum it is."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Catalog:
    """The images that the options select, one row each, in the order of the gallery.

    works has string columns only, "" for unknown values: those of works.csv without the facts of
    the downloaded files (width, height, sha256). image_id, file and url are required.
    """

    works: pd.DataFrame
    published: frozenset[str]  # every image_id of the museum, selected or not
    counts: dict[str, int] = field(default_factory=dict)  # rows read, selected, skipped
    selection: dict[str, Any] = field(default_factory=dict)  # options that name the gallery
    missing: int = 0  # images that are selected, but whose address could not be had
    refusal: str = ""  # of the host that was asked for it
