"""The UMAP layout: seeded, of the run's own neighbors, in a process that can fail."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from src.browser import umap_layout
from src.browser.umap_layout import is_installed, umap_in_process
from src.errors import UserError
from src.reporting.run_folder import RunFolder
from tests.support.big_run import Size, write_big_run


class Recorded:
    """In place of umap.UMAP: keeps its options and returns its points."""

    options: dict[str, Any]

    def __init__(self, **options: Any) -> None:
        Recorded.options = options

    def fit_transform(self, points: np.ndarray) -> np.ndarray:
        """Return the first two columns."""
        return points[:, :2]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> type[Recorded]:
    """Replace umap-learn, which takes seconds to import."""
    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Recorded))
    return Recorded


def made_run(folder: Path, n: int = 120, k: int = 10) -> RunFolder:
    """Return a run of n images with k neighbors each."""
    return RunFolder(write_big_run(folder, Size(n, 8, k)))


def test_the_neighbors_are_those_of_the_run(recorded: type[Recorded], tmp_path: Path) -> None:
    run = made_run(tmp_path)
    index, score = run.neighbors()
    run.write_neighbors(index[:, ::-1], score[:, ::-1], run.gallery().files)  # as csls may order
    umap_layout.umap_layout(run)
    nearest, distances = recorded.options["precomputed_knn"]
    assert recorded.options["n_neighbors"] == 11
    np.testing.assert_array_equal(nearest[:, 0], np.arange(120))
    np.testing.assert_allclose(np.sort(nearest[:, 1:]), np.sort(index))
    features = np.array(run.features(), float)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    chords = np.linalg.norm(unit[:, None] - unit[nearest], axis=2)
    np.testing.assert_allclose(distances, chords, atol=2e-3)
    assert (np.diff(distances, axis=1) >= 0).all()


@pytest.mark.parametrize(("n", "k", "count"), [(120, 5, 15), (8, 5, 7), (120, 30, 15), (8, 7, 7)])
def test_short_lists_are_searched_anew(
    recorded: type[Recorded], tmp_path: Path, n: int, k: int, count: int
) -> None:
    umap_layout.umap_layout(made_run(tmp_path, n, k))
    nearest, _ = recorded.options["precomputed_knn"]
    assert recorded.options["n_neighbors"] == count
    if k == 5:
        assert nearest is None
    else:
        assert nearest.shape == (n, count)


def test_equal_features_need_no_umap(tmp_path: Path) -> None:
    run = made_run(tmp_path, 20)
    path = run.path / run.paths()["embeddings"] / "features.npy"
    np.save(path, np.ones((20, 8), np.float32))
    np.testing.assert_array_equal(umap_layout.umap_layout(run), np.zeros((20, 2)))


def test_three_images_are_too_few(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="UMAP needs at least 4 images, and the run has 3"):
        umap_layout.umap_layout(made_run(tmp_path, 3, 2))


def test_a_missing_library_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(umap_layout, "find_spec", lambda name: None)
    assert not is_installed()


def test_a_failure_in_the_process_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="UMAP needs at least 4 images"):
        umap_in_process(made_run(tmp_path, 3, 2).path)


def test_a_process_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(umap_layout, "_send_layout", os._exit)  # refuses its arguments
    with pytest.raises(UserError, match="its process ended with code 1; is memory short?"):
        umap_in_process(tmp_path)


@pytest.mark.slow  # imports umap-learn
@pytest.mark.skipif(not is_installed(), reason="needs umap-learn: pip install -e '.[umap]'")
def test_the_layout_is_seeded_and_keeps_clusters_together(tmp_path: Path) -> None:
    run = made_run(tmp_path, 200)
    first = umap_in_process(run.path)
    np.testing.assert_array_equal(first, umap_in_process(run.path))
    assert first.shape == (200, 2)
    assert np.isfinite(first).all()
    clusters = np.arange(200) // 50
    distances = np.linalg.norm(first[:, None] - first[None], axis=2)
    same = clusters[:, None] == clusters[None]
    assert distances[same].mean() < distances[~same].mean() / 2
