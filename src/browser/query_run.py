"""Answers of a run to images: its network and its search, opened at the first question.

Imports no torch before that. k = neighbors.
"""

from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.browser.opened import OpenRun
from src.browser.pictures import DECODING
from src.browser.run_network import open_network
from src.browser.run_search import COMPUTING, run_search
from src.browser.uploads import kept_image
from src.embedding.crop import Crop
from src.embedding.queries import QueryEmbedder
from src.io.outputs import Outputs

KEPT = 64  # embeddings and answers of the last questions
KEPT_RUNS = 4  # whose networks stay in memory
OPENING = Lock()


class Asked(NamedTuple):
    """An image that somebody asks about: one that was sent, or one of the gallery."""

    checksum: str  # "": the image in row
    row: int = -1

    def path(self, run: OpenRun, outputs: Outputs) -> Path:
        """Return its file. Raises NotThere."""
        if self.checksum:
            return kept_image(outputs, self.checksum)
        return run.gallery.root / run.gallery.files[self.row]


class Answerer:
    """Embeds images as a run did, and finds the run's images that are nearest."""

    def __init__(self, run: OpenRun, outputs: Outputs) -> None:
        self._run, self._outputs = run, outputs
        self._features_of = lru_cache(KEPT)(self._embed)
        self._answer = lru_cache(KEPT)(self._search)

    def nearest(
        self, asked: Asked, crop: Crop, k: int, label: tuple[str, str] | None = None
    ) -> list[tuple[int, float]]:
        """Return the k nearest images with their scores, best first; the image itself is one.

        With a label, a column and its value, only images that have it. Raises NotThere, Unreadable
        for an image that cannot be decoded, and UserError for a run whose files are gone.
        """
        asked.path(self._run, self._outputs)  # what was removed is not answered from memory
        with COMPUTING:
            return self._answer(asked, crop, k, label)

    def _embed(self, asked: Asked, crop: Crop) -> NDArray[np.float32]:
        with DECODING:
            pixels = self._network.decode(asked.path(self._run, self._outputs), crop)
        return self._network.rows([pixels])

    def _search(
        self, asked: Asked, crop: Crop, k: int, label: tuple[str, str] | None
    ) -> list[tuple[int, float]]:
        import torch

        features = torch.from_numpy(self._features_of(asked, crop))
        allowed = None
        if label is not None:
            values, codes = self._run.labels[label[0]]
            allowed = codes == values.index(label[1])
        index, score = run_search(self._run).nearest(features, k, allowed)
        return list(zip(index[0].tolist(), score[0].tolist(), strict=True))

    @cached_property
    def _network(self) -> QueryEmbedder:
        return open_network(self._run.files, self._outputs)


def answerer(run: OpenRun, outputs: Outputs) -> Answerer:
    """Return what answers for a run, the same one at every call while few others are asked."""
    with OPENING:
        return _answerer(run, outputs)


@lru_cache(KEPT_RUNS)
def _answerer(run: OpenRun, outputs: Outputs) -> Answerer:
    return Answerer(run, outputs)
