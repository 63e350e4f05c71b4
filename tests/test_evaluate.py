import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from src import evaluate
from src.evaluate import all_pairs, inter_stored_only, intra_inter, random_pairs, retrieval
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
    """The cosines of all pairs i != j, from the full matrix."""
    return cosine_similarity(features.astype(np.float64))[~np.eye(len(features), dtype=bool)]


@kinds
@pytest.mark.parametrize("chunk", [7, 4096])
def test_inter_equals_the_mean_of_the_full_matrix(kind, chunk, monkeypatch):
    monkeypatch.setattr(evaluate, "CHUNK", chunk)
    pairs = other_pairs(FEATURES[kind])
    assert all_pairs(torch.tensor(FEATURES[kind])) == pytest.approx(
        (pairs.mean(), pairs.std()), rel=1e-6, abs=1e-7
    )


@kinds
def test_intra_inter_equal_brute_force(kind):
    features, k = FEATURES[kind], min(10, len(FEATURES[kind]) - 1)
    found = intra_inter(features, top_k(features, k))
    pairs = other_pairs(features).reshape(len(features), -1)
    best = -np.sort(-pairs, axis=1)
    expected = {"intra": best[:, :k].mean(), "intra_at_1": best[:, 0].mean()}
    if k >= 5:
        expected["intra_at_5"] = best[:, :5].mean()
    expected |= {"inter": pairs.mean(), "gap": expected["intra"] - pairs.mean()}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-7)
    assert found.keys() - expected.keys() == {"inter_std", "separation"}


def test_separation_is_the_gap_in_standard_deviations():
    found = intra_inter(POSITIVE, top_k(POSITIVE, 3))
    assert found["separation"] == pytest.approx(found["gap"] / other_pairs(POSITIVE).std())


def test_no_separation_where_all_pairs_are_equal():
    features = np.repeat([[1.0, 0]], 4, axis=0)
    found = intra_inter(features, top_k(features, 2))
    assert found["inter"] == 1
    assert np.isnan(found["separation"])


ALONE = np.arange(6)  # each image a group of its own


def test_retrieval_by_hand():
    labels = np.array([0, 0, 0, 1, -1, -1])  # 3 is the only one of its label
    index = np.array([[1, 2], [4, 0], [3, 4], [0, 1], [5, 0], [4, 1]], dtype=np.int32)
    metrics, queries = retrieval("artist", labels, index, ALONE)
    assert metrics == {
        "artist/queries": 3,
        "artist/precision_at_1": pytest.approx(1 / 3),  # of 0: right; of 1: unlabeled; of 2: wrong
        "artist/precision_at_1_chance": pytest.approx(2 / 5),
    }
    np.testing.assert_array_equal(queries["artist/precision_at_1"], [1, 0, 0] + [np.nan] * 3)


def test_retrieval_leaves_out_labels_that_only_the_own_group_has():
    labels, groups = np.array([0, 0, 1, 1, 1, -1]), np.array([7, 7, 3, 3, 5, 5])
    index = np.array([[2], [3], [4], [0], [2], [4]], dtype=np.int32)
    metrics, queries = retrieval("artist", labels, index, groups)
    assert (metrics["artist/queries"], metrics["artist/precision_at_1"]) == (3, 2 / 3)
    assert metrics["artist/precision_at_1_chance"] == pytest.approx((1 / 4 + 1 / 4 + 2 / 4) / 3)
    np.testing.assert_array_equal(np.isnan(queries["artist/precision_at_1"]), [1, 1, 0, 0, 0, 1])


@pytest.mark.parametrize("labels", [[-1] * 6, range(6)])
def test_retrieval_without_queries(labels):
    index = np.zeros((6, 1), dtype=np.int32)
    assert retrieval("artist", np.array(labels), index, ALONE) == ({"artist/queries": 0}, {})


@pytest.mark.parametrize("k, depths", [(1, [1]), (4, [1]), (9, [1, 5]), (10, [1, 5, 10])])
def test_depths_beyond_the_list_are_left_out(k, depths):
    index = np.tile(np.arange(k, dtype=np.int32), (20, 1))
    _, queries = retrieval("school", np.zeros(20, dtype=int), index, np.arange(20))
    assert list(queries) == [f"school/precision_at_{depth}" for depth in depths]


def retrieval_by_loop(labels, index, groups, depth):
    found, chance = [], []
    for query, label in enumerate(labels):
        others = labels[groups != groups[query]]
        if label >= 0 and label in others:
            found.append(np.mean([labels[other] == label for other in index[query, :depth]]))
            chance.append(np.mean(others == label))
    return len(found), np.mean(found), np.mean(chance)


@pytest.mark.parametrize("depth", [1, 5, 10])
@pytest.mark.parametrize("seed", range(5))
def test_retrieval_equals_a_plain_loop(depth, seed):
    draw = np.random.default_rng(seed)
    labels, groups = draw.integers(-2, 12, 50).clip(-1), draw.integers(25, size=50)
    index = top_k(POSITIVE, 12, groups=groups).index
    metrics, queries = retrieval("style", labels, index, groups)
    name = f"style/precision_at_{depth}"
    assert (metrics["style/queries"], metrics[name], metrics[f"{name}_chance"]) == pytest.approx(
        retrieval_by_loop(labels, index, groups, depth)
    )
    assert np.nanmean(queries[name]) == pytest.approx(metrics[name])


def test_a_random_order_is_right_as_often_as_chance_says():
    draw = np.random.default_rng(0)
    labels = draw.integers(-1, 4, 300)
    index = np.stack([draw.permutation(np.delete(np.arange(300), row))[:10] for row in range(300)])
    metrics, _ = retrieval("style", labels, index.astype(np.int32), np.arange(300))
    assert metrics["style/precision_at_10"] == pytest.approx(
        metrics["style/precision_at_10_chance"], abs=0.02
    )


def test_inter_stored_only_is_another_mean_of_stored_scores():
    neighbors = top_k(POSITIVE, 3)
    found = [inter_stored_only(neighbors, seed) for seed in range(20)]
    assert neighbors.score.min() <= min(found) < max(found) <= neighbors.score.max()
    assert found == [inter_stored_only(neighbors, seed) for seed in range(20)]


def test_inter_stored_only_draws_five_images_and_their_own_neighbors():
    score = np.repeat(np.arange(8, dtype="f4")[:, None], 3, axis=1)  # of each image, its row
    neighbors = Neighbors(np.zeros((8, 3), dtype=np.int32), score, 0)
    sums = [5 * inter_stored_only(neighbors, seed) for seed in range(20)]
    assert sums == pytest.approx(np.round(sums))
    assert 0 + 1 + 2 + 3 + 4 <= round(min(sums)) < round(max(sums)) <= 3 + 4 + 5 + 6 + 7
    assert inter_stored_only(neighbors, 0, queries=100) == 3.5


def test_random_pairs_are_never_of_an_image_with_itself():
    features = np.eye(2, dtype="f4")
    assert not random_pairs(features, 1000, seed=0).any()


def test_random_pairs_are_the_scores_of_pairs():
    neighbors = top_k(POSITIVE, 49)
    drawn = random_pairs(POSITIVE, 20_001, seed=0)
    assert (drawn.shape, drawn.dtype) == ((20_001,), np.float32)
    np.testing.assert_array_equal(np.unique(drawn), np.unique(neighbors.score))  # every pair


def test_random_pairs_are_drawn_evenly():
    pairs = other_pairs(POSITIVE)
    drawn = random_pairs(POSITIVE, 20_000, seed=0)
    assert drawn.mean() == pytest.approx(pairs.mean(), abs=4 * pairs.std() / 20_000**0.5)


def test_random_pairs_are_seeded():
    drawn = random_pairs(POSITIVE, 100, seed=1)
    np.testing.assert_array_equal(drawn, random_pairs(torch.tensor(POSITIVE), 100, seed=1))
    assert (drawn != random_pairs(POSITIVE, 100, seed=2)).any()


@pytest.mark.parametrize("measure", [intra_inter, lambda rows, _: random_pairs(rows, 5, seed=0)])
def test_a_memory_map_is_accepted(measure, tmp_path):
    np.save(tmp_path / "features.npy", POSITIVE)
    features = np.load(tmp_path / "features.npy", mmap_mode="r")
    neighbors = top_k(POSITIVE, 3)
    np.testing.assert_equal(measure(features, neighbors), measure(POSITIVE, neighbors))
