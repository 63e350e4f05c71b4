"""Measures of whole rankings from features: against scikit-learn and the search's own lists."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from src.evaluation import all_pairs as module
from src.evaluation.all_pairs import Task, all_pairs
from src.evaluation.relevance import Relevance
from src.similarity import exact_tiles, top_k
from src.similarity.parallel import thread_count
from tests.evaluation.test_ranks import over_all_orders

DRAW = np.random.default_rng(0)
N = 150
FEATURES = DRAW.random((N, 6), dtype="f4")
FEATURES[7] = 0
LABELS = DRAW.integers(-1, 5, N)
ALONE, OBJECTS, ARTISTS = np.arange(N), np.arange(N) // 3 + 40, DRAW.integers(0, 20, N)
PENALTY = DRAW.random(N)
TASKS = [
    Task("style", Relevance(LABELS, [ALONE])),
    Task("style-no_same_object", Relevance(LABELS, [OBJECTS])),
    Task("style-no_same_artist", Relevance(LABELS, [OBJECTS, ARTISTS])),
    Task("artist", Relevance(ARTISTS, [ALONE])),
]
NEIGHBORS = top_k(FEATURES, N - 1)
MEASURES = ("map", "r_precision", "label_auc")


def by_scikit_learn(task: Task, query: int, penalty: np.ndarray | None) -> tuple[float, float]:
    """Return average precision and AUC of a query from the complete list of its neighbors."""
    index, score = NEIGHBORS.index[query], NEIGHBORS.score[query].astype("f8")
    if penalty is not None:
        score = (score - penalty[index]).astype("f4")
    kept = np.all([groups[index] != groups[query] for groups in task.relevance.excluded], axis=0)
    hits = (task.relevance.labels[index] == task.relevance.labels[query])[kept]
    untied = len(np.unique(score[kept])) == kept.sum()
    precision = average_precision_score(hits, score[kept]) if untied else np.nan
    return precision, roc_auc_score(hits, score[kept])


@pytest.mark.parametrize("penalty", [None, PENALTY])
def test_measures_equal_those_of_the_complete_lists_of_neighbors(penalty):
    metrics, queries = all_pairs(FEATURES, TASKS, penalty)
    for task in TASKS:
        untied = 0
        for query in range(0, N, 7):
            result = [queries[f"{task.name}/{name}"][query] for name in ("map", "label_auc")]
            if np.isnan(result).any():
                continue
            precision, auc = by_scikit_learn(task, query, penalty)
            assert result[1] == pytest.approx(auc, rel=1e-12)
            if not np.isnan(precision):
                untied += 1
                assert result[0] == pytest.approx(precision, rel=1e-12)
        assert untied > 10


def test_metrics_are_means_over_the_queries_with_a_value():
    metrics, queries = all_pairs(FEATURES, TASKS)
    assert list(queries) == [f"{task.name}/{name}" for task in TASKS for name in MEASURES]
    for name, values in queries.items():
        assert metrics[name] == pytest.approx(np.nanmean(values))
        assert 0 < metrics[f"{name}_chance"] <= 0.5
    unknown = LABELS < 0
    np.testing.assert_array_equal(np.isnan(queries["style/map"]), unknown)
    means = [np.nanmean(queries["style/map"][label == LABELS]) for label in range(5)]
    assert metrics["style/map_macro"] == pytest.approx(np.mean(means))


def test_an_image_without_a_label_is_wrong_and_no_query():
    features = np.array([[4.0, 0.0], [4.0, 1.0], [4.0, 2.0], [4.0, 3.0]])
    metrics, queries = all_pairs(
        features, [Task("x", Relevance(np.array([0, -1, 0, -1]), [np.arange(4)]))]
    )
    assert metrics["x/map_chance"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    np.testing.assert_allclose(queries["x/map"], [1 / 2, np.nan, 1 / 3, np.nan])
    np.testing.assert_allclose(queries["x/r_precision"], [0, np.nan, 0, np.nan])
    np.testing.assert_allclose(queries["x/label_auc"], [1 / 2, np.nan, 0, np.nan])


@pytest.mark.parametrize("labels", [[-1] * 4, range(4), [0, 0, 0, 0], [0, 0, 0, 1]])
def test_tasks_without_queries_or_without_wrong_images(labels):
    features = np.array([[4.0, 0.0], [4.0, 1.0], [4.0, 2.0], [4.0, 3.0]])
    metrics, queries = all_pairs(features, [Task("x", Relevance(np.array(labels), [np.arange(4)]))])
    assert np.isfinite(list(metrics.values())).all()
    repeated = len(set(labels)) < 4 and max(labels) >= 0
    assert ("x/map" in queries) == repeated
    assert ("x/label_auc" in queries) == (repeated and len(set(labels)) > 1)
    assert ({name.partition("_")[0] for name in metrics} == set()) == (not repeated)


def test_no_tasks_have_no_metrics():
    assert all_pairs(FEATURES, []) == ({}, {})


@pytest.mark.parametrize("features", [np.ones((N, 3)), np.zeros((N, 3)), np.full((N, 1), 0.1)])
def test_features_that_cannot_tell_images_apart_get_exactly_chance(features):
    metrics, _ = all_pairs(features, TASKS)
    for task in TASKS:
        for name in MEASURES:
            stem = f"{task.name}/{name}"
            assert metrics[stem] == metrics[f"{stem}_chance"]


def test_copies_tie():
    features = np.repeat(DRAW.random((N // 3, 400), dtype="f4"), 3, axis=0)
    labels = np.tile([0, 1, 1], N // 3)
    metrics, queries = all_pairs(features, [Task("x", Relevance(labels, [ALONE]))])
    # two copies of the query tie before all others: for label 0 both wrong, for label 1 one right
    assert metrics["x/r_precision"] < 1
    shuffled = DRAW.permutation(N)
    again = all_pairs(features[shuffled], [Task("x", Relevance(labels[shuffled], [ALONE]))])[1]
    for name, values in queries.items():
        np.testing.assert_array_equal(again[name], values[shuffled])


def test_results_are_equal_to_the_bit_for_any_threads_blocks_and_memory(monkeypatch):
    metrics, queries = all_pairs(FEATURES, TASKS, PENALTY)
    for threads, band, scores in ((1, 256, 2**19), (2, 40, 1), (3, 64, 1000), (2, 1, 10**6)):
        monkeypatch.setitem(exact_tiles.SIDE, "cpu", band)
        monkeypatch.setitem(module.BLOCK_SCORES, "cpu", scores)
        with thread_count(threads):
            again = all_pairs(torch.tensor(FEATURES), TASKS, PENALTY)
        assert again[0] == metrics
        for name, values in queries.items():
            np.testing.assert_array_equal(again[1][name], values)


def test_groups_and_labels_may_have_any_numbers():
    metrics, _ = all_pairs(FEATURES, TASKS[2:3])
    moved = Task(TASKS[2].name, Relevance(LABELS, [OBJECTS * 10**12 - 5, -7 - ARTISTS]))
    assert all_pairs(FEATURES, [moved])[0] == metrics


def test_a_wrong_penalty_is_refused():
    with pytest.raises(ValueError, match=r"penalty must be \(150,\) finite numbers, got \(2,\)"):
        all_pairs(FEATURES, TASKS, [0.0, 1.0])


def test_images_that_are_left_out_might_as_well_not_be_there():
    left_out = DRAW.random(N) < 0.3
    relevance = Relevance(LABELS, [OBJECTS, ARTISTS], left_out)
    metrics, queries = all_pairs(FEATURES, [Task("style", relevance)], PENALTY)
    kept = ~left_out
    without = Relevance(LABELS[kept], [OBJECTS[kept], ARTISTS[kept]])
    expected = all_pairs(FEATURES[kept], [Task("style", without)], PENALTY[kept])
    assert metrics == expected[0]
    for name, values in queries.items():
        np.testing.assert_array_equal(values[kept], expected[1][name])
        assert np.isnan(values[left_out]).all()


def test_two_images_of_one_label_find_each_other_by_chance():
    metrics, queries = all_pairs(
        [[1.0], [2.0]], [Task("x", Relevance(np.zeros(2, int), [ALONE[:2]]))]
    )
    assert (metrics["x/map"], metrics["x/map_chance"]) == (1, 1)
    assert list(queries) == ["x/map", "x/r_precision"]


def test_few_queries():
    labels = np.where(np.arange(N) < 2, 0, -1)
    left_out = np.arange(N) == 0
    assert all_pairs(FEATURES, [Task("x", Relevance(labels, [ALONE], left_out))]) == ({}, {})
    groups = np.where(np.arange(N) < 2, 5, 10 + ALONE)  # both of the label in one group
    assert all_pairs(FEATURES, [Task("x", Relevance(labels, [groups]))]) == ({}, {})
    metrics, queries = all_pairs(FEATURES, [Task("x", Relevance(labels, [ALONE]))])
    assert np.isfinite(queries["x/map"]).sum() == 2
    assert metrics["x/map"] == metrics["x/map_macro"]


# small integers have many equal cosines; x, y, label, group
collections = st.lists(
    st.tuples(*[st.integers(-1, 2)] * 2, st.integers(-1, 1), st.integers(0, 3)),
    min_size=2,
    max_size=6,
)


@given(collections)
def test_small_collections_are_measured_by_definition(images):
    x, y, labels, groups = np.array(images).T
    features = np.stack([x, y], axis=1).astype(np.float64)
    lengths = np.sqrt((features**2).sum(axis=1))
    scale = lengths[:, None] * lengths
    scores = np.where(scale == 0, 0, features @ features.T / np.where(scale == 0, 1, scale))
    scores = scores.astype(np.float32)
    for excluded in ([np.arange(len(x))], [np.arange(len(x)), groups]):
        _, queries = all_pairs(features, [Task("x", Relevance(labels, excluded))])
        for query, label in enumerate(labels):
            others = np.all([ids != ids[query] for ids in excluded], axis=0)
            hits = ((labels == label) & (label >= 0))[others].tolist()
            found = [queries.get(f"x/{name}", np.full(len(x), np.nan))[query] for name in MEASURES]
            expected = [np.nan] * 3
            if any(hits):
                expected = over_all_orders(scores[query, others].tolist(), hits)
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_chance_is_that_of_the_queries_for_which_a_measure_is_defined():
    labels, groups = np.array([0, 0, 1, 1, 1, 2, 2, 2]), np.array([9, 8, 9, 9, 9, 9, 9, 9])
    # the only candidate of the first image is right, so that its ranking has no AUC
    metrics, queries = all_pairs(FEATURES[10:18], [Task("x", Relevance(labels, [groups]))])
    assert np.flatnonzero(~np.isnan(queries["x/map"])).tolist() == [0, 1]
    assert np.flatnonzero(~np.isnan(queries["x/label_auc"])).tolist() == [1]
    assert metrics["x/label_auc_chance"] == metrics["x/label_auc_macro_chance"] == 0.5
