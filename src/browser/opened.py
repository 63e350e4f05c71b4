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

from src.browser.addresses import picture_address
from src.errors import UserError
from src.evaluation.hubness import k_occurrence
from src.gallery import Gallery
from src.gallery.captions import Caption, caption_of
from src.leaderboard.words import differing_settings, run_labels
from src.reporting.phrases import describe_run
from src.reporting.run_folder import RunFolder


class Labels(NamedTuple):
    """A label column: each image's value as a number, -1 where it has none."""

    values: list[str]  # in order of appearance
    codes: NDArray[np.int64]  # (n,)


@dataclass(frozen=True)
class OpenRun:
    """A finished run over n images."""

    number: int  # of the run among those that are open, and the name of the folder of its pages
    images: int  # the number of its images among those of all runs; runs may share them
    files: RunFolder
    gallery: Gallery
    index: NDArray[np.int32]  # (n, k) the neighbors of each image, best first
    score: NDArray[np.float32]  # (n, k)
    settings: dict[str, Any]  # by dotted name
    metrics: dict[str, Any]
    name: str  # the settings that differ from the other runs, else what the run is

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def labels(self) -> dict[str, Labels]:
        """Return by label column the images' values."""
        works = self.gallery.works
        return {column: _labels(works[column]) for column in self.gallery.label_columns()}

    @cached_property
    def occurrence(self) -> NDArray[np.int64]:
        """Return (n,) in how many lists of neighbors each image is."""
        return k_occurrence(self.index)

    def caption(self, row: int) -> Caption:
        """Return title, artist and date of an image; the title is its file if it has none."""
        caption = caption_of(self.gallery.work(row))
        return caption if caption.title else caption._replace(title=self.gallery.files[row])

    def value(self, row: int, column: str) -> str:
        """Return the text of an image in a column of works.csv, "" without that column."""
        return str(self.gallery.works[column][row]) if column in self.gallery.works else ""

    def alt(self, row: int) -> str:
        """Return what stands in place of the picture of an image, for those who cannot see it."""
        caption = self.caption(row)
        return self.value(row, "assistive_text") or ", ".join(filter(None, caption[:2]))

    def thumbnail(self, row: int) -> str:
        """Return the address of the small picture of an image, relative to a page of the run."""
        return picture_address("thumbnails", self.images, row)

    def picture(self, row: int) -> str:
        """Return the address of the large picture of an image, relative to a page of the run."""
        return picture_address("pictures", self.images, row)

    def shared(self, row: int, other: int) -> list[tuple[str, str]]:
        """Return the labels that two images share, as column and value."""
        return [
            (column, values[codes[row]])
            for column, (values, codes) in self.labels.items()
            if codes[row] >= 0 and codes[row] == codes[other]
        ]


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
    differing = differing_settings(settings, selecting=True)
    return run_labels(differing, settings, [run.path.name for run in files])


def _identity(gallery: Gallery) -> str:
    """Return what two galleries share whose pictures are the same files in the same rows."""
    root = hashlib.sha256(bytes(gallery.root.absolute())).hexdigest()
    return f"{gallery.fingerprint()}-{root}"
