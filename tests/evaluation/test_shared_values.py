"""Images of several labels: what they share, counted and looked up."""

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from src.evaluation import shared_values
from src.evaluation.all_pairs import Task, all_pairs
from src.evaluation.ranked_lists import RankedLists
from src.evaluation.relevance import Relevance
from src.evaluation.retrieval import retrieval
from src.evaluation.shared_values import sharing
from src.similarity import top_k

N = 60


def sets_of(draw: np.random.Generator, values: int, most: int, n: int = N) -> np.ndarray:
    """Return (n, most) different values of each image, some with none, then -1."""
    sets = np.stack([draw.permutation(values)[:most] for _ in range(n)])
    return np.where(np.arange(most) < draw.integers(0, most + 1, size=(n, 1)), sets, -1)


def as_sets(values: np.ndarray) -> list[set[int]]:
    """Return the values (n,) or (n, v) of each image as a set."""
    rows = values.reshape(len(values), -1).tolist()
    return [{value for value in row if value >= 0} for row in rows]


def allowed_and_right(relevance: Relevance) -> tuple[np.ndarray, np.ndarray]:
    """Return by the definition (n, n) which images are candidates of each, and which are right."""
    n, labels = len(relevance.labels), as_sets(relevance.labels)
    groups = [as_sets(values) for values in relevance.excluded]
    left_out = np.zeros(n, bool) if relevance.left_out is None else relevance.left_out
    allowed, right = np.zeros((2, n, n), dtype=bool)
    for i, j in product(range(n), repeat=2):
        allowed[i, j] = i != j and all(ids[i].isdisjoint(ids[j]) for ids in groups)
        allowed[i, j] &= not left_out[j]
        right[i, j] = allowed[i, j] and not labels[i].isdisjoint(labels[j])
    return allowed, right


def example(seed: int) -> Relevance:
    """Return labels and artists of which images have several, and single objects."""
    draw = np.random.default_rng(seed)
    labels = sets_of(draw, 9, 3) if seed % 4 else draw.integers(-1, 5, size=N)
    artists, objects = sets_of(draw, 20, 1 + seed % 3), draw.integers(0, 40, size=N)
    left_out = draw.random(N) < 0.2 if seed % 2 else None
    return Relevance(labels, [[np.arange(N)], [objects, artists], [objects]][seed % 3], left_out)


@pytest.mark.parametrize("many", [0, 2, 4, 8])
@pytest.mark.parametrize("seed", range(6))
def test_candidates_and_right_ones_are_counted(
    seed: int, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_values, "MANY", many)
    relevance = example(seed)
    allowed, right = allowed_and_right(relevance)
    some = np.random.default_rng(seed).random(N) < 0.5
    for images in (None, some):
        counted = np.ones(N, bool) if images is None else images
        candidates, relevant = relevance.counts(images)
        np.testing.assert_array_equal(candidates, (allowed & counted).sum(axis=1))
        np.testing.assert_array_equal(relevant, (right & counted).sum(axis=1))


@pytest.mark.parametrize("seed", range(6))
def test_neighbors_are_allowed_and_right_by_definition(seed: int) -> None:
    relevance, draw = example(seed), np.random.default_rng(seed)
    allowed, right = allowed_and_right(relevance)
    rows, neighbors = np.arange(5, 50), draw.integers(0, N, size=(45, 7)).astype("i4")
    found = relevance.allowed(rows, neighbors)
    np.testing.assert_array_equal(found, np.take_along_axis(allowed[rows], neighbors, axis=1))
    is_right = found & relevance.right(rows, neighbors)
    np.testing.assert_array_equal(is_right, np.take_along_axis(right[rows], neighbors, axis=1))


def test_images_of_one_label_are_counted_as_without_sets() -> None:
    draw = np.random.default_rng(3)
    labels, groups = draw.integers(-1, 6, size=N), draw.integers(0, 25, size=N)
    plain = Relevance(labels, [groups])
    sets = Relevance(labels[:, None], [groups[:, None]])
    for expected, counted in zip(plain.counts(), sets.counts(), strict=True):
        np.testing.assert_array_equal(counted, expected)
    lists = RankedLists(top_k(draw.random((N, 5), dtype="f4"), 20).index)
    assert retrieval("a", sets, lists)[0] == retrieval("a", plain, lists)[0]


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_rankings_of_all_images_look_at_all_labels(seed: int) -> None:
    relevance = example(seed)
    features = np.random.default_rng(seed).random((N, 6), dtype="f4")
    allowed, right = allowed_and_right(relevance)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    score = unit @ unit.T
    _, queries = all_pairs(features, [Task("style", relevance)])
    _, shallow = retrieval("style", relevance, RankedLists(top_k(features, N - 1).index))
    is_query = np.ones(N, bool) if relevance.left_out is None else ~relevance.left_out
    for row in range(N):
        value = queries["style/map"][row]
        if not right[row].any() or not is_query[row]:
            assert np.isnan(value) and np.isnan(shallow["style/precision_at_1"][row])
            continue
        kept = allowed[row]
        expected = average_precision_score(right[row][kept], score[row][kept])
        assert value == pytest.approx(expected)
        first = np.flatnonzero(kept)[score[row][kept].argmax()]
        assert shallow["style/precision_at_1"][row] == right[row, first]


def test_the_class_of_an_image_is_its_first_label() -> None:
    labels = np.array([[2, 5], [5, -1], [2, -1], [7, 2], [-1, -1]])
    relevance = Relevance(labels, [np.arange(5)])
    np.testing.assert_array_equal(relevance.classes, [2, 5, 2, 7, -1])
    index = np.stack([np.delete(np.arange(5), row) for row in range(5)]).astype("i4")
    metrics, _ = retrieval("style", relevance, RankedLists(index))
    assert metrics["style/classes"] == 3 and metrics["style/empty"] == 1
    # 0 has the labels of 1, 2 and 3; 1 that of 0; 2 those of 0 and 3; 3 those of 0 and 2
    assert metrics["style/precision_at_1"] == 1
    assert metrics["style/precision_at_1_chance"] == pytest.approx((3 + 1 + 2 + 2) / 4 / 4)


def test_images_share_a_value_in_all_relations() -> None:
    draw = np.random.default_rng(0)
    relations, weights = [sets_of(draw, 12, 4), sets_of(draw, 8, 2)], draw.random(N)
    relations[0][::5, 1:] = relations[0][::5, :1]  # a value several times
    first, second = map(as_sets, relations)
    for given in (relations[:1], relations):
        expected = [
            sum(
                weights[j]
                for j in range(N)
                if not first[i].isdisjoint(first[j])
                and (len(given) == 1 or not second[i].isdisjoint(second[j]))
            )
            for i in range(N)
        ]
        np.testing.assert_allclose(sharing(given, weights), expected)
    assert sharing([np.full((3, 2), -1)], np.ones(3)).tolist() == [0, 0, 0]
