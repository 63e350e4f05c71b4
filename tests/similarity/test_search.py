import contextlib
import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics.pairwise import cosine_similarity

from src.errors import UserError
from src.similarity import Neighbors, candidates, checkpoint, plan, search, top_k, write_matrix
from src.similarity.centering import Centered, center
from src.similarity.matrix import Matrix
from src.similarity.numerics import exact_scores, row_norms
from tests.support.brute_force import BASE, FEATURES, WIDE, assert_same, brute_force, nearest

kinds = pytest.mark.parametrize("kind", FEATURES)


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def warn_always() -> Iterator[None]:
    """PyTorch says most of its warnings only once; here each time, so that each is an error."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@kinds
@pytest.mark.parametrize("k", [1, 5, 10_000])
def test_neighbors_equal_brute_force(kind, k):
    k = min(k, len(FEATURES[kind]) - 1)
    assert_same(top_k(FEATURES[kind], k), brute_force(FEATURES[kind], k))


@kinds
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("block_size, write", [(1, False), (7, True), (40, False), (64, True)])
def test_no_setting_changes_a_bit(kind, block_size, write, tmp_path):
    k, path = min(4, len(FEATURES[kind]) - 1), tmp_path / "matrix.npy" if write else None
    found = nearest(FEATURES[kind], k, block_size=block_size, matrix=path)
    assert_same(found, brute_force(FEATURES[kind], k))


@kinds
@pytest.mark.parametrize("margin", [0, 1, 1000])
def test_margin_changes_no_bit(kind, margin, monkeypatch):
    monkeypatch.setattr(search, "MARGIN", margin)
    k = min(4, len(FEATURES[kind]) - 1)
    assert_same(top_k(FEATURES[kind], k, block_size=9), brute_force(FEATURES[kind], k))


def test_neighbors_of_many_rows_in_clusters():
    draw = np.random.default_rng(0)
    centers = draw.random((20, 64))
    rows = (centers[draw.integers(20, size=700)] + 0.01 * draw.random((700, 64))).astype("f4")
    assert_same(top_k(rows, 10, block_size=256), brute_force(rows, 10))


@kinds
@pytest.mark.parametrize(("run", "margin"), [(1, 2), (2, 0), (4, 1), (8, 0)])
def test_looking_at_the_largest_of_each_run_first_changes_no_bit(kind, run, margin, monkeypatch):
    monkeypatch.setattr(candidates, "RUN_LENGTH", run)
    monkeypatch.setattr(search, "MARGIN", margin)
    k = min(2, len(FEATURES[kind]) - 1)
    assert_same(top_k(FEATURES[kind], k, block_size=16), brute_force(FEATURES[kind], k))


@pytest.mark.parametrize("block_size", [1024, 2048])
@pytest.mark.parametrize("order", ["random", "rising", "clusters", "duplicates"])
def test_neighbors_by_large_tiles(order, block_size):
    draw = np.random.default_rng(0)
    rows = draw.random((2304, 12)) ** 3
    if order == "rising":  # every tile is better than those before it
        rows = np.linspace(1, 0, 2304)[:, None] * rows + 1
    if order == "clusters":
        rows = rows[np.sort(draw.integers(30, size=2304))] + 0.01 * rows
    if order == "duplicates":
        rows = rows[draw.integers(100, size=2304)]
    rows = rows.astype("f4")
    assert_same(top_k(rows, 10, block_size=block_size), brute_force(rows, 10))


# The squares and sums of these numbers are exact, so the brute force has no rounding of its own.
few_values = st.sampled_from([-2, -1, -0.5, 0, 0, 0.5, 1, 1, 3])


ANY = given(
    st.data(),
    st.integers(2, 12),
    st.integers(1, 4),
    st.integers(1, 13),
    st.integers(0, 3),
    st.sampled_from(["float32", "tf32", "float16"]),
)


@ANY
def test_ties_and_zeros(data, n, width, block_size, margin, precision):
    features = data.draw(arrays(np.float32, (n, width), elements=few_values))
    groups = data.draw(arrays(np.int64, n, elements=st.integers(0, 2)).filter(np.ptp))
    k = data.draw(st.integers(1, n - np.bincount(groups).max()))
    with mock.patch.object(search, "MARGIN", margin):
        how = {"block_size": block_size, "precision": precision}
        assert_same(nearest(features, k, **how), brute_force(features, k))
        found = nearest(features, k, groups=groups, **how)
    assert_same(found, brute_force(features, k, groups))


test_ties_and_zeros_thoroughly = pytest.mark.slow(
    settings(max_examples=300)(ANY(test_ties_and_zeros.hypothesis.inner_test))
)


@kinds
@pytest.mark.parametrize("block_size", [7, None])
def test_rows_of_a_group_are_no_neighbors(kind, block_size):
    n = len(FEATURES[kind])
    groups, k = np.arange(n) // 3 if n > 3 else np.arange(n), min(n - 3, 4) if n > 3 else 1
    found = top_k(FEATURES[kind], k, block_size=block_size, groups=groups)
    assert (groups[found.index] != groups[:, None]).all()
    assert_same(found, brute_force(FEATURES[kind], k, groups))


def test_a_group_may_leave_just_k():
    groups = [0] * 30 + [1] * 10
    assert_same(top_k(BASE, 10, groups=groups), brute_force(BASE, 10, groups))


@pytest.mark.parametrize("kind", ["equal rows", "only zeros", "too alike for float32"])
def test_rows_that_the_fast_pass_leaves_open_are_right_all_the_same(kind, monkeypatch):
    monkeypatch.setattr(search, "MARGIN", 2)
    found = top_k(FEATURES[kind], 3)
    assert found.fallback_share > 0.5
    assert_same(found, brute_force(FEATURES[kind], 3))


@pytest.mark.parametrize("kind, k", [("positive", 10), ("normal", 10), ("only zeros", 39)])
def test_rows_that_the_fast_pass_proves(kind, k):
    assert top_k(FEATURES[kind], k).fallback_share == 0


@pytest.fixture(scope="module")
def on_edge() -> torch.Tensor:
    """Rows whose score with row 0 is where float32 rounds to another: the last bit decides."""
    start, step = torch.tensor(np.random.default_rng(0).random((2, 40, 300)))
    step[0] = 0
    low, high = torch.zeros(2, 40, 1, dtype=torch.float64)
    high += 1

    def scores(rows: torch.Tensor) -> torch.Tensor:
        return exact_scores(rows, row_norms(rows), torch.tensor([0]), torch.arange(40)[None]).T

    first = scores(start)
    for _ in range(60):
        middle = (low + high) / 2
        same = scores(start + middle * step) == first
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    return start + low * step


@pytest.mark.usefixtures("threads")
def test_a_score_has_the_same_bits_alone_and_among_others(on_edge):
    norms, query, others = row_norms(on_edge), torch.tensor([0]), torch.arange(1, 40)[:, None]
    together = exact_scores(on_edge, norms, query, others.T)[0]
    alone = [exact_scores(on_edge, norms, query, other[None])[0, 0] for other in others]
    assert torch.equal(together, torch.stack(alone))
    assert torch.equal(together, exact_scores(on_edge, norms, others[:, 0], 0 * others)[:, 0])


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("block_size, margin", [(1, 16), (7, 0), (23, 1), (40, 30)])
def test_no_setting_changes_a_bit_on_the_edge(block_size, margin, on_edge, monkeypatch):
    whole = top_k(on_edge, 39)
    monkeypatch.setattr(search, "MARGIN", margin)
    found = top_k(on_edge, 5, block_size=block_size)
    assert_same(found, Neighbors(whole.index[:, :5], whole.score[:, :5], 0))


@pytest.mark.usefixtures("medium_precision")
def test_every_product_is_of_full_precision(monkeypatch):
    tile, seen = Centered.tile, []
    monkeypatch.setattr(search, "MARGIN", 2)
    monkeypatch.setattr(
        Centered, "tile", lambda *a: seen.append(torch.get_float32_matmul_precision()) or tile(*a)
    )
    assert top_k(FEATURES["only zeros"], 3).fallback_share == 1
    assert seen == ["highest", "highest"]  # the sweep, and the search again


Pass = namedtuple("Pass", "off bound")  # a fast pass off by this much, with a bound that says this


@pytest.fixture
def sloppy(request, monkeypatch) -> None:
    """A fast pass whose products are off by up to so much, and whose bound says so, or does not."""
    tile, (off, bound) = Centered.tile, request.param

    def wrong(self: Centered, *where: slice | torch.Tensor) -> torch.Tensor:
        right = tile(self, *where)
        return right + off * torch.sin(1e4 * right)

    def claimed(rows: torch.Tensor, *how: object) -> Centered:
        centered = center(rows, *how)
        return replace(centered, bound=centered.bound + bound)

    monkeypatch.setattr(Centered, "tile", wrong)
    monkeypatch.setattr(search, "center", claimed)
    monkeypatch.setattr(search, "MARGIN", 1)


@pytest.mark.parametrize("sloppy", [Pass(0.01, 0.0101), Pass(0.1, 0.101)], indirect=True)
def test_a_sloppy_pass_with_an_honest_bound_does_no_harm(sloppy):
    found = top_k(BASE, 5)
    assert found.fallback_share > 0
    assert_same(found, brute_force(BASE, 5))


@pytest.mark.parametrize("sloppy", [Pass(0.01, 0), Pass(0.1, 0.001)], indirect=True)
def test_a_sloppy_pass_with_too_small_a_bound_goes_wrong(sloppy):
    assert (top_k(BASE, 5).index != brute_force(BASE, 5).index).any()


@pytest.mark.parametrize("convert", [np.float64, np.float16, torch.tensor, np.asfortranarray])
@pytest.mark.usefixtures("warn_always")
def test_any_floats_are_accepted(convert):
    assert_same(top_k(convert(BASE), 5), brute_force(convert(BASE), 5))


@pytest.mark.usefixtures("warn_always")
def test_views_and_gradients_are_accepted():
    assert_same(top_k(BASE[::-2, ::3], 5), brute_force(BASE[::-2, ::3], 5))
    assert_same(top_k(torch.tensor(BASE, requires_grad=True), 5), brute_force(BASE, 5))


@pytest.mark.usefixtures("warn_always")
def test_a_memory_map_is_accepted(tmp_path):
    np.save(tmp_path / "features.npy", BASE)
    features = np.load(tmp_path / "features.npy", mmap_mode="r")
    assert_same(top_k(features, 5), brute_force(BASE, 5))
    write_matrix(features, tmp_path / "matrix.npy")


@pytest.mark.usefixtures("warn_always")
def test_read_only_groups_are_accepted():
    groups = np.arange(40) // 2
    groups.flags.writeable = False
    assert_same(top_k(BASE, 5, groups=groups), brute_force(BASE, 5, groups))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e200])
@pytest.mark.parametrize("rank", [top_k, lambda features: write_matrix(features, Path("unused"))])
def test_rows_that_are_not_finite_are_refused(rank, number):
    features = BASE.astype(np.float64)
    features[7, 3] = features[9] = number
    with pytest.raises(ValueError, match="2 rows hold NaN or infinity, .* the first is row 7"):
        rank(features)


@pytest.mark.parametrize(
    "features", [BASE[0], BASE[None], BASE[:1], BASE[:, :0], BASE > 0, np.ones((4, 2), int)]
)
def test_other_shapes_and_types_are_refused(features):
    with pytest.raises(ValueError, match=r"must be \(n, d\) floats with at least 2 rows, got \("):
        top_k(features, 1)


@pytest.mark.parametrize("k", [-1, 0, 40])
def test_k_out_of_range_is_refused(k):
    with pytest.raises(ValueError, match=f"k must be between 1 and 39 for these 40 rows, got {k}"):
        top_k(BASE, k)


def test_k_too_large_for_the_groups_is_refused():
    with pytest.raises(ValueError, match="k must be between 1 and 10 for these 40 rows, got 11"):
        top_k(BASE, 11, groups=[0] * 30 + [1] * 10)


@pytest.mark.parametrize("groups", [np.arange(39), np.arange(41), np.ones((40, 1))])
def test_groups_of_another_length_are_refused(groups):
    with pytest.raises(ValueError, match=r"groups must be \(40,\), got \("):
        top_k(BASE, 1, groups=groups)


@pytest.mark.parametrize("block_size", [1, 5, 23, 100])
@pytest.mark.parametrize("dtype, off", [("float32", 2e-6), ("float16", 5e-4)])
@pytest.mark.parametrize("kind", ["positive", "normal", "opposite rows", "zero rows", "alike"])
def test_matrix_holds_the_cosines(kind, dtype, off, block_size, tmp_path):
    write_matrix(FEATURES[kind], tmp_path / "matrix.npy", dtype, block_size)
    matrix = np.load(tmp_path / "matrix.npy", mmap_mode="r")
    assert (matrix.shape, matrix.dtype) == ((40, 40), dtype)
    assert abs(matrix - cosine_similarity(FEATURES[kind].astype(np.float64))).max() < off


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("block_size", [1, 23, 40])
@pytest.mark.parametrize("kind", ["zero rows", "scaled copies", "normal"])
def test_matrix_is_symmetric_and_its_diagonal_one(kind, block_size, dtype, tmp_path):
    write_matrix(FEATURES[kind], tmp_path / "matrix.npy", dtype, block_size)
    matrix, zero = np.load(tmp_path / "matrix.npy"), ~FEATURES[kind].any(axis=1)
    assert matrix.tobytes() == matrix.T.tobytes()
    np.testing.assert_array_equal(matrix.diagonal(), ~zero)
    assert not matrix[zero].any()
    assert abs(matrix).max() <= 1


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_neighbors_and_matrix_of_one_pass(dtype, tmp_path):
    write_matrix(BASE, tmp_path / "alone.npy", dtype, block_size=23)
    nearest(BASE, 5, block_size=23, matrix=tmp_path / "with.npy", dtype=dtype)
    assert (tmp_path / "with.npy").read_bytes() == (tmp_path / "alone.npy").read_bytes()


def test_a_matrix_that_is_there_is_left_alone(tmp_path):
    write_matrix(BASE, tmp_path / "matrix.npy")
    np.save(tmp_path / "matrix.npy", np.full((40, 40), 7, "f4"))
    write_matrix(BASE, tmp_path / "matrix.npy", block_size=9)
    assert (np.load(tmp_path / "matrix.npy") == 7).all()


def test_a_matrix_of_other_features_is_refused(tmp_path):
    write_matrix(BASE, tmp_path / "matrix.npy")
    for work in (write_matrix, lambda rows, path: nearest(rows, 5, matrix=path)):
        with pytest.raises(UserError, match=r"is not of these features according to .*: delete it"):
            work(WIDE, tmp_path / "matrix.npy")
    (tmp_path / "matrix.json").unlink()
    with pytest.raises(UserError, match=r"matrix.npy is not of these features"):
        write_matrix(BASE, tmp_path / "matrix.npy")


def test_what_is_excluded_does_not_count_for_a_matrix(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        stop = mock.Mock(side_effect=KeyboardInterrupt)
        nearest(BASE, 4, matrix=tmp_path / "matrix.npy", block_size=7, watch=stop)
    groups = np.arange(40) // 2
    found = nearest(BASE, 4, matrix=tmp_path / "matrix.npy", block_size=9, groups=groups)
    assert_same(found, brute_force(BASE, 4, groups))
    assert '"block": 7' in (tmp_path / "matrix.json").read_text()


@pytest.mark.parametrize("kind", ["positive", "zero rows", "ties", "normal", "alike"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("k", [1, 4, 20])
def test_neighbors_from_a_finished_matrix(kind, dtype, k, tmp_path, monkeypatch):
    write_matrix(FEATURES[kind], tmp_path / "matrix.npy", dtype, block_size=23)
    before = (tmp_path / "matrix.npy").read_bytes()
    computed = mock.Mock(wraps=Centered.tile)
    monkeypatch.setattr(plan, "MIN_WIDTH_TO_READ", 0)
    with monkeypatch.context() as patch:
        patch.setattr(Centered, "tile", lambda *a: computed(*a))
        found = nearest(
            FEATURES[kind], k, block_size=7, matrix=tmp_path / "matrix.npy", dtype=dtype
        )
    assert_same(found, brute_force(FEATURES[kind], k))
    again = round(found.fallback_share * len(FEATURES[kind]))
    assert computed.call_count <= again  # only rows that the stored numbers leave open
    assert (tmp_path / "matrix.npy").read_bytes() == before


def test_few_numbers_are_multiplied_sooner_than_a_matrix_is_read(tmp_path, monkeypatch):
    write_matrix(BASE, tmp_path / "matrix.npy", block_size=23)
    write_matrix(WIDE, tmp_path / "wide.npy")
    read = mock.Mock(side_effect=AssertionError("the matrix was read"))
    monkeypatch.setattr(Matrix, "read", read)
    assert_same(nearest(BASE, 4, matrix=tmp_path / "matrix.npy"), brute_force(BASE, 4))
    with pytest.raises(AssertionError, match="was read"):
        nearest(WIDE, 4, matrix=tmp_path / "wide.npy")


def test_something_else_in_the_matrix_place_is_refused(tmp_path):
    (tmp_path / "matrix.npy").write_text("an earlier one")
    with pytest.raises(UserError, match=r"is not a \(40, 40\) matrix of float32: delete it"):
        write_matrix(BASE, tmp_path / "matrix.npy")
    np.save(tmp_path / "matrix.npy", np.ones((39, 39), "f4"))
    with pytest.raises(UserError, match="delete it"):
        write_matrix(BASE, tmp_path / "matrix.npy")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_matrix_goes_on_after_an_error(dtype, tmp_path, monkeypatch):
    write_matrix(BASE, tmp_path / "whole.npy", dtype, block_size=7)
    sync = mock.Mock(side_effect=chain([None] * 5, repeat(OSError("unplugged"))))
    with monkeypatch.context() as patch:
        patch.setattr("src.similarity.matrix.SYNC_SECONDS", -1)
        patch.setattr("os.fdatasync", sync)
        with pytest.raises(OSError, match="unplugged"):
            nearest(BASE, 5, block_size=7, matrix=tmp_path / "matrix.npy", dtype=dtype)
    assert not (tmp_path / "matrix.npy").exists()
    tile, computed = Centered.tile, []
    monkeypatch.setattr(Centered, "tile", lambda *a: computed.append(a) or tile(*a))
    found = nearest(BASE, 5, block_size=9, matrix=tmp_path / "matrix.npy", dtype=dtype)
    assert_same(found, brute_force(BASE, 5))
    assert 0 < len(computed) < 21  # of the 21 tiles of 7 rows
    assert (tmp_path / "matrix.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert not (tmp_path / "matrix.npy.part").exists()


def test_what_a_failed_sync_may_have_lost_is_computed_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("src.similarity.matrix.SYNC_SECONDS", -1)
        patch.setattr("os.fdatasync", mock.Mock(side_effect=[OSError("unplugged"), *[None] * 99]))
        with pytest.raises(OSError, match="unplugged"):
            write_matrix(BASE, tmp_path / "matrix.npy", block_size=7)
    assert not list((tmp_path / "matrix.npy.part").glob("done-*.txt"))


def test_a_deleted_part_of_a_matrix_is_written_anew(tmp_path, monkeypatch):
    write_matrix(BASE, tmp_path / "whole.npy", block_size=7)
    sync = mock.Mock(side_effect=chain([None] * 5, repeat(OSError("unplugged"))))
    with monkeypatch.context() as patch:
        patch.setattr("src.similarity.matrix.SYNC_SECONDS", -1)
        patch.setattr("os.fdatasync", sync)
        with pytest.raises(OSError, match="unplugged"):
            write_matrix(BASE, tmp_path / "matrix.npy", block_size=7)
    assert list((tmp_path / "matrix.npy.part").glob("done-*.txt"))
    (tmp_path / "matrix.npy.part" / "matrix.npy").unlink()
    write_matrix(BASE, tmp_path / "matrix.npy", block_size=7)
    assert (tmp_path / "matrix.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_a_block_larger_than_all_is_all():
    assert_same(top_k(BASE, 4, block_size=10**7), brute_force(BASE, 4))


@kinds
@pytest.mark.parametrize("precision", ["float32", "tf32", "float16"])
def test_precision_of_the_fast_pass_changes_no_bit(kind, precision):
    k = min(4, len(FEATURES[kind]) - 1)
    found = nearest(FEATURES[kind], k, block_size=16, precision=precision)
    assert_same(found, brute_force(FEATURES[kind], k))


def test_a_matrix_of_less_precision_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="precision must be auto or float32 if a matrix is stored, got float16"
    ):
        nearest(BASE, 5, precision="float16", matrix=tmp_path / "matrix.npy")


@kinds
@pytest.mark.parametrize("stop", [1, 4, 14, 20])
def test_a_stopped_search_goes_on(kind, stop, tmp_path, monkeypatch):
    def stopping(tiles):
        for count, tile in enumerate(tiles):
            if count == stop:
                raise KeyboardInterrupt
            yield tile

    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", -1)
    monkeypatch.setattr(checkpoint, "SAVE_COST_RATIO", 0)
    k, size = min(4, len(FEATURES[kind]) - 1), 7 if len(FEATURES[kind]) > 3 else 1
    with contextlib.suppress(KeyboardInterrupt):
        nearest(FEATURES[kind], k, block_size=size, checkpoints=tmp_path, watch=stopping)
    begun, left = any(tmp_path.iterdir()), []
    watch = lambda tiles: left.extend(tiles) or tiles  # noqa: E731
    found = nearest(FEATURES[kind], k, block_size=9, checkpoints=tmp_path, watch=watch)
    assert_same(found, brute_force(FEATURES[kind], k))
    if begun and len(FEATURES[kind]) == 40:
        assert left == list(range(stop, 21))
    assert not list(tmp_path.iterdir())


def test_candidates_that_another_run_left_are_not_joined(tmp_path, monkeypatch):
    def stopping(tiles):
        yield from tiles[:5]
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", -1)
    monkeypatch.setattr(checkpoint, "SAVE_COST_RATIO", 0)
    for folder, size in (("a", 7), ("b", 9)):
        with pytest.raises(KeyboardInterrupt):
            nearest(BASE, 4, block_size=size, checkpoints=tmp_path / folder, watch=stopping)
    (ours,), (theirs,) = (tmp_path.glob(f"{name}/*/candidates-0.npz") for name in "ab")
    shutil.copy(theirs, ours)
    left = []
    watch = lambda tiles: left.extend(tiles) or tiles  # noqa: E731
    assert_same(nearest(BASE, 4, checkpoints=tmp_path / "a", watch=watch), brute_force(BASE, 4))
    assert left == list(range(21))


def test_work_on_other_features_is_not_gone_on_with(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        nearest(BASE, 4, checkpoints=tmp_path, watch=mock.Mock(side_effect=KeyboardInterrupt))
    assert_same(nearest(WIDE, 4, checkpoints=tmp_path), brute_force(WIDE, 4))


@kinds
def test_rows_streamed_to_the_device_change_no_bit(kind, monkeypatch):
    monkeypatch.setattr("src.similarity.centering.fits_on_device", lambda *_: False)
    k = min(4, len(FEATURES[kind]) - 1)
    assert_same(top_k(FEATURES[kind], k, block_size=7), brute_force(FEATURES[kind], k))


@pytest.mark.parametrize("write", [write_matrix, lambda rows, path: nearest(rows, 5, matrix=path)])
def test_an_error_leaves_no_matrix(write, tmp_path, monkeypatch):
    monkeypatch.setattr(Matrix, "add", mock.Mock(side_effect=OSError("unplugged")))
    with pytest.raises(OSError, match="unplugged"):
        write(BASE, tmp_path / "matrix.npy")
    assert not (tmp_path / "matrix.npy").exists()


def test_a_full_disk_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: mock.Mock(free=40 * 40 * 4 - 1))
    with pytest.raises(UserError, match="free, but .* are needed: .*float16 needs 3.2 kB"):
        write_matrix(BASE, tmp_path / "matrix.npy")
    assert not (tmp_path / "matrix.npy").exists()


def on_gpu(test):
    skip = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    return pytest.mark.gpu(skip(test))


@on_gpu
@kinds
@pytest.mark.parametrize("stays", [True, False], ids=["resident", "streamed"])
@pytest.mark.parametrize("precision", ["float32", "tf32", "float16"])
def test_no_precision_of_a_gpu_changes_a_bit(kind, precision, stays, monkeypatch):
    monkeypatch.setattr("src.similarity.centering.fits_on_device", lambda *_: stays)
    k = min(4, len(FEATURES[kind]) - 1)
    found = nearest(FEATURES[kind], k, block_size=16, device="cuda", precision=precision)
    assert_same(found, brute_force(FEATURES[kind], k))


@on_gpu
@pytest.mark.parametrize("precision", ["float32", "tf32", "float16"])
def test_a_gpu_finds_what_the_cpu_finds_among_many(precision):
    draw = np.random.default_rng(0)
    centers = draw.random((100, 512))
    rows = centers[draw.integers(100, size=5000)] + 0.1 * draw.random((5000, 512))
    found = nearest(rows.astype("f4"), 10, device="cuda", precision=precision)
    assert_same(found, top_k(rows.astype("f4"), 10, device="cpu"))
    assert found.fallback_share < 0.5


@on_gpu
@kinds
def test_a_gpu_changes_no_bit(kind, tmp_path):
    k = min(4, len(FEATURES[kind]) - 1)
    found = nearest(FEATURES[kind], k, block_size=23, device="cuda", matrix=tmp_path / "matrix.npy")
    assert_same(found, brute_force(FEATURES[kind], k))
