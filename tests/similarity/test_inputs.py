"""What features, groups and k are accepted, and how others are refused."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from src.similarity import top_k, write_matrix
from tests.support.brute_force import BASE, assert_same, brute_force


@pytest.fixture
def warn_always() -> Iterator[None]:
    """PyTorch says most of its warnings only once; here each time, so that each is an error."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


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
