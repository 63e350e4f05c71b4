"""Metrics of judged pairs, against trec_eval, scikit-learn and numbers by hand."""

from collections import defaultdict
from itertools import permutations

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, Judged, P
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.metrics.pairwise import cosine_similarity

from src.evaluation.judgements import (
    Pairs,
    Verdicts,
    consensus,
    judge_agreement,
    list_metrics,
    possible_verdicts,
    ranking_metrics,
)
from src.evaluation.ranked_lists import RankedLists
from src.similarity import top_k

N = 80
DRAW = np.random.default_rng(0)
FEATURES = DRAW.standard_normal((N, 6)).astype(np.float32)
LISTS = top_k(FEATURES, 30)
ALONE = np.arange(N)


def drawn_pairs(count: int = 600) -> Pairs:
    """Return judged pairs of half of the images: near ones are good more often."""
    both = np.unique(DRAW.integers(0, (N // 2, N), (count, 2)), axis=0)
    both = both[both[:, 0] != both[:, 1]]
    is_good = cosines()[both[:, 0], both[:, 1]] + 0.7 * DRAW.standard_normal(len(both)) > 0
    return Pairs(both[:, 0], both[:, 1], is_good)


def cosines() -> np.ndarray:
    return cosine_similarity(FEATURES.astype(np.float64))


def keys(pairs: Pairs) -> np.ndarray:
    """Return the scores of the pairs, to the bit those of the lists."""
    whole = top_k(FEATURES, N - 1)
    of_pair = {
        (query, neighbor): score
        for query in range(N)
        for neighbor, score in zip(whole.index[query].tolist(), whole.score[query], strict=True)
    }
    both = zip(pairs.query.tolist(), pairs.neighbor.tolist(), strict=True)
    return np.array([of_pair[pair] for pair in both], dtype=np.float32)


def test_lists_and_condensed_rankings_have_the_values_of_trec_eval() -> None:
    pairs, scores = drawn_pairs(), cosines()
    told = zip(pairs.query, pairs.neighbor, pairs.is_good, strict=True)
    judged = [ir_measures.Qrel(str(i), str(j), int(good)) for i, j, good in told]
    queries = np.unique(pairs.query)
    run = [
        ir_measures.ScoredDoc(str(i), str(j), scores[i, j])
        for i in queries
        for j in range(N)
        if i != j
    ]
    measures = [AP(judged_only=True), *(kind @ d for d in (1, 5, 10) for kind in (P, Judged))]
    values: dict[str, dict[int, float]] = defaultdict(dict)
    for found in ir_measures.iter_calc(measures, judged, run):
        values[str(found.measure)][int(found.query_id)] = found.value
    lists = RankedLists(LISTS.index, LISTS.score)
    in_lists, ranked = (
        list_metrics(pairs, keys(pairs), lists, ALONE)[1],
        ranking_metrics(pairs, keys(pairs), N)[1],
    )
    for row in range(N):
        for depth in (1, 5, 10):
            share = values[f"Judged@{depth}"].get(row, np.nan)
            good = values[f"P@{depth}"].get(row, np.nan) / share if share else np.nan
            assert in_lists[f"judged/judged_at_{depth}"][row] == pytest.approx(share, nan_ok=True)
            assert in_lists[f"judged/precision_at_{depth}"][row] == pytest.approx(good, nan_ok=True)
        has_good = pairs.is_good[pairs.query == row].any()
        expected = values["AP(judged_only=True)"][row] if has_good else np.nan
        assert ranked["judged/map"][row] == pytest.approx(expected, nan_ok=True)
    assert len(queries) == N // 2


def test_agreement_is_the_area_under_the_curve_of_each_query() -> None:
    pairs = drawn_pairs()
    key = np.round(keys(pairs), 1)  # many are equal
    metrics, queries = ranking_metrics(pairs, key, N)
    for row in range(N):
        own = pairs.query == row
        good = pairs.is_good[own]
        expected = roc_auc_score(good, key[own]) if 0 < good.sum() < len(good) else np.nan
        assert queries["judged/agreement"][row] == pytest.approx(expected, nan_ok=True)
    assert metrics["judged/agreement"] == np.nanmean(queries["judged/agreement"])
    assert metrics["judged/agreement_chance"] == 0.5


def test_map_is_the_mean_over_the_orders_of_equal_scores() -> None:
    query, good = np.zeros(6, dtype=int), np.array([1, 0, 1, 0, 1, 0], dtype=bool)
    pairs, key = Pairs(query, np.arange(1, 7), good), np.float32([9, 9, 9, 5, 5, 1])
    orders = [
        [*first, *second, 5] for first in permutations(range(3)) for second in permutations((3, 4))
    ]
    each = [average_precision_score(good[order], -np.arange(6)) for order in orders]
    _, queries = ranking_metrics(pairs, key, 7)
    assert queries["judged/map"][0] == pytest.approx(np.mean(each))


def test_an_image_with_the_last_score_counts_by_its_chance_to_be_in_the_list() -> None:
    index, key = np.tile(np.arange(1, 13), (13, 1)).astype(np.int32), np.float32([9] + [5] * 11)
    lists = RankedLists(index, np.tile(key, (13, 1)))
    pairs = Pairs(np.zeros(3, int), np.array([1, 2, 3]), np.array([True, False, True]))
    metrics, _ = list_metrics(pairs, np.float32([9, 5, 5]), lists, np.arange(13))
    share = 4 / 11  # of the eleven equal ones, four are among the first five
    assert metrics["judged/judged_at_5"] == pytest.approx((1 + 2 * share) / 5)
    assert metrics["judged/precision_at_5"] == pytest.approx((1 + share) / (1 + 2 * share))


def test_equal_scores_beyond_the_list_count_too() -> None:
    rows = np.ones((40, 3), dtype=np.float32)
    found = top_k(rows, 10)

    def tied(rows: np.ndarray):
        yield rows, np.ones(40, dtype=bool)

    lists = RankedLists(found.index, found.score, tied)
    pairs = Pairs(np.zeros(2, int), np.array([30, 31]), np.array([True, False]))
    groups = np.where(np.arange(40) < 4, 0, np.arange(40))  # four images exclude each other
    metrics, _ = list_metrics(pairs, found.score[[0, 0], [0, 0]], lists, groups)
    assert metrics["judged/judged_at_10"] == pytest.approx(2 * (10 / 36) / 10)
    assert metrics["judged/precision_at_10"] == 0.5


def test_pairs_that_are_not_judged_are_never_wrong() -> None:
    lists = RankedLists(LISTS.index, LISTS.score)
    best = LISTS.index[:, 0].astype(np.int64)
    pairs = Pairs(ALONE, best, np.ones(N, dtype=bool))
    metrics, queries = list_metrics(pairs, LISTS.score[:, 0], lists, ALONE)
    assert metrics["judged/precision_at_10"] == 1
    assert metrics["judged/judged_at_10"] == pytest.approx(0.1)
    beyond = Pairs(ALONE, LISTS.index[:, 20].astype(np.int64), np.zeros(N, dtype=bool))
    metrics, queries = list_metrics(beyond, LISTS.score[:, 20], lists, ALONE)
    assert {name: metrics[name] for name in queries} == {
        f"judged/judged_at_{depth}": 0 for depth in (1, 5, 10)
    }
    assert metrics.keys() - queries.keys() == {f"{name}_queries" for name in queries}


def test_most_judges_decide_and_disputed_or_impossible_pairs_are_left_out() -> None:
    lines = [(0, 1, 0, 1), (0, 1, 1, 1), (0, 1, 2, 0), (0, 2, 0, 1), (0, 2, 1, 0), (3, 3, 0, 1)]
    lines += [(4, 5, 0, 1), (2, 0, 3, 0), (1, 3, 0, 1), (1, 3, 1, 0)]
    query, neighbor, judge, good = np.array(lines).T
    groups = np.array([0, 1, 2, 3, 4, 4])
    verdicts = Verdicts(query, neighbor, judge, good.astype(bool))
    pairs, counts = consensus(possible_verdicts(verdicts, groups))
    assert [pairs.query.tolist(), pairs.neighbor.tolist()] == [[0, 2], [1, 0]]
    assert pairs.is_good.tolist() == [True, False]
    assert counts == {
        "judged/pairs": 2,
        "judged/queries": 2,
        "judged/disputed": 2,
        "judged/judges": 4,
    }


def test_without_a_pair_there_is_no_metric() -> None:
    none = Pairs(*np.zeros((2, 0), dtype=int), np.zeros(0, dtype=bool))
    key, lists = np.zeros(0, dtype=np.float32), RankedLists(LISTS.index, LISTS.score)
    assert list_metrics(none, key, lists, ALONE) == ({}, {})
    assert ranking_metrics(none, key, N) == ({}, {})


def test_alpha_is_that_of_krippendorffs_examples() -> None:
    first, second = "0100000010", "1110010000"
    codes = np.array([list(first), list(second)]) == "1"  # two observers, ten units
    judge, unit = np.nonzero(np.ones(codes.shape))
    verdicts = Verdicts(unit, unit + 100, judge, codes[judge, unit])
    found = judge_agreement(verdicts)
    assert found["judged/judge_alpha"] == pytest.approx(0.095, abs=5e-4)  # 2011, section B
    assert found["judged/judge_agreement"] == pytest.approx(0.6)


def test_alpha_of_several_judges_with_gaps_is_that_of_all_pairs_of_verdicts() -> None:
    draw = np.random.default_rng(3)
    table = draw.random((4, 50)) < 0.4
    table |= draw.random(50) < 0.3
    judge, unit = np.nonzero(draw.random(table.shape) < 0.6)
    verdicts = Verdicts(unit, unit + 100, judge, table[judge, unit])
    units = [verdicts.is_good[unit == at] for at in range(50)]
    units = [values for values in units if len(values) > 1]
    pooled = np.concatenate(units)

    def disagreement(values: np.ndarray) -> float:
        return (values[:, None] != values[None]).sum() / (len(values) - 1)

    observed = sum(map(disagreement, units)) / len(pooled)
    alpha = 1 - observed / (disagreement(pooled) / len(pooled))
    found = judge_agreement(verdicts)
    assert found["judged/judge_alpha"] == pytest.approx(alpha)
    assert found["judged/judge_agreement"] == pytest.approx(1 - observed)


def test_judges_agree_on_nothing_without_two_and_by_no_chance_if_all_say_the_same() -> None:
    one = Verdicts(*np.array([[0, 1], [2, 3], [0, 1]]), np.array([True, False]))
    assert judge_agreement(one) == {}
    same = Verdicts(np.zeros(2, int), np.ones(2, int), np.arange(2), np.ones(2, dtype=bool))
    assert judge_agreement(same)["judged/judge_agreement"] == 1
    assert np.isnan(judge_agreement(same)["judged/judge_alpha"])
