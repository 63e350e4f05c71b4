"""Single rows have the bits that they have among all, whichever are computed beside them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src.similarity import stored_rows
from src.similarity.parallel import thread_count
from src.similarity.postprocess import fit_center, fit_whiten
from src.similarity.stored_rows import StoredRows

ROWS = np.random.default_rng(2).random((700, 300), dtype="f4") ** 4
ROWS[[3, 259, 690]] = 0
FITS = {"center": fit_center, "whiten": fit_whiten, "few axes": lambda x: fit_whiten(x, dim=5)}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize("threads", [1, 2])
def test_rows_have_the_bits_that_they_have_among_all(fit, threads):
    with thread_count(threads):
        fitted = fit(torch.from_numpy(ROWS))
        stored, whole = StoredRows(ROWS, fitted), fitted(torch.from_numpy(ROWS))
        assert torch.equal(stored.all_compared(), whole)
        draw = np.random.default_rng(1)
        some = [[5], [3, 259, 515], [690, 0, 690, 256, 512, 255, 511, 699, 5, 5]]
        for numbers in [*some, *(draw.integers(700, size=size) for size in (9, 60, 1500))]:
            chosen = np.asarray(numbers)
            assert torch.equal(stored.compared(chosen), whole[torch.from_numpy(chosen)])


@pytest.mark.parametrize("n", [1, 256, 257, 300, 512])
def test_any_number_of_rows_may_end_the_last_chunk(n):
    rows = ROWS[:n]
    fitted = fit_whiten(torch.from_numpy(ROWS))
    whole = fitted(torch.from_numpy(rows))
    numbers = np.array([n - 1, 0, n // 2, n - 1])
    assert torch.equal(StoredRows(rows, fitted).compared(numbers), whole[numbers])


@given(st.lists(st.integers(0, 699), max_size=60))
def test_each_row_has_its_own_place_in_one_chunk(numbers):
    chosen = np.array(numbers, dtype=np.int64)
    found = list(stored_rows._chunks(chosen, 700))
    assert sorted(i for _, which in found for i in which.tolist()) == list(range(len(numbers)))
    for size, which in found:
        places = chosen[which] % 256
        assert len(set(places)) == len(places) > 0
        assert (size == 188) == (chosen[which] >= 512).all() == (chosen[which] >= 512).any()
