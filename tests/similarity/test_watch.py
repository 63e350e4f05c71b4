"""Whoever asks sees every long step of a search; whoever does not ask sees nothing."""

from collections.abc import Iterable
from typing import Any

import pytest
import torch

from src.evaluation.bootstrap import intervals
from src.evaluation.cosine_statistics import cosine_moments
from src.similarity import refinement, search, top_k, write_matrix
from src.similarity.postprocess import fit_center, fit_whiten
from tests.support.brute_force import BASE, FEATURES, assert_same, brute_force

SEARCH = ["averaging", "centering", "comparing", "scoring", "searching again"]


class Recorder:
    """A Watch that records each step: its announced and its true number of items."""

    def __init__(self) -> None:
        self.announced: dict[str, int] = {}
        self.done: dict[str, int] = {}

    def __call__(self, items: Iterable[Any], description: str, total: int, /) -> Iterable[Any]:
        """Yield the items."""
        self.announced[description] = total
        self.done[description] = 0
        for item in items:
            yield item
            self.done[description] += 1


@pytest.mark.parametrize("block", [7, 40])
def test_every_long_step_of_a_search_is_watched(block, monkeypatch):
    monkeypatch.setattr(search, "MARGIN", 2)
    monkeypatch.setattr(refinement, "PAIRS_PER_STEP", 16)  # rows scored by one thread at a time
    watch, rows = Recorder(), FEATURES["too alike for float32"]
    options = search.SearchOptions(block_size=block, watch=watch)
    found = search.NeighborSearch(rows, options=options).nearest(3)
    assert_same(found, brute_force(rows, 3))
    assert list(watch.announced) == SEARCH
    assert watch.done == watch.announced
    assert watch.done["scoring"] == 3  # of 40 rows
    assert watch.done["searching again"] == round(40 * found.fallback_share) > 20


def test_post_processing_and_metrics_are_watched():
    watch, rows = Recorder(), torch.from_numpy(BASE).repeat(20, 1)
    assert torch.equal(fit_whiten(rows, watch=watch)(rows, watch), fit_whiten(rows)(rows))
    assert watch.done == watch.announced == {"averaging": 4, "covariance": 4, "applying": 4}
    center = Recorder()
    fit_center(rows, center)
    assert center.done == {"averaging": 4}
    assert cosine_moments(rows, watch) == cosine_moments(rows)
    queries = {"a": BASE[:, 0].astype("f8")}
    assert intervals(queries, {}, 120, 0, watch) == intervals(queries, {}, 120, 0)
    assert watch.done == watch.announced
    assert watch.done["all pairs"] == 1 and watch.done["resampling"] == 3


def test_functions_for_notebooks_print_nothing(capfd, tmp_path):
    top_k(FEATURES["too alike for float32"], 3)
    write_matrix(BASE, tmp_path / "matrix.npy", block_size=7)
    assert capfd.readouterr() == ("", "")
