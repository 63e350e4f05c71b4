"""Single rows have the bits that they have among all, whichever are computed beside them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src.similarity import stored_rows, top_k
from src.similarity.augment import augment
from src.similarity.numerics import exact_scores, row_norms
from src.similarity.parallel import thread_count
from src.similarity.postprocess import fit_center, fit_whiten
from src.similarity.stored_rows import Augmentation, AugmentedRows, StoredRows

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


ALL = {"none": lambda x: None} | FITS


@pytest.mark.parametrize("fit", ALL.values(), ids=ALL)
@pytest.mark.parametrize("is_augmented", [False, True], ids=["plain", "augmented"])
def test_no_score_is_further_from_its_key_than_the_error(fit, is_augmented):
    features = torch.from_numpy(ROWS)
    fitted = fit(features)
    compared = features if fitted is None else fitted(features)
    rows = StoredRows(ROWS, fitted)
    if is_augmented:
        found = top_k(compared, 7)
        compared, length = augment(compared, found.index, found.score)
        rows = AugmentedRows(rows, Augmentation(found.index, found.score, length.numpy()))
    queries, everything = compared[[3, 8, 333]], torch.arange(700)
    for query, (vector, products) in zip(queries, rows.products(queries), strict=True):
        both = torch.cat([query[None], compared])
        score = exact_scores(both, row_norms(both), torch.tensor([0]), everything[None] + 1)[0]
        for by, most in ((products, 2e-3), (None, 2e-6)):
            key, error = rows.keys(everything, vector, by)
            assert ((key - score).abs() <= error).all()
            assert error.max() < most
            part_key, part_error = rows.keys(torch.tensor([9, 3, 690]), vector, by)
            torch.testing.assert_close(part_key, key[[9, 3, 690]], rtol=0, atol=1e-12)
            torch.testing.assert_close(part_error, error[[9, 3, 690]], rtol=1e-9, atol=0)


def test_rows_of_zeros_have_no_error():
    rows = StoredRows(ROWS, fit_whiten(torch.from_numpy(ROWS)))
    ((vector, products),) = rows.products(torch.ones(1, rows.postprocess.axes.shape[1]))
    key, error = rows.keys(torch.tensor([3, 259, 690, 4]), vector, products)
    assert key[:3].tolist() == error[:3].tolist() == [0, 0, 0]
    assert key[3] != 0 < error[3]


def test_the_rounding_of_a_score_is_in_the_error_of_its_exact_key():
    stored = StoredRows(ROWS, None)
    found = top_k(ROWS, 3)
    augmented, length = augment(torch.from_numpy(ROWS), found.index, found.score)
    lists = Augmentation(found.index, found.score, length.numpy())
    once = 3 * 2.0**-24  # two rows and a score that become float32
    for rows, compared, least in (
        (stored, torch.from_numpy(ROWS), once),
        (AugmentedRows(stored, lists), augmented, 2 * once),  # the rows that are added, and sums
    ):
        ((vector, _),) = rows.products(compared[[8]])
        _, error = rows.keys(torch.arange(700), vector, None)
        zero = compared.norm(dim=1) == 0
        assert (error[~zero] >= least).all() and not error[zero].any()


def test_rows_too_long_for_float32_are_scored_exactly():
    rows = np.float32([[1.0, 2.0], [2.0**121, 0.0], [2.0**119, 0.0]])
    ((vector, products),) = StoredRows(rows, None).products(torch.tensor([[1.0, 0.0]]))
    assert products.isfinite().all()
    key, error = StoredRows(rows, None).keys(torch.arange(3), vector, products)
    assert key[1] == 0 and error[1] == 2  # nothing is known of it
    assert key[2] == pytest.approx(1) and error[2] < 1e-5
