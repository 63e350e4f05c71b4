"""The metrics of labels against ir-measures, which computes them with NIST's trec_eval."""

from collections import defaultdict

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, P, R, Rprec, Success
from numpy.typing import NDArray
from sklearn.metrics.pairwise import cosine_similarity

from src.evaluation.all_pairs import Task, all_pairs
from src.evaluation.ranked_lists import RankedLists
from src.evaluation.relevance import Relevance
from src.evaluation.retrieval import retrieval
from src.similarity import top_k

N = 120
NAMES = {
    "precision_at_1": P @ 1,
    "precision_at_5": P @ 5,
    "precision_at_10": P @ 10,
    "recall_at_10": R @ 10,
    "hit_at_10": Success @ 10,
    "map_at_10": AP @ 10,
    "map": AP,
    "r_precision": Rprec,
}


def judged(
    features: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> dict[str, dict[int, float]]:
    """Return ir-measures' value of each metric for each query, -1 standing for no label."""
    cosines = cosine_similarity(features.astype(np.float64))
    candidates = [np.flatnonzero(groups != groups[i]) for i in range(N)]
    queries = [i for i in range(N) if labels[i] >= 0 and (labels[candidates[i]] == labels[i]).any()]
    relevant = [
        ir_measures.Qrel(str(i), str(j), int(labels[j] == labels[i]))
        for i in queries
        for j in candidates[i]
    ]
    run = [
        ir_measures.ScoredDoc(str(i), str(j), float(cosines[i, j]))
        for i in queries
        for j in candidates[i]
    ]
    values: dict[str, dict[int, float]] = defaultdict(dict)
    name_of = {str(measure): name for name, measure in NAMES.items()}
    for metric in ir_measures.iter_calc(list(NAMES.values()), relevant, run):
        values[name_of[str(metric.measure)]][int(metric.query_id)] = metric.value
    # trec_eval divides the first ten's precisions by R, which ten places may not hold
    for i in queries:
        r = int((labels[candidates[i]] == labels[i]).sum())
        values["map_at_10"][i] *= r / min(10, r)
    return values


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("classes", [3, 12, 60])
def test_each_query_has_the_value_of_trec_eval(classes: int, grouped: bool) -> None:
    draw = np.random.default_rng(classes)
    features = draw.standard_normal((N, 8)).astype(np.float32)
    labels = draw.integers(-1, classes, N)
    groups = draw.integers(N // 3, size=N) if grouped else np.arange(N)
    relevance = Relevance(labels, [groups])
    lists = RankedLists(top_k(features, 100, groups=groups).index)
    found = {}
    for _, queries in (
        retrieval("x", relevance, lists),
        all_pairs(features, [Task("x", relevance)]),
    ):
        found |= queries
    for name, values in judged(features, labels, groups).items():
        expected = np.full(N, np.nan)
        expected[list(values)] = list(values.values())
        np.testing.assert_allclose(found[f"x/{name}"], expected, atol=1e-9)
