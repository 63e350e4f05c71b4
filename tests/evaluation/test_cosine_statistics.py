import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import cosine_similarity

from src.evaluation import cosine_statistics
from src.evaluation.cosine_statistics import (
    auc,
    cosine_moments,
    inter_stored_only,
    intra_inter,
    label_auc,
    random_pairs,
)
from src.similarity import Neighbors, top_k

DRAW = np.random.default_rng(0)
POSITIVE = DRAW.random((50, 12), dtype="f4")
FEATURES = {
    "positive": POSITIVE,
    "normal": DRAW.normal(size=(50, 12)).astype("f4"),
    "zero rows": POSITIVE * (DRAW.random((50, 1)) > 0.3),
    "alike": 1 + np.float32(0.01) * POSITIVE,
    "two rows": POSITIVE[:2],
}
kinds = pytest.mark.parametrize("kind", FEATURES)


def other_pairs(features):
    """Return the cosines of all pairs i != j, from the full matrix."""
    return cosine_similarity(features.astype(np.float64))[~np.eye(len(features), dtype=bool)]


@kinds
@pytest.mark.parametrize("chunk", [7, 4096])
def test_inter_equals_the_mean_of_the_full_matrix(kind, chunk, monkeypatch):
    monkeypatch.setattr(cosine_statistics, "CHUNK", chunk)
    monkeypatch.setattr(cosine_statistics, "PRODUCT_ROWS", 3)
    monkeypatch.setattr(cosine_statistics, "STRIPE", 5)
    pairs = other_pairs(FEATURES[kind])
    assert cosine_moments(torch.tensor(FEATURES[kind])) == pytest.approx(
        (pairs.mean(), pairs.std()), rel=1e-6, abs=1e-7
    )


@pytest.mark.parametrize("kind", ["positive", "alike", "normal"])
def test_float32_products_leave_the_deviation_accurate(kind):
    draw = np.random.default_rng(1)
    shift = {"positive": 0.5, "alike": 300, "normal": 0}[kind]
    features = (draw.normal(size=(cosine_statistics.FLOAT32_ROWS, 24)) * 0.3 + shift).astype("f4")
    unit = features.astype("f8") / np.linalg.norm(features.astype("f8"), axis=1, keepdims=True)
    pairs, starts = len(unit) * (len(unit) - 1), range(0, len(unit), 500)  # 800 MB at once

    def deviations(start: int, mean: float) -> np.ndarray:
        """Return 500 rows of cosines minus mean, 0 for an image with itself."""
        cosines = unit[start : start + 500] @ unit.T - mean
        np.fill_diagonal(cosines[:, start:], 0)
        return cosines

    mean = sum(deviations(start, 0).sum() for start in starts) / pairs
    variance = sum((deviations(start, mean) ** 2).sum() for start in starts) / pairs
    inter, deviation = cosine_moments(torch.tensor(features))
    assert inter == pytest.approx(mean, rel=1e-9, abs=1e-9)
    assert deviation == pytest.approx(variance**0.5, rel=1e-6)


@kinds
def test_intra_inter_equal_brute_force(kind):
    features, k = FEATURES[kind], min(10, len(FEATURES[kind]) - 1)
    result = intra_inter(features, top_k(features, k))
    pairs = other_pairs(features).reshape(len(features), -1)
    best = -np.sort(-pairs, axis=1)
    expected = {"intra": best[:, :k].mean(), "intra_at_1": best[:, 0].mean()}
    if k >= 5:
        expected["intra_at_5"] = best[:, :5].mean()
    expected |= {"inter": pairs.mean(), "gap": expected["intra"] - pairs.mean()}
    assert {name: result[name] for name in expected} == pytest.approx(expected, abs=1e-7)
    assert result.keys() - expected.keys() == {"inter_std", "separation"}


def test_separation_is_the_gap_in_standard_deviations():
    result = intra_inter(POSITIVE, top_k(POSITIVE, 3))
    assert result["separation"] == pytest.approx(result["gap"] / other_pairs(POSITIVE).std())


def test_separation_is_nan_if_all_pairs_are_equal():
    features = np.repeat([[1.0, 0]], 4, axis=0)
    result = intra_inter(features, top_k(features, 2))
    assert result["inter"] == 1
    assert np.isnan(result["separation"])


def test_auc_is_the_area_under_the_roc_curve():
    draw = np.random.default_rng(0)
    higher, lower = draw.integers(5, 20, 80), draw.integers(0, 15, 130)  # with ties
    truth = np.repeat([1, 0], [80, 130])
    expected = roc_auc_score(truth, np.concatenate([higher, lower]))
    assert auc(higher, lower).mean() == pytest.approx(expected, abs=1e-12)


def test_auc_by_hand():
    np.testing.assert_array_equal(auc([0.0, 1, 2, 5], [1, 2, 2, 3]), [0, 1 / 8, 2 / 4, 1])
    assert auc(np.zeros((3, 2)), [0.0]).shape == (3, 2)


def test_inter_stored_only_is_a_seeded_mean_of_stored_scores():
    neighbors = top_k(POSITIVE, 3)
    result = [inter_stored_only(neighbors, seed) for seed in range(20)]
    assert neighbors.score.min() <= min(result) < max(result) <= neighbors.score.max()
    assert result == [inter_stored_only(neighbors, seed) for seed in range(20)]


def test_inter_stored_only_draws_five_images_and_their_own_neighbors():
    score = np.repeat(np.arange(8, dtype="f4")[:, None], 3, axis=1)  # of each image, its row
    neighbors = Neighbors(np.zeros((8, 3), dtype=np.int32), score, 0)
    sums = [5 * inter_stored_only(neighbors, seed) for seed in range(20)]
    assert sums == pytest.approx(np.round(sums))
    assert 0 + 1 + 2 + 3 + 4 <= round(min(sums)) < round(max(sums)) <= 3 + 4 + 5 + 6 + 7
    assert inter_stored_only(neighbors, 0, queries=100) == 3.5


def test_random_pairs_never_pair_an_image_with_itself():
    features = np.eye(2, dtype="f4")
    assert not random_pairs(features, 1000, seed=0).any()


def test_random_pairs_are_the_scores_of_pairs():
    neighbors = top_k(POSITIVE, 49)
    drawn = random_pairs(POSITIVE, 20_001, seed=0)
    assert (drawn.shape, drawn.dtype) == ((20_001,), np.float32)
    np.testing.assert_array_equal(np.unique(drawn), np.unique(neighbors.score))  # every pair


def test_label_auc_estimates_the_auc_of_all_pairs():
    labels = np.random.default_rng(0).integers(-1, 4, 50)
    cosines = cosine_similarity(POSITIVE.astype("f8"))
    first, second = np.triu_indices(50, 1)
    known = (labels[first] >= 0) & (labels[second] >= 0)
    first, second = first[known], second[known]
    expected = roc_auc_score(labels[first] == labels[second], cosines[first, second])
    assert label_auc(POSITIVE, labels, 200_000, seed=0) == pytest.approx(expected, abs=0.004)
    assert label_auc(POSITIVE, labels, 50, seed=0) == label_auc(POSITIVE, labels, 50, seed=0)


def test_label_auc_of_perfect_clusters_of_equal_rows_and_of_single_images():
    features = np.repeat(np.eye(3, dtype="f4"), 4, axis=0)
    assert label_auc(features, np.repeat([0, 1, 2], 4), 1000, seed=0) == 1
    assert label_auc(0 * features, np.repeat([0, 1, 2], 4), 1000, seed=0) == 1 / 2
    assert np.isnan(label_auc(features, np.arange(12), 1000, seed=0))


def test_random_pairs_are_drawn_evenly():
    pairs = other_pairs(POSITIVE)
    drawn = random_pairs(POSITIVE, 20_000, seed=0)
    assert drawn.mean() == pytest.approx(pairs.mean(), abs=4 * pairs.std() / 20_000**0.5)


def test_random_pairs_are_seeded():
    drawn = random_pairs(POSITIVE, 100, seed=1)
    np.testing.assert_array_equal(drawn, random_pairs(torch.tensor(POSITIVE), 100, seed=1))
    assert (drawn != random_pairs(POSITIVE, 100, seed=2)).any()


@pytest.mark.parametrize("function", [intra_inter, lambda rows, _: random_pairs(rows, 5, seed=0)])
def test_a_memory_map_is_accepted(function, tmp_path):
    np.save(tmp_path / "features.npy", POSITIVE)
    features = np.load(tmp_path / "features.npy", mmap_mode="r")
    neighbors = top_k(POSITIVE, 3)
    np.testing.assert_equal(function(features, neighbors), function(POSITIVE, neighbors))
