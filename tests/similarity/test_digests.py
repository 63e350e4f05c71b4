"""Rows of an earlier collection are found by their content."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src.similarity.digests import NEW, earlier_rows, row_digests


def digests(values: list[int]) -> np.ndarray:
    """Return the digests of rows of one number each."""
    return row_digests(torch.tensor(values, dtype=torch.float32).reshape(len(values), 1))


few = st.lists(st.integers(0, 4), min_size=1, max_size=12)


@given(few, few)
def test_each_row_is_the_next_earlier_one_of_its_content(values, earlier):
    remaining = list(enumerate(earlier))
    expected = []
    for value in values:  # one after the other, each takes the first that is left
        place = next((i for i, (_, other) in enumerate(remaining) if other == value), None)
        expected.append(NEW if place is None else remaining.pop(place)[0])
    assert earlier_rows(digests(values), digests(earlier)).tolist() == expected


@pytest.mark.parametrize("n", [3, 5000])
def test_a_digest_is_that_of_the_bits_whatever_rows_surround_it(n):
    rows = torch.rand(n, 7, generator=torch.Generator().manual_seed(0))
    whole = row_digests(rows)
    assert len(np.unique(whole, axis=0)) == n
    np.testing.assert_array_equal(whole[1:2], row_digests(rows[1:2]))
    np.testing.assert_array_equal(whole, row_digests(rows.T.contiguous().T))  # in columns


def test_rows_of_another_type_width_or_sign_of_zero_are_others():
    one = torch.zeros(1, 4)
    others = [one.double(), one.half(), torch.zeros(1, 2), torch.zeros(1, 8).half(), -one]
    found = np.concatenate([row_digests(rows) for rows in (one, *others)])
    assert len(np.unique(found, axis=0)) == 6
