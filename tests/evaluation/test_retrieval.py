import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from src.evaluation.label_pairs import label_pairs
from src.evaluation.ranked_lists import RankedLists
from src.evaluation.relevance import Relevance
from src.evaluation.retrieval import instance_recall, retrieval

NO_GROUPS = np.arange(6)  # each image is a group of its own
NAMES = [*(f"precision_at_{d}" for d in (1, 5, 10)), "recall_at_10", "hit_at_10", "map_at_10"]


def measured(name, labels, index, *excluded):
    """Return the metrics of lists without ties."""
    return retrieval(name, Relevance(labels, excluded), RankedLists(index))


def random_lists(n, k, seed):
    """Return (n, k) random neighbor rows, none of an image itself."""
    draw = np.random.default_rng(seed)
    lists = [draw.permutation(np.delete(np.arange(n), row))[:k] for row in range(n)]
    return np.stack(lists).astype(np.int32)


def test_metrics_by_hand():
    labels = np.array([0, 0, 0, 1, -1, -1])  # 3 is the only one of its label
    index = np.array([[1, 2], [4, 0], [3, 4], [0, 1], [5, 0], [4, 1]], dtype=np.int32)
    metrics, queries = measured("artist", labels, index, NO_GROUPS)
    assert metrics == {
        "artist/queries": 3,
        "artist/classes": 1,
        "artist/singletons": 1,
        "artist/empty": 2,
        "artist/precision_at_1": pytest.approx(1 / 3),  # of 0: right; of 1: unlabeled; of 2: wrong
        "artist/precision_at_1_chance": pytest.approx(2 / 5),
        "artist/precision_at_1_macro": pytest.approx(1 / 3),
        "artist/precision_at_1_macro_chance": pytest.approx(2 / 5),
    }
    np.testing.assert_array_equal(queries["artist/precision_at_1"], [1, 0, 0] + [np.nan] * 3)


def test_labels_that_only_the_query_group_has_are_singletons():
    labels, groups = np.array([0, 0, 1, 1, 1, -1]), np.array([7, 7, 3, 3, 5, 5])
    index = np.array([[2], [3], [4], [0], [2], [4]], dtype=np.int32)
    metrics, queries = measured("artist", labels, index, groups)
    assert (metrics["artist/queries"], metrics["artist/precision_at_1"]) == (3, 2 / 3)
    assert metrics["artist/precision_at_1_chance"] == pytest.approx((1 / 4 + 1 / 4 + 2 / 4) / 3)
    np.testing.assert_array_equal(np.isnan(queries["artist/precision_at_1"]), [1, 1, 0, 0, 0, 1])


@pytest.mark.parametrize("labels", [[-1] * 6, range(6)])
def test_without_queries_only_counts_are_returned(labels):
    index = np.zeros((6, 1), dtype=np.int32)
    metrics, queries = measured("artist", np.array(labels), index, NO_GROUPS)
    assert metrics["artist/queries"] == 0
    assert metrics["artist/singletons"] + metrics["artist/empty"] == 6
    assert (len(metrics), metrics["artist/classes"], queries) == (4, 0, {})


@pytest.mark.parametrize("k, depths", [(1, [1]), (4, [1]), (9, [1, 5]), (10, [1, 5, 10])])
def test_depths_beyond_the_list_are_omitted(k, depths):
    _, queries = measured("school", np.arange(20) % 10, random_lists(20, k, 0), np.arange(20))
    names = [f"precision_at_{depth}" for depth in depths]
    names += ["recall_at_10", "hit_at_10", "map_at_10"] if k >= 10 else []
    assert set(queries) == {f"school/{name}" for name in names}


def by_loop(labels, index, *excluded):
    """Return the metrics of each query (q,) by their definitions."""
    result = {name: [] for name in [*NAMES, "left", "share", "label"]}
    for query, label in enumerate(labels):
        candidates = [o for o in range(len(labels)) if all(g[o] != g[query] for g in excluded)]
        relevant = sum(labels[o] == label for o in candidates)
        if label < 0 or not relevant:
            continue
        near = [o for o in index[query] if o in candidates]
        hits = [float(labels[o] == label) for o in near]
        for depth in (1, 5, 10):
            result[f"precision_at_{depth}"].append(sum(hits[:depth]) / min(depth, len(candidates)))
        result["recall_at_10"].append(sum(hits[:10]) / relevant)
        result["hit_at_10"].append(float(sum(hits[:10]) > 0))
        gained = sum(hit * np.mean(hits[: r + 1]) for r, hit in enumerate(hits[:10]))
        result["map_at_10"].append(gained / min(10, relevant))
        result["left"].append(len(near))
        result["share"].append(relevant / len(candidates))
        result["label"].append(label)
    return {name: np.array(values) for name, values in result.items()}


@pytest.mark.parametrize("seed", range(8))
def test_metrics_equal_a_plain_loop(seed):
    draw = np.random.default_rng(seed)
    labels = draw.integers(-2, 12 if seed % 3 else 2, 60).clip(-1)  # R beyond the list
    excluded = [draw.integers(30, size=60) for _ in range(1 + seed % 3)]
    index = random_lists(60, 14 if seed % 2 else 25, seed)
    metrics, queries = measured("style", labels, index, *excluded)
    expected = by_loop(labels, index, *excluded)
    for name in NAMES:
        query_values = queries[f"style/{name}"]
        valid = ~np.isnan(expected[name])
        np.testing.assert_allclose(query_values[~np.isnan(query_values)], expected[name][valid])
        values, classes = expected[name][valid], expected["label"][valid]
        assert metrics[f"style/{name}"] == pytest.approx(values.mean())
        macro = np.mean([values[classes == label].mean() for label in np.unique(classes)])
        assert metrics[f"style/{name}_macro"] == pytest.approx(macro)
    assert metrics["style/precision_at_5_chance"] == pytest.approx(expected["share"].mean())
    assert metrics["style/fewer_than_10"] == (expected["left"] < 10).mean()
    assert metrics["style/queries"] == len(expected["left"])


def test_map_of_a_complete_list_is_average_precision():
    labels, index = np.arange(11) % 2, random_lists(11, 10, 4)
    _, queries = measured("style", labels, index, np.arange(11))
    for query, near in enumerate(index):
        expected = average_precision_score(labels[near] == labels[query], -np.arange(10))
        assert queries["style/map_at_10"][query] == pytest.approx(expected)


@pytest.mark.parametrize("n", [12, 200])
def test_a_random_order_has_the_chance_values(n):
    labels, sums = np.arange(n) % 4 - (np.arange(n) % 8 == 0), {name: 0.0 for name in NAMES}
    for seed in range(times := 4000 // n):
        metrics, _ = measured("style", labels, random_lists(n, n - 1, seed), np.arange(n))
        for name in NAMES:
            sums[name] += metrics[f"style/{name}"] / times
    for name in NAMES:
        assert sums[name] == pytest.approx(metrics[f"style/{name}_chance"], abs=0.012), name


def test_queries_with_fewer_than_ten_neighbors_are_counted_and_missing_ones_wrong():
    groups = np.repeat([0, 1, 2], [8, 4, 8])
    index = np.stack([np.delete(np.arange(20), row)[:11] for row in range(20)]).astype(np.int32)
    metrics, queries = measured("style", np.zeros(20, dtype=int), index, groups)
    # of the first 11 others, those of groups 0 have 4 of group 1 left, those of group 1 all 8 of 0
    left = np.repeat([4, 8, 11], [8, 4, 8])
    np.testing.assert_allclose(queries["style/precision_at_10"], np.minimum(left, 10) / 10)
    assert metrics["style/fewer_than_10"] == 12 / 20
    np.testing.assert_allclose(queries["style/precision_at_1"], 1)


def test_instance_recall_by_hand():
    objects = np.array([3, 3, 3, 5, 5, 9, 8])
    index = np.array([[1, 5, 2], [0, 2, 6], [5, 6, 4], [6, 5, 4], [3, 0, 1], [6, 0, 1], [5, 0, 1]])
    metrics, queries = instance_recall(objects, RankedLists(index.astype(np.int32)), 3)
    at_1, at_k = [1 / 2, 1 / 2, 0, 0, 1], [1, 1, 0, 1, 1]
    np.testing.assert_array_equal(queries["object/recall_at_1"], at_1 + [np.nan] * 2)
    np.testing.assert_array_equal(queries["object/recall_at_k"], at_k + [np.nan] * 2)
    assert metrics == {
        "object/queries": 5,
        "object/classes": 2,
        "object/recall_at_1": pytest.approx(np.mean(at_1)),
        "object/recall_at_1_chance": 1 / 6,
        "object/recall_at_k": pytest.approx(np.mean(at_k)),
        "object/recall_at_k_chance": 3 / 6,
    }
    assert instance_recall(np.arange(7), RankedLists(index.astype(np.int32)), 3) == (
        {"object/queries": 0, "object/classes": 0},
        {},
    )


def test_label_pairs_are_drawn_uniformly():
    labels = np.array([0, 0, 0, 1, 1, -1, 2])
    same, different = label_pairs(labels, 60_000, seed=0)
    assert (labels[same[:, 0]] == labels[same[:, 1]]).all() and (same[:, 0] != same[:, 1]).all()
    assert (labels[different[:, 0]] != labels[different[:, 1]]).all()
    for pairs in (same, different):
        kinds, counts = np.unique(pairs, axis=0, return_counts=True)
        assert (labels[kinds] >= 0).all()
        assert len(kinds) == (8 if pairs is same else 22)
        np.testing.assert_allclose(counts / len(pairs), 1 / len(kinds), rtol=0.1)
    again, _ = label_pairs(labels, 60_000, seed=0)
    np.testing.assert_array_equal(again, same)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [-1, -1, 0], [-1, -1, -1]])
def test_label_pairs_are_none_if_a_kind_of_pair_does_not_exist(labels):
    assert label_pairs(np.array(labels), 10, seed=0) is None
