"""A run over a gallery that has grown: neighbors and metrics are those of a fresh run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src.reporting.run_folder import RunFolder
from src.similarity import NeighborSearch
from src.similarity.exact_tiles import ExactTiles
from tests.support.ranked_run import clustered, works_of, write_ranked_run
from tests.test_run import results

N = 66
FEATURES = clustered(N)
IS_NEW = np.isin(np.arange(N), [0, 20, 41, 42, N - 1])


def ranked(outputs: Path, rows: np.ndarray, job: str = "run", **similarity: Any) -> Path:
    """Return the folder of a run over these images of the collection."""
    works = works_of(N).iloc[rows].reset_index(drop=True)
    return write_ranked_run(outputs, works, FEATURES[rows], job, **similarity)


@pytest.fixture
def growths(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list of what each search has gone on from."""
    found, compare = list[Any](), NeighborSearch.compare

    def noted(*given: Any, **named: Any) -> Any:
        found.append(named.get("growth"))
        return compare(*given, **named)

    monkeypatch.setattr(NeighborSearch, "compare", noted)
    return found


def assert_same_run(grown: Path, fresh: Path) -> None:
    """Assert that neighbors, measures of queries and metrics are equal to the bit."""
    for name in ("neighbors.npz", "queries.npz"):
        assert (grown / name).read_bytes() == (fresh / name).read_bytes()
    one, other = (json.loads((run / "metrics.json").read_text()) for run in (grown, fresh))
    assert results(one) == results(other)


OLD, ALL = np.flatnonzero(~IS_NEW), np.arange(N)
STEPS = {
    "images added": (OLD, ALL),
    "images removed": (ALL, OLD),
    "images replaced": (np.r_[0, OLD], np.r_[OLD[:30], 20, 41, OLD[31:]]),
}
# what is compared with what: the plain search grows, other rows are other content
WAYS: dict[str, tuple[dict[str, str | int], list[bool]]] = {
    "cosine": ({}, [True]),
    "csls": ({"ranking": "csls"}, [True, False]),
    "other objects": ({"exclude": "same_object"}, [True]),
    "centered": ({"postprocess": "center"}, [False]),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("way", WAYS)
def test_a_grown_gallery_has_the_metrics_of_a_fresh_one(tmp_path, growths, step, way):
    (before, after), (options, expected) = STEPS[step], WAYS[way]
    ranked(tmp_path / "outputs", before, "before", **options)
    growths.clear()
    grown = ranked(tmp_path / "outputs", after, **options)
    assert [growth is not None for growth in growths] == expected
    assert_same_run(grown, ranked(tmp_path / "others", after, **options))


def test_a_second_run_with_another_top_k_compares_nothing(tmp_path, growths):
    ranked(tmp_path, ALL)
    growths.clear()
    again = ranked(tmp_path, ALL, "again", top_k=5)
    assert not growths
    with np.load(again / "neighbors.npz") as found:
        assert found["index"].shape == (N, 5)


@pytest.mark.parametrize("step", ["images added", "images removed"])
def test_the_matrix_of_a_grown_gallery_is_that_of_a_fresh_one(tmp_path, monkeypatch, step):
    before, after = STEPS[step]
    ranked(tmp_path / "outputs", before, "before", storage="full")
    fresh = ranked(tmp_path / "others", after, storage="full")
    computed, fill = [], ExactTiles.fill

    def counted(tiles: ExactTiles, out: torch.Tensor, *arguments: Any) -> None:
        """Note how many pairs are computed."""
        computed.append(out.numel())
        fill(tiles, out, *arguments)

    monkeypatch.setattr(ExactTiles, "fill", counted)
    grown = ranked(tmp_path / "outputs", after, storage="full")
    assert_same_run(grown, fresh)
    matrices = [run / RunFolder(run).paths()["matrix"] for run in (grown, fresh)]
    assert matrices[0].read_bytes() == matrices[1].read_bytes()
    assert sum(computed) == len(np.setdiff1d(after, before)) * len(after)
