"""Principal components of what a run has compared, against numpy's and the program's own maths."""

import numpy as np
import pytest
import torch

from src.reporting import compared
from src.reporting.compared import Compared, principal_axes, principal_components
from src.similarity import top_k
from src.similarity.augment import augment
from src.similarity.postprocess import FittedPostprocess, fit_center, fit_whiten


def features(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Return (n, d) positive rows around a few centers; the first is a row of zeros."""
    draw = np.random.default_rng(seed)
    rows = draw.random((5, d))[draw.integers(5, size=n)] + 0.3 * draw.random((n, d))
    rows[0] = 0
    return rows.astype(np.float32)


def by_svd(rows: np.ndarray, count: int) -> np.ndarray:
    """Return the principal components of rows by another way."""
    moved = rows - rows.mean(axis=0)
    _, _, axes = np.linalg.svd(moved, full_matrices=False)
    strongest = np.abs(axes).argmax(axis=1)
    signs = np.sign(axes[np.arange(len(axes)), strongest])
    return (moved @ (axes * signs[:, None]).T)[:, :count]


@pytest.mark.parametrize(("n", "d"), [(40, 8), (40, 40), (12, 60)])
@pytest.mark.parametrize("block", [1, 7, 1024])
def test_components_are_those_of_the_singular_values(
    n: int, d: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compared, "BLOCK", block)
    rows = features(n, d)
    unit = rows / np.maximum(np.linalg.norm(rows.astype(float), axis=1, keepdims=True), 1e-30)
    points = principal_components(Compared(rows), 2)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points, by_svd(unit, 2), atol=1e-6)


@pytest.mark.parametrize("kind", ["none", "center", "whiten", "three axes"])
def test_rows_are_those_that_the_run_has_compared(kind: str) -> None:
    rows = features(60, 10)
    fitted: dict[str, FittedPostprocess] = {
        "center": fit_center(torch.from_numpy(rows)),
        "whiten": fit_whiten(torch.from_numpy(rows), 1.0),
        "three axes": fit_whiten(torch.from_numpy(rows), dim=3),
    }
    if kind == "none":
        expected = torch.nn.functional.normalize(torch.from_numpy(rows).double()).numpy()
        changed = Compared(rows)
    else:
        change = fitted[kind]
        axes = None if change.axes is None else change.axes.numpy()
        expected, changed = (
            change(torch.from_numpy(rows)).numpy(),
            Compared(rows, change.mean.numpy(), axes),
        )
    np.testing.assert_allclose(changed.rows(slice(0, 60)), expected, atol=2e-6)
    np.testing.assert_allclose(changed.rows(np.array([3, 0, 3])), expected[[3, 0, 3]], atol=2e-6)


@pytest.mark.parametrize("is_whitened", [False, True])
def test_rows_of_an_augmented_run_are_those_that_it_has_compared(is_whitened: bool) -> None:
    rows = features(60, 10)
    given = torch.from_numpy(rows)
    fitted = fit_whiten(given)
    compared = fitted(given) if is_whitened else given
    found = top_k(compared, 4)
    expected = augment(compared, found.index, found.score).rows.numpy()
    change = (fitted.mean.numpy(), fitted.axes.numpy()) if is_whitened else (None, None)
    changed = Compared(rows, *change, (found.index, found.score))
    np.testing.assert_allclose(changed.rows(slice(0, 60)), expected, atol=2e-6)
    np.testing.assert_allclose(changed.rows(slice(20, 50)), expected[20:50], atol=2e-6)
    np.testing.assert_allclose(changed.rows(np.array([3, 0, 3])), expected[[3, 0, 3]], atol=2e-6)


def test_a_sample_gives_nearly_the_same_axes_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = features(3000, 12)
    whole = principal_components(Compared(rows), 2)
    monkeypatch.setattr(compared, "SAMPLE", 1000)
    sampled = principal_components(Compared(rows), 2)
    np.testing.assert_array_equal(sampled, principal_components(Compared(rows), 2))
    assert not np.array_equal(sampled, whole)
    for axis in range(2):
        assert abs(np.corrcoef(sampled[:, axis], whole[:, axis])[0, 1]) > 0.99


def test_equal_rows_lie_on_one_point() -> None:
    rows = np.tile(np.random.default_rng(0).random(7, np.float32), (5, 1))
    np.testing.assert_array_equal(principal_components(Compared(rows), 2), np.zeros((5, 2)))


def test_two_rows_lie_on_a_line() -> None:
    rows = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    points = principal_components(Compared(rows), 2)
    np.testing.assert_allclose(np.abs(points), [[0.5**0.5, 0]] * 2, atol=1e-6)
    assert points[0, 0] == -points[1, 0]


def test_axes_beyond_the_width_of_rows_are_zeros() -> None:
    rows = np.random.default_rng(0).standard_normal((9, 3))
    axes = principal_axes(rows, 5)
    assert axes.shape == (3, 5)
    np.testing.assert_allclose(axes.T @ axes, np.diag([1, 1, 1, 0, 0]), atol=1e-12)
