"""Centering and whitening equal scikit-learn, and change no row that they should not."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor

from src.errors import UserError
from src.similarity import postprocess
from src.similarity.numerics import normalize
from src.similarity.parallel import thread_count
from src.similarity.postprocess import FittedPostprocess, fit_center, fit_whiten

DRAW = torch.Generator().manual_seed(0)
FEATURES = 5 * torch.rand(50, 8, generator=DRAW) * torch.linspace(0.2, 2, 8)
FEATURES[[3, 30]] = 0
FITS = {"center": fit_center, "whiten": fit_whiten}
fits = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)


def unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms == 0, 1, norms)


def whiten_by_hand(features: Tensor, power: float, dim: int | None) -> NDArray[np.float64]:
    rows = unit_rows(features.double().numpy())
    pca = PCA(dim, svd_solver="full").fit(rows)
    strongest = abs(pca.components_).argmax(axis=1)
    signs = np.sign(pca.components_[np.arange(len(strongest)), strongest])
    scaled = pca.transform(rows) * signs * pca.explained_variance_ ** (-power / 2)
    return unit_rows(scaled * features.any(dim=1).numpy()[:, None])


@pytest.fixture(autouse=True, params=[7, 4096], ids=["blocks", "whole"])
def chunk(request, monkeypatch) -> None:
    monkeypatch.setattr(postprocess, "CHUNK", request.param)


def test_center_subtracts_the_mean_of_the_unit_rows():
    rows = unit_rows(FEATURES.double().numpy())
    expected = unit_rows((rows - rows.mean(axis=0)) * rows.any(axis=1, keepdims=True))
    np.testing.assert_allclose(fit_center(FEATURES)(FEATURES), expected, atol=1e-7)


@pytest.mark.parametrize("power", [0, 0.5, 1])
@pytest.mark.parametrize("dim", [None, 1, 3, 8])
def test_whiten_equals_principal_components(power, dim):
    found = fit_whiten(FEATURES, power, dim)(FEATURES)
    assert (found.shape, found.dtype) == ((50, dim or 8), torch.float32)
    np.testing.assert_allclose(found, whiten_by_hand(FEATURES, power, dim), atol=1e-6)


def test_full_whitening_gives_every_axis_unit_variance():
    fitted = fit_whiten(FEATURES, power=1)
    projected = (normalize(FEATURES) - fitted.mean) @ fitted.axes
    np.testing.assert_allclose(np.cov(projected.T, bias=True), np.eye(8), atol=1e-10)


def test_rotation_alone_changes_no_cosine():
    centered, rotated = fit_center(FEATURES)(FEATURES), fit_whiten(FEATURES, power=0)(FEATURES)
    np.testing.assert_allclose(rotated @ rotated.T, centered @ centered.T, atol=1e-6)


def test_axes_without_variance_are_dropped():
    few = FEATURES[4:10]  # 6 rows less their mean span 5 axes
    np.testing.assert_allclose(fit_whiten(few)(few), whiten_by_hand(few, 0.5, 5), atol=1e-6)
    assert fit_whiten(few).axes.shape == (8, 5)


@pytest.mark.parametrize("dim", [6, 8, 9])
def test_a_whiten_dim_above_the_number_of_axes_is_refused(dim):
    with pytest.raises(UserError, match=f"whiten_dim must be at most 5 .* got {dim}"):
        fit_whiten(FEATURES[4:10], dim=dim)


def test_signs_do_not_depend_on_the_order_of_the_rows():
    axes, reversed_axes = fit_whiten(FEATURES).axes, fit_whiten(FEATURES.flip(0)).axes
    np.testing.assert_allclose(axes, reversed_axes, rtol=1e-6, atol=1e-8)
    assert (axes.max(dim=0).values >= -axes.min(dim=0).values).all()


@fits
def test_rows_have_length_one_and_rows_of_zeros_stay(fit):
    lengths = fit(FEATURES)(FEATURES).norm(dim=1)
    np.testing.assert_allclose(lengths, FEATURES.any(dim=1), atol=1e-6)
    assert (lengths == 0).nonzero().flatten().tolist() == [3, 30]


@fits
@pytest.mark.parametrize("scale", [1, 1000])
def test_a_single_query_is_transformed_as_within_the_gallery(fit, scale):
    fitted = fit(FEATURES)
    for row in (0, 3, 49):
        alone = fitted(scale * FEATURES[row : row + 1])
        np.testing.assert_allclose(alone[0], fitted(FEATURES)[row], atol=1e-6)


@fits
def test_features_are_not_modified(fit):
    before = FEATURES.clone()
    fit(FEATURES)(FEATURES)
    assert torch.equal(FEATURES, before)


def test_mean_and_axes_are_the_whole_state():
    fitted = fit_whiten(FEATURES)
    assert torch.equal(FittedPostprocess(fitted.mean, fitted.axes)(FEATURES), fitted(FEATURES))


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_the_number_of_threads_changes_no_bit(fit):
    rows = torch.rand(600, 500, generator=DRAW)
    with thread_count(1):
        one = fit(rows)(rows)
    with thread_count(2):
        assert torch.equal(fit(rows)(rows), one)


def test_whitening_needs_rows_that_differ() -> None:
    with pytest.raises(UserError, match="all features are equal"):
        fit_whiten(torch.ones(5, 3))
