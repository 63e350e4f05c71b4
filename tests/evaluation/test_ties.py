"""Equal scores: each measure is its mean over all orders of the images that tie."""

from itertools import permutations

import numpy as np
import pytest
import torch

from src.evaluation.ranked_lists import RankedLists
from src.evaluation.relevance import Relevance
from src.evaluation.retrieval import Metrics, instance_recall, retrieval
from src.evaluation.tied_images import TiedImages
from src.similarity import NeighborSearch, top_k
from src.similarity.csls import csls_penalty

DEEP = ("precision_at_10", "recall_at_10", "hit_at_10", "map_at_10")
NAMES = ("precision_at_1", "precision_at_5", *DEEP)


def lists_of(features: np.ndarray, k: int, penalty: torch.Tensor | None = None) -> RankedLists:
    """Return the lists of a search, with all that ties with their ends."""
    found = top_k(features, k, penalty=penalty)
    key = found.score
    if penalty is not None:
        key = (found.score.astype("f8") - penalty.numpy()[found.index]).astype("f4")
    return RankedLists(found.index, key, TiedImages(torch.from_numpy(features), key, penalty))


def few_scores(n: int, seed: int) -> np.ndarray:
    """Return (n, 3) rows of few directions, so that most scores tie."""
    rows = np.random.default_rng(seed).integers(0, 2, size=(n, 3)).astype("f4")
    rows[0] = 0  # scores 0 with all
    return rows


def test_equal_rows_whose_lists_end_with_other_keys_tie_with_other_images() -> None:
    features = torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 1], [0, 1]])
    key = np.array([[1, 1], [1, 0], [1, 1], [1, 0], [1, 0]], dtype="f4")
    found = {
        row: np.flatnonzero(flags).tolist()
        for rows, flags in TiedImages(features, key)(np.arange(3))
        for row in rows.tolist()
    }
    assert found == {0: [0, 1, 2], 1: [3, 4], 2: [0, 1, 2]}


@pytest.mark.parametrize("seed", range(4))
def test_measures_are_means_over_all_orders_of_equal_scores(seed: int) -> None:
    draw = np.random.default_rng(seed)
    n, sizes = 12, [[4, 3, 4], [1, 4, 1, 5], [2, 2, 1, 2, 4], [5, 1, 5]][seed]
    labels, key = draw.integers(0, 3, size=n), np.repeat(-np.arange(len(sizes)), sizes)
    groups = np.where(np.arange(n) < 3, 0, np.arange(n))
    index = np.stack([draw.permutation(np.delete(np.arange(n), row)) for row in range(n)])
    lists = RankedLists(index.astype("i4"), np.tile(key, (n, 1)).astype("f4"))
    _, queries = retrieval("style", Relevance(labels, [groups]), lists)
    ends = np.cumsum(sizes)
    sums: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
    for order in range(700):
        draw = np.random.default_rng([seed, order])
        parts = [draw.permuted(part, axis=1) for part in np.split(index, ends[:-1], axis=1)]
        shuffled = RankedLists(np.concatenate(parts, axis=1).astype("i4"))
        _, one = retrieval("style", Relevance(labels, [groups]), shuffled)
        for name in NAMES:
            sums[name].append(one[f"style/{name}"])
    for name in NAMES:
        expected = np.mean(sums[name], axis=0)
        np.testing.assert_allclose(queries[f"style/{name}"], expected, atol=0.075, err_msg=name)


def test_average_precision_and_hits_are_exact_where_all_orders_can_be_tried() -> None:
    n, labels = 12, np.array([0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1])
    index = np.stack([np.delete(np.arange(n), row) for row in range(n)]).astype("i4")
    key = np.tile(np.array([9, 8, 8, 8, 8, 8, 3, 2, 1, 0, -1], dtype="f4"), (n, 1))
    _, queries = retrieval("a", Relevance(labels, [np.arange(n)]), RankedLists(index, key))
    tried: dict[str, list[float]] = {name: [] for name in NAMES}
    for order in permutations(range(1, 6)):
        shuffled = index[:, [0, *order, *range(6, 11)]]
        _, one = retrieval("a", Relevance(labels, [np.arange(n)]), RankedLists(shuffled))
        for name in NAMES:
            tried[name].append(one[f"a/{name}"])
    for name in NAMES:
        np.testing.assert_allclose(queries[f"a/{name}"], np.mean(tried[name], axis=0), atol=1e-12)


@pytest.mark.parametrize("k", [10, 14, 39])
@pytest.mark.parametrize("is_filtered", [False, True])
def test_an_embedding_that_is_the_same_for_all_images_gets_chance(
    k: int, is_filtered: bool
) -> None:
    draw = np.random.default_rng(k)
    labels = draw.integers(-1, 6, size=40)
    groups = [np.arange(40), np.arange(40) // 5 if is_filtered else np.arange(40)]
    lists = lists_of(np.ones((40, 4), dtype="f4"), k)
    metrics, _ = retrieval("style", Relevance(labels, groups), lists)
    for name in NAMES:
        for end in ("", "_macro"):
            value, chance = metrics[f"style/{name}{end}"], metrics[f"style/{name}{end}_chance"]
            assert value == pytest.approx(chance, abs=1e-12), name
    assert metrics["style/fewer_than_10"] == 0
    by_object, _ = instance_recall(np.arange(40) // 5, lists, 10)
    assert by_object["object/recall_at_k"] == pytest.approx(10 / 39)
    assert by_object["object/recall_at_1"] == by_object["object/recall_at_1_chance"] == 1 / 39


@pytest.mark.parametrize("by_csls", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_what_ties_beyond_a_list_counts_as_in_a_whole_list(seed: int, by_csls: bool) -> None:
    rows = few_scores(60, seed)
    penalty = csls_penalty(top_k(rows, 10).score) if by_csls else None
    labels = np.random.default_rng(seed).integers(-1, 5, size=60)
    relevance = Relevance(labels, [np.arange(60), np.arange(60) // 3])
    whole, expected = retrieval("style", relevance, lists_of(rows, 59, penalty))
    for k in (24, 30):
        lists = lists_of(rows, k, penalty)
        assert lists.is_open.sum() > 20
        metrics, queries = retrieval("style", relevance, lists)
        for name in expected:
            np.testing.assert_allclose(queries[name], expected[name], atol=1e-12, err_msg=name)
        assert metrics == pytest.approx(whole)


def test_large_penalties_tie_where_float32_rounds_them_to_the_same() -> None:
    rows = np.random.default_rng(2).random((40, 3), dtype="f4")
    penalty = torch.full((40,), 2.0**20, dtype=torch.float64)  # keys differ by steps of 1/16
    relevance = Relevance(np.arange(40) % 4, [np.arange(40)])
    whole, _ = retrieval("style", relevance, lists_of(rows, 39, penalty))
    metrics, _ = retrieval("style", relevance, lists_of(rows, 12, penalty))
    assert metrics == pytest.approx(whole)


@pytest.mark.parametrize("by_csls", [False, True])
def test_images_that_tie_with_the_last_neighbor_are_those_with_its_score(by_csls: bool) -> None:
    rows = few_scores(50, 1)
    penalty = csls_penalty(top_k(rows, 10).score) if by_csls else None
    lists, whole = lists_of(rows, 12, penalty), lists_of(rows, 49, penalty)
    assert lists.key is not None and whole.key is not None and lists.tied_images is not None
    found: Metrics = {}
    for some, images in lists.tied_images(np.arange(50)):
        for row in some.tolist():
            expected = set(whole.index[row][whole.key[row] == lists.key[row, -1]].tolist())
            assert set(np.flatnonzero(images).tolist()) - {row} == expected
            found[str(row)] = len(expected)
    assert len(found) == 50 and max(found.values()) > 8


def test_queries_with_equal_rows_are_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = lists_of(np.ones((30, 2), dtype="f4"), 12)
    searched: list[int] = []
    search = TiedImages._search
    monkeypatch.setattr(
        TiedImages, "_search", lambda self, rows: searched.append(len(rows)) or search(self, rows)
    )
    for _ in range(2):
        retrieval("style", Relevance(np.arange(30) % 3, [np.arange(30)]), lists)
    assert searched == [1]


@pytest.mark.parametrize("is_filtered", [False, True])
def test_it_does_not_matter_how_many_neighbors_are_looked_at_first(
    is_filtered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(5)
    rows = draw.random((90, 4), dtype="f4")
    rows[::9] = rows[0]  # copies tie at any place of a list
    groups = [np.arange(90), np.arange(90) // (6 if is_filtered else 1)]
    relevance = Relevance(draw.integers(-1, 7, size=90), groups)
    results = []
    for narrow in (1, 9, 10, 11, 16, 40, 200):
        monkeypatch.setattr("src.evaluation.ranked_lists.NARROW", narrow)
        lists = lists_of(rows, 30)
        assert lists.is_tied.any()
        results.append(retrieval("style", relevance, lists))
    for metrics, queries in results[1:]:
        assert metrics == pytest.approx(results[0][0], rel=1e-12)
        for name, values in queries.items():
            np.testing.assert_allclose(values, results[0][1][name], rtol=1e-12)


def test_lists_without_ties_need_no_search() -> None:
    rows = np.random.default_rng(0).random((80, 6), dtype="f4")
    found = NeighborSearch(rows).nearest(20)

    def refused(rows: np.ndarray) -> None:
        raise AssertionError("searched")

    lists = RankedLists(found.index, found.score, refused)
    relevance = Relevance(np.arange(80) % 7, [np.arange(80)])
    _, queries = retrieval("style", relevance, lists)
    _, plain = retrieval("style", relevance, RankedLists(found.index))
    for name in plain:
        np.testing.assert_array_equal(queries[name], plain[name])
