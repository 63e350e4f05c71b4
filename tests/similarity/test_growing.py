"""A search that goes on from the lists of an earlier collection finds what a fresh one does."""

import numpy as np
import pytest

from src.similarity import NeighborSearch, SearchOptions, growth
from src.similarity import kept_search as keeping
from src.similarity import search as searching
from tests.support.brute_force import BASE, FEATURES, assert_same, brute_force
from tests.support.grown_lists import IS_NEW, NEW, ROWS, WIDTH, Compared, K, N, keep


@pytest.mark.parametrize("block_size", [7, 64, None])
def test_only_new_images_are_compared_with_all(folder, block_size, caplog):
    caplog.set_level("INFO")
    with Compared() as compared:
        found = keep(folder, ROWS, K, block_size=block_size)
    assert_same(found, brute_force(ROWS, K))
    blocks = [min(block_size or NEW, NEW - at) for at in range(0, NEW, block_size or NEW)]
    twice = sum(a * b for i, a in enumerate(blocks) for b in blocks[:i])  # of the new ones
    assert compared.pairs == NEW * N - twice
    assert f"380 of 400 images are those of {folder}/earlier; comparing 20 new ones" in caplog.text


def test_few_pairs_are_scored_again(folder, monkeypatch):
    pairs: list[int] = []
    scores = searching.Scorer.scores
    monkeypatch.setattr(
        searching.Scorer,
        "scores",
        lambda self, queries, candidates: (
            pairs.append(candidates.numel()) or scores(self, queries, candidates)
        ),
    )
    keep(folder, ROWS, K)
    grown_pairs = sum(pairs)
    pairs.clear()
    keep(folder / "fresh", ROWS, K)
    assert grown_pairs < sum(pairs) / 5


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("how", [{"precision": "float16"}, {"block_size": 7}], ids=str)
def test_features_that_are_hard_to_compare_grow_too(kind, how, tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "MAX_SHARE", 1.0)
    rows = FEATURES[kind]
    part = np.arange(len(rows)) % 5 != 2
    k = min(3, int(part.sum()) - 1)
    if k:
        keep(tmp_path / "earlier", rows[part], k)
    else:  # of two rows, one has no neighbors
        k = 1
    assert_same(keep(tmp_path, rows, k, **how), brute_force(rows, k))


def test_rows_streamed_to_the_device_grow_too(folder, monkeypatch):
    monkeypatch.setattr("src.similarity.centering.fits_on_device", lambda *_: False)
    assert_same(keep(folder, ROWS, K, block_size=7), brute_force(ROWS, K))


def test_removed_images_cost_nothing_while_lists_have_spare_entries(folder):
    gone = np.isin(np.arange(N), [3, 77, 200, 201])
    left = ROWS[~IS_NEW & ~gone]
    with Compared() as compared:
        found = keep(folder, left, K)
    assert compared.pairs == 0
    assert_same(found, brute_force(left, K))


def test_lists_that_lost_too_many_are_searched_again(folder, caplog, monkeypatch):
    caplog.set_level("INFO")
    rows = ROWS[~IS_NEW]
    crowd = brute_force(rows, K + keeping.SPARE).index[0]  # all that the list of row 0 has
    left = np.delete(rows, crowd[: keeping.SPARE + 1], axis=0)
    with Compared() as compared:
        found = keep(folder, left, K)
    assert_same(found, brute_force(left, K))
    again = compared.growths[0].parts.searched
    assert again >= 1
    assert compared.pairs == again * len(left)
    assert f"comparing 0 new ones and {again} others again with all" in caplog.text


def test_replaced_images_are_new_ones(folder):
    rows = ROWS[~IS_NEW].copy()
    rows[[5, 100]] = ROWS[IS_NEW][:2]
    with Compared() as compared:
        found = keep(folder, rows, K)
    assert compared.growths[0].parts == (2, 2)
    assert_same(found, brute_force(rows, K))


def test_images_in_another_order_keep_their_lists(folder):
    rows = ROWS[~IS_NEW][np.random.default_rng(3).permutation(N - NEW)]
    with Compared() as compared:
        found = keep(folder, rows, K)
    assert compared.pairs == 0
    assert_same(found, brute_force(rows, K))


# The row just after those in most lists, and the last one, which is in none
@pytest.mark.parametrize("outside", [3, 29])
def test_a_tie_beyond_the_end_of_a_list_may_come_first_in_another_order(
    outside, tmp_path, monkeypatch
):
    monkeypatch.setattr(keeping, "SPARE", 0)
    rows = np.outer(2.0 ** np.arange(30), [3.0, 4.0]).astype("f4")  # all scores are 1
    keep(tmp_path / "earlier", rows, 3)
    moved = np.concatenate([rows[outside : outside + 1], np.delete(rows, outside, axis=0)])
    found = keep(tmp_path, moved, 3)
    assert_same(found, brute_force(moved, 3))
    assert (found.index[1:, 0] == 0).all()


# The bound of rows that are alike is far below a step of float32, so scores may be equal to it
@pytest.mark.parametrize("rows", [ROWS[:60], 1 + ROWS[:60] / 1000], ids=["any", "alike"])
def test_more_new_ties_than_candidates_are_in_order(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "SPARE", 0)
    monkeypatch.setattr(searching, "MARGIN", 0)
    copies = np.repeat(rows[:1], 20, axis=0) * np.float32(0.5)  # as near to each row as the first
    more = np.concatenate([copies, rows])
    keep(tmp_path / "earlier", rows, 2)
    with Compared() as compared:
        found = keep(tmp_path, more, 2, block_size=3)
    assert compared.growths[0].parts == (20, 20)
    assert_same(found, brute_force(more, 2))


@pytest.mark.parametrize("joined", [True, False])
def test_rows_whose_group_has_other_members_are_searched_again(joined, tmp_path):
    rows, before, after = ROWS.copy(), np.arange(N), np.arange(N)
    rows[12] = 2 * rows[10]  # each the nearest of the other
    # two images become views of one object, or cease to be; and two others
    (after if joined else before)[[11, 13]] = 10, 12
    keep(tmp_path / "earlier", rows, K, before)
    with Compared() as compared:
        found = keep(tmp_path, rows, K, after, block_size=2)
    assert compared.growths[0].parts == (0, 4)
    assert_same(found, brute_force(rows, K, after))


def test_other_numbers_of_the_same_groups_change_nothing(tmp_path):
    keep(tmp_path / "earlier", ROWS, K, np.arange(N) // 2)
    with Compared() as compared:
        found = keep(tmp_path, ROWS, K, np.arange(N)[::-1] // 2)
    assert compared.pairs == 0
    assert_same(found, brute_force(ROWS, K, np.arange(N) // 2))


def test_a_second_growth_goes_on_from_the_first(folder):
    keep(folder, ROWS, K)
    more = np.concatenate([np.random.default_rng(5).random((9, WIDTH), dtype="f4"), ROWS[7:]])
    with Compared() as compared:
        found = NeighborSearch(
            more, None, SearchOptions(lists=folder / "more", earlier=(folder / "earlier", folder))
        ).nearest(K)
    assert compared.growths[0].parts == (9, 9)
    assert_same(found, brute_force(more, K))


def test_rows_that_the_earlier_search_could_not_prove_still_count(tmp_path):
    rows = 1 + BASE / 1000
    before = keep(tmp_path / "earlier", rows[1:], K).fallback_share * (len(rows) - 1)
    assert 0 < before < len(rows) / 2
    assert keep(tmp_path, rows, K).fallback_share * len(rows) >= before


def test_where_most_is_new_all_pairs_are_compared(folder, caplog):
    caplog.set_level("INFO")
    many = np.concatenate([ROWS, np.random.default_rng(6).random((200, WIDTH), dtype="f4")])
    with Compared() as compared:
        found = keep(folder, many, K)
    assert compared.growths == [None]
    assert_same(found, brute_force(many, K))
    assert (
        "comparing all, since that takes less than comparing 220 new images of 600" in caplog.text
    )


def test_lists_of_more_neighbors_serve_fewer_and_not_the_other_way_round(tmp_path):
    keep(tmp_path, ROWS, 50)
    with Compared() as compared:
        assert_same(keep(tmp_path, ROWS, K), brute_force(ROWS, K))
    assert compared.growths == []
    with Compared() as compared:
        assert_same(keep(tmp_path, ROWS, 80), brute_force(ROWS, 80))
    assert compared.growths == [None]
    assert len(list(tmp_path.glob("*.npz"))) == 1


def test_a_penalty_has_its_own_order(folder):
    penalty = np.random.default_rng(8).random(N)
    options = SearchOptions(lists=folder, earlier=(folder / "earlier",))
    found = NeighborSearch(ROWS, None, options).nearest(K, penalty)
    assert_same(found, brute_force(ROWS, K, penalty=penalty))
    assert not list(folder.glob("*.npz"))


def test_a_due_matrix_is_written_though_the_neighbors_are_known(folder):
    for _ in range(2):
        found = keep(folder, ROWS, K, matrix=folder / "matrix.npy")
        assert_same(found, brute_force(ROWS, K))
    assert np.load(folder / "matrix.npy").shape == (N, N)
    with Compared() as compared:
        keep(folder, ROWS, K, matrix=folder / "matrix.npy")
    assert not compared.pairs


@pytest.mark.parametrize(
    "inexact_pass, is_right", [((0.1, 0.101), True), ((0.1, 0.0), False)], indirect=["inexact_pass"]
)
def test_a_wrong_product_needs_a_true_bound(inexact_pass, folder, is_right):
    found, expected = keep(folder, ROWS, K), brute_force(ROWS, K)
    assert np.array_equal(found.index, expected.index) == is_right
