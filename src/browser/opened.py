"""Runs as the pages show them: their files read once, labels as numbers, captions and addresses.

n = images, k = neighbors of each. Imports no torch.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.browser.addresses import NO_PICTURE, picture_address
from src.browser.catalog import Catalog
from src.browser.layouts import Layouts
from src.config.backbone import VECTORS
from src.config.overrides import MULTIRUN
from src.errors import UserError
from src.evaluation.hubness import k_occurrence
from src.gallery import Gallery
from src.gallery.captions import COLUMNS, Caption, caption_of
from src.leaderboard.words import short_names
from src.reporting.phrases import describe_run
from src.reporting.run_folder import RunFolder


class Labels(NamedTuple):
    """A label column: each image's value as a number, -1 where it has none."""

    values: list[str]  # in order of appearance
    codes: NDArray[np.int64]  # (n,)


@dataclass(frozen=True, eq=False)
class OpenRun:
    """A finished run over n images. It equals itself alone, so it can be a key of a cache."""

    number: int  # of the run among those that are open, and the name of the folder of its pages
    images: int  # the number of its images among those of all runs; runs may share them
    files: RunFolder
    gallery: Gallery
    index: NDArray[np.int32]  # (n, k) the neighbors of each image, best first
    score: NDArray[np.float32]  # (n, k)
    settings: dict[str, Any]  # by dotted name
    metrics: dict[str, Any]
    name: str  # the settings that differ from the other runs, else what the run is
    # (n,) which images have a page of their own; None: all, as by server. An export with --limit
    # has pages of a sample only: lists, maps and searches are of `rows`, and other images, as
    # neighbors, are no links
    written: NDArray[np.bool_] | None = None
    large: str = "pictures"  # the kind of the large picture; an export may only have "thumbnails"

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def fingerprint(self) -> str:
        """Return a hash of the images in row order."""
        return self.gallery.fingerprint()

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Return the images that have a page, in order."""
        return np.arange(len(self)) if self.written is None else np.flatnonzero(self.written)

    def has_page(self, row: int) -> bool:
        """Return whether an image has a page, so that a link may lead there."""
        return self.written is None or bool(self.written[row])

    @cached_property
    def labels(self) -> dict[str, Labels]:
        """Return by label column the images' values."""
        works = self.gallery.works
        return {column: _labels(works[column]) for column in self.gallery.label_columns()}

    @cached_property
    def occurrence(self) -> NDArray[np.int64]:
        """Return (n,) in how many lists of neighbors each image is."""
        return k_occurrence(self.index)

    @cached_property
    def columns(self) -> dict[str, NDArray[np.object_]]:
        """Return the images' texts by column of works.csv; pandas is slow for single cells."""
        return {str(name): column.to_numpy() for name, column in self.gallery.works.items()}

    @cached_property
    def _captions(self) -> dict[int, Caption]:
        return {}

    @cached_property
    def catalog(self) -> Catalog:
        """Return what the images that have a page are searched, filtered and sorted by."""
        return Catalog(self.gallery, self.labels, self.occurrence, self.files, self.rows)

    @cached_property
    def layouts(self) -> Layouts:
        """Return where the images lie on the map."""
        return Layouts(self.files, len(self))

    def caption(self, row: int) -> Caption:
        """Return title, artist and date of an image; the title is its file if it has none."""
        if row not in self._captions:
            columns = self.columns
            caption = caption_of({name: columns[name][row] for name in COLUMNS if name in columns})
            title = caption.title or self.gallery.files[row]
            self._captions[row] = caption._replace(title=title)
        return self._captions[row]

    def value(self, row: int, column: str) -> str:
        """Return the text of an image in a column of works.csv, "" without that column."""
        return str(self.columns[column][row]) if column in self.columns else ""

    def alt(self, row: int) -> str:
        """Return what stands in place of the picture of an image, for those who cannot see it."""
        caption = self.caption(row)
        return self.value(row, "assistive_text") or ", ".join(filter(None, caption[:2]))

    def file(self, row: int) -> Path:
        """Return the path of an image."""
        return self.gallery.root / self.gallery.files[row]

    @property
    def has_network(self) -> bool:
        """Return whether other images can be compared, by the network of the run."""
        return self.settings.get("backbone.name") != VECTORS

    def thumbnail(self, row: int) -> str:
        """Return the address of the small picture of an image, relative to a page of the run.

        Where only vectors are known, one picture stands for all.
        """
        if not self.gallery.has_pictures:
            return NO_PICTURE
        return picture_address("thumbnails", self.images, row)

    def picture(self, row: int) -> str:
        """Return the address of the large picture of an image, relative to a page of the run."""
        return picture_address(self.large, self.images, row)


def _labels(texts: "pd.Series[str]") -> Labels:
    codes, values = pd.factorize(texts.where(texts != ""))
    return Labels(list(values), codes.astype(np.int64))


def open_runs(folders: Sequence[Path]) -> list[OpenRun]:
    """Return the runs in folders, in order. Raises UserError for one that is not finished."""
    files = [RunFolder(folder) for folder in folders]
    settings = [run.settings() for run in files]
    names = _names(files, settings)
    opened, galleries = list[OpenRun](), list[str]()
    for number, run in enumerate(files):
        metrics = run.metrics()
        if metrics is None:
            raise UserError(f"{run.path} is not a finished run: it has no metrics.json")
        gallery, (index, score) = run.gallery(), run.neighbors()
        key = _identity(gallery)
        if key not in galleries:
            galleries.append(key)
        images = galleries.index(key)
        opened.append(
            OpenRun(
                number, images, run, gallery, index, score, settings[number], metrics, names[number]
            )
        )
    return opened


def _names(files: list[RunFolder], settings: list[dict[str, Any]]) -> list[str]:
    """Return by run the settings that differ, a single run's network and layer."""
    if len(files) == 1:
        return [describe_run(settings[0]) or files[0].path.name]
    folders = [run.path.absolute() for run in files]
    numbers = [folder.name if (folder.parent / MULTIRUN).is_file() else "" for folder in folders]
    return short_names(settings, numbers, ["/".join(folder.parts[-2:]) for folder in folders])


def _identity(gallery: Gallery) -> str:
    """Return what two galleries share whose pictures are the same files in the same rows."""
    root = hashlib.sha256(bytes(gallery.root.absolute())).hexdigest()
    return f"{gallery.fingerprint()}-{root}"
