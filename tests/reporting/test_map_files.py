"""What a run keeps for its map: the change of its features, and where each image lies."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from src.errors import UserError
from src.reporting.run_folder import RunFolder


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> RunFolder:
    """Return a copy of a finished run of 12 images, without a map."""
    no_map = shutil.ignore_patterns("map-*")
    return RunFolder(shutil.copytree(finished_run, tmp_path / "run", ignore=no_map))


def test_a_layout_is_read_as_it_was_written(run: RunFolder) -> None:
    assert run.layout("pca", 12) is None
    positions = np.random.default_rng(0).random((12, 2), np.float32)
    run.write_layout("pca", positions)
    np.testing.assert_array_equal(run.layout("pca", 12), positions)
    assert run.layout("umap", 12) is None


@pytest.mark.parametrize(
    "positions",
    [
        np.zeros((11, 2), "f4"),
        np.zeros((12, 3), "f4"),
        np.zeros((12, 2), "f8"),
        np.full((12, 2), np.nan, "f4"),
    ],
)
def test_a_foreign_layout_is_refused(run: RunFolder, positions: np.ndarray) -> None:
    np.save(run.path / "map-pca.npy", positions)
    with pytest.raises(UserError, match=r"map-pca.npy is damaged.*not the positions of 12 images"):
        run.layout("pca", 12)


def test_a_run_that_begins_again_discards_its_layouts(run: RunFolder) -> None:
    run.write_layout("pca", np.zeros((12, 2), np.float32))
    run.discard_results()
    assert not list(run.path.glob("map-*"))


@pytest.mark.parametrize("axes", [None, np.eye(3)[:, :2]])
def test_the_change_of_features_is_read_as_it_was_written(
    run: RunFolder, axes: np.ndarray | None
) -> None:
    arrays = {"mean": np.arange(3.0)} | ({} if axes is None else {"axes": axes})
    run.write_postprocess(arrays)
    mean, read = run.postprocess()
    np.testing.assert_array_equal(mean, np.arange(3))
    assert read is None if axes is None else (read == axes).all()


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({}, "no mean"),
        ({"mean": np.zeros((2, 2))}, "no mean"),
        ({"mean": np.array([0, np.inf])}, "no mean"),
        ({"mean": np.zeros(3), "axes": np.zeros((2, 2))}, "axes do not fit"),
        ({"mean": np.zeros(3), "axes": np.zeros((3, 2), int)}, "axes do not fit"),
    ],
)
def test_a_foreign_change_of_features_is_refused(
    run: RunFolder, arrays: dict[str, np.ndarray], why: str
) -> None:
    run.write_postprocess(arrays)
    with pytest.raises(UserError, match=why):
        run.postprocess()
