"""Collections drawn at random grow, shrink and change, and are searched as fresh ones are."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.similarity import growth, merging
from src.similarity import kept_search as keeping
from src.similarity import search as searching
from tests.support.brute_force import assert_same, brute_force
from tests.support.grown_lists import Compared, keep

# The squares and sums of these numbers are exact, so the brute force has no rounding of its own.
few_values = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 1.0, 3.0])


@st.composite
def grown(draw: Callable[..., Any]) -> dict[str, Any]:
    """Draw a collection, a later state of it in any order, groups of both, and settings."""
    row = st.tuples(*[few_values] * draw(st.integers(1, 3)))
    content = draw(st.lists(row, min_size=4, max_size=10))
    some = st.lists(st.sampled_from(content), min_size=4, max_size=24)
    old = draw(some)
    kept = [each for each in old if draw(st.integers(0, 9)) > draw(st.sampled_from([-1, 0, 4]))]
    new = kept + draw(some)[: draw(st.integers(0, 8))]
    if draw(st.booleans()):
        new = draw(st.permutations(new))
    if len(new) < 4:
        new = new + content[:4]
    number = {each: i % draw(st.integers(2, 12)) for i, each in enumerate(content)}
    groups = [[number[each] for each in rows] for rows in (old, new)]
    if draw(st.booleans()) or min(len(set(each)) for each in groups) < 2:
        groups = [list(range(len(rows))) for rows in (old, new)]
    return {
        "rows": [np.array(rows, dtype="f4") for rows in (old, new)],
        "groups": [np.array(each) for each in groups],
        "margin": draw(st.integers(0, 3)),
        "spare": draw(st.integers(0, 3)),
        "precision": draw(st.sampled_from(["float32", "tf32", "float16"])),
        "block_size": draw(st.integers(1, 13)),
        "k": draw(st.integers(1, 23)),
    }


def possible(groups: np.ndarray) -> int:
    return len(groups) - int(np.unique(groups, return_counts=True)[1].max())


ANY = given(case=grown())


@ANY
def test_grown_lists_equal_those_of_a_fresh_search(tmp_path_factory, case):
    folder, k = tmp_path_factory.mktemp("lists"), min(case["k"], *map(possible, case["groups"]))
    how = {name: case[name] for name in ("precision", "block_size")}
    with (
        mock.patch.object(searching, "MARGIN", case["margin"]),
        mock.patch.object(keeping, "SPARE", case["spare"]),
        mock.patch.object(growth, "MAX_SHARE", 1.0),
    ):
        (old, new), (before, after) = case["rows"], case["groups"]
        assert_same(keep(folder / "earlier", old, k, before, **how), brute_force(old, k, before))
        shared = len({*map(tuple, old.tolist())} & {*map(tuple, new.tolist())})
        with Compared() as compared:
            found = keep(folder, new, k, after, **how)
        assert_same(found, brute_force(new, k, after))
        assert shared == 0 or None not in compared.growths
        with Compared() as compared:
            assert_same(keep(folder, new, k, after), found)
        assert not compared.pairs


test_grown_lists_equal_those_of_a_fresh_search_thoroughly = pytest.mark.slow(
    settings(max_examples=1000)(
        ANY(test_grown_lists_equal_those_of_a_fresh_search.hypothesis.inner_test)
    )
)


@given(st.integers(0, 2**31), st.integers(1, 25))
def test_sorting_by_bits_is_sorting_by_score_then_row(seed, width):
    draw = np.random.default_rng(seed)
    index = np.stack([draw.permutation(300)[:20] for _ in range(4)])
    score = draw.choice([-1 / 3, -0.0, 0.0, 1e-30, -1e-30, 2 / 3, 1], (4, 20)).astype("f4")
    index[0, 5], score[0, 5] = -1, -np.inf
    found, ranked = merging._best(torch.from_numpy(index), torch.from_numpy(score), width)
    order = np.lexsort([index, -score])[:, :width]
    np.testing.assert_array_equal(found, np.take_along_axis(index, order, 1))
    np.testing.assert_array_equal(ranked, np.take_along_axis(score, order, 1))
