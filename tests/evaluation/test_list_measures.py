"""Measures of short lists by hand; retrieval's tests hold them against loops and trec_eval."""

import numpy as np
import pytest

from src.evaluation.list_measures import groups_at, measure


def test_a_list_that_holds_fewer_candidates_than_ranks() -> None:
    allowed, right = np.zeros((2, 1, 11), dtype=bool)
    allowed[0, [0, 3, 5, 10]] = right[0, [3, 10]] = True
    groups = groups_at(np.arange(1, 11), allowed, right, None)
    found = measure(groups, candidates=np.array([4]), relevant=np.array([2]))
    assert {name: values.tolist() for name, values in found.items()} == {
        "precision_at_1": [0.0],
        "precision_at_5": [0.5],  # two of the four that there are
        "precision_at_10": [0.5],
        "recall_at_10": [1.0],
        "hit_at_10": [1.0],
        "map_at_10": [pytest.approx((1 / 2 + 2 / 4) / 2)],
    }
