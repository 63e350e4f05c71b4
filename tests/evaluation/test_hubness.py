import numpy as np
import pytest
from scipy.stats import skew

from src.evaluation.hubness import k_occurrence, near_duplicates, neighborhood_metrics
from src.similarity import Neighbors, top_k

INDEX = top_k(np.random.default_rng(0).random((80, 6), dtype="f4"), 4).index


def test_k_occurrence_counts_the_lists_that_an_image_is_in():
    expected = [sum(row in near for near in INDEX) for row in range(80)]
    np.testing.assert_array_equal(k_occurrence(INDEX), expected)


def test_neighborhood_metrics_equal_plain_counting():
    counts = k_occurrence(INDEX)
    mutual = [row in INDEX[other] for row in range(80) for other in INDEX[row]]
    assert neighborhood_metrics(INDEX) == pytest.approx(
        {
            "hubness": skew(counts),
            "orphans": np.mean(counts == 0),
            "reciprocity": np.mean(mutual),
        }
    )


def test_neighborhood_metrics_of_a_star_and_of_a_ring():
    star = np.array([[1], [0], [0], [0]], dtype=np.int32)
    assert (
        neighborhood_metrics(star)["orphans"] == 1 / 2
        and neighborhood_metrics(star)["reciprocity"] == 2 / 4
    )
    ring = np.array([[1], [2], [3], [0]], dtype=np.int32)
    assert (
        np.isnan(neighborhood_metrics(ring)["hubness"])
        and neighborhood_metrics(ring)["reciprocity"] == 0
    )


def test_near_duplicates_are_listed_once_and_best_first():
    index = np.array([[1, 2], [0, 2], [0, 1]], dtype=np.int32)
    score = np.array([[0.99, 0.5], [0.99, 0.97], [0.5, 0.97]], dtype="f4")
    pairs, scores = near_duplicates(Neighbors(index, score, 0), 0.9)
    np.testing.assert_array_equal(pairs, [[0, 1], [1, 2]])
    np.testing.assert_array_equal(scores, score[[0, 1], [0, 1]])
    pairs, scores = near_duplicates(Neighbors(index, score, 0), 1)
    assert pairs.shape == (0, 2) and scores.shape == (0,)
