"""Pooling against results by hand."""

import itertools

import numpy as np
import pytest
import torch

from src.config import Backbone
from src.config.enums import Pooling
from src.embedding.pooling import pool, pooling_axes, pooling_fingerprint
from src.errors import UserError


def pooled_by(pooling: Pooling, gem_p: float = 3.0) -> Backbone:
    return Backbone(weights="random", pooling=pooling, gem_p=gem_p)


def test_pooling_of_a_map_by_hand() -> None:
    output = torch.tensor([[[[1.0, 2], [3, 4]], [[0, 0], [0, -8]]]])  # (1, 2, 2, 2)
    assert pool(output, (2, 3), pooled_by(Pooling.avg)).tolist() == [[2.5, -2]]
    assert pool(output, (2, 3), pooled_by(Pooling.max)).tolist() == [[4, 0]]
    gem = pool(output, (2, 3), pooled_by(Pooling.gem))
    torch.testing.assert_close(gem, torch.tensor([[25 ** (1 / 3), 1e-6]]))  # (1 + 8 + 27 + 64) / 4
    mean = pool(output[:, :1], (2, 3), pooled_by(Pooling.gem, gem_p=1))
    torch.testing.assert_close(mean, torch.tensor([[2.5]]))


def test_pooling_of_tokens_by_hand() -> None:
    output = torch.tensor([[[5.0, 1], [1, 3]]])  # (1, 2 tokens, 2)
    assert pool(output, (1,), pooled_by(Pooling.avg)).tolist() == [[3, 2]]
    assert pool(output, (1,), pooled_by(Pooling.max)).tolist() == [[5, 3]]
    assert pool(output, (1,), pooled_by(Pooling.token)).tolist() == [[5, 1]]
    assert pool(output, (1,), pooled_by(Pooling.patches)).tolist() == [[3, 2]]
    assert pool(output, (1,), pooled_by(Pooling.patches), prefix=1).tolist() == [[1, 3]]
    assert pool(output, (1,), pooled_by(Pooling.avg), prefix=1).tolist() == [[3, 2]]


def meanstd(output: torch.Tensor, axes: tuple[int, ...] = (2, 3)) -> torch.Tensor:
    return pool(output, axes, pooled_by(Pooling.meanstd))


def by_numpy(output: torch.Tensor, axes: tuple[int, ...]) -> np.ndarray:
    """Unit means beside unit standard deviations, in float64."""
    wide = output.double().numpy()
    parts = wide.mean(axes), wide.std(axes, ddof=1)
    return np.concatenate([p / np.linalg.norm(p, axis=1, keepdims=True) for p in parts], 1)


def test_mean_and_std_by_hand() -> None:
    output = torch.tensor([[[[1.0, 2], [3, 4]], [[0, 0], [0, -8]]]])  # (1, 2, 2, 2)
    mean, std = np.array([2.5, -2]), np.sqrt([5 / 3, 16])  # of (2.25 + 0.25) * 2 = 5, and 48
    expected = np.concatenate([mean / np.linalg.norm(mean), std / np.linalg.norm(std)])
    np.testing.assert_allclose(meanstd(output)[0], expected, rtol=1e-6)


def test_tokens_of_patches_are_needed() -> None:
    message = r"needs a layer with tokens of patches, but norm gives \(2, 5, 8\): .*pooling=token"
    with pytest.raises(UserError, match=message):
        pooling_axes("norm", (2, 5, 8), None, Pooling.patches, prefix=5)
    assert pooling_axes("norm", (2, 6, 8), None, Pooling.patches, prefix=5) == (1,)
    with pytest.raises(UserError, match=r"meanstd needs a layer with several positions or tokens"):
        pooling_axes("norm", (2, 6, 8), None, Pooling.meanstd, prefix=5)
    assert pooling_axes("norm", (2, 7, 8), None, Pooling.meanstd, prefix=5) == (1,)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((3, 7, 5, 4), (2, 3)), ((3, 5, 4, 7), (1, 2)), ((3, 20, 7), (1,)), ((3, 7, 1, 2), (2, 3))],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_mean_and_std_over_positions_or_tokens(shape, axes, dtype) -> None:
    output = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    rows = meanstd(output, axes)
    assert (rows.dtype, rows.shape) == (torch.float32, (3, 14))
    np.testing.assert_allclose(rows, by_numpy(output, axes), rtol=1e-5, atol=1e-6)


def test_small_differences_of_large_numbers_are_not_lost() -> None:
    spread = torch.logspace(-1, 1, 6)[:, None, None]
    output = 1000 + spread * torch.randn(2, 6, 9, 9, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(meanstd(output), by_numpy(output, (2, 3)), rtol=2e-5)


def test_equal_numbers_have_no_standard_deviation() -> None:
    output = torch.rand(2, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    output[:, 1] = 0.1  # whose mean over 49 is not 0.1 in float32
    output[1] = torch.tensor([0.1, 0.7, 1e5])[:, None, None]
    rows = meanstd(output)
    assert rows[0, 4] == 0 and rows[0, 3] > 0
    assert not rows[1, 3:].any()
    torch.testing.assert_close(rows[:, :3].norm(dim=1), torch.ones(2))
    assert not meanstd(torch.zeros(1, 3, 2, 2)).any()


@pytest.mark.parametrize("shape", [(2, 64, 1, 1), (2, 1, 64), (2, 64)])
def test_one_position_has_no_standard_deviation(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError) as refused:
        pooling_axes("layer4", shape, None, Pooling.meanstd)
    assert f"one has no standard deviation, but layer4 gives {shape}" in str(refused.value)
    assert str(refused.value).endswith("choose an earlier layer, or backbone.pooling=avg")


def test_every_pooling_gives_rows_of_its_own() -> None:
    output = torch.rand(1, 5, 8, generator=torch.Generator().manual_seed(0))  # (1, tokens, d)
    rows = [pool(output, (1,), pooled_by(pooling), prefix=1) for pooling in Pooling]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(rows, 2))


@pytest.mark.parametrize("pooling", Pooling)
def test_rows_need_no_pooling_and_are_float32(pooling: Pooling) -> None:
    pooled = pool(torch.tensor([[1, -2]], dtype=torch.float16), (), pooled_by(pooling))
    assert (pooled.dtype, pooled.tolist()) == (torch.float32, [[1, -2]])


def test_pooling_is_in_float32_whatever_comes() -> None:
    output = torch.ones(1, 1, 64, 64, dtype=torch.bfloat16)
    output[0, 0, 0, 0] = 1.0078125  # bfloat16 has no number between the two
    mean = pool(output, (2, 3), pooled_by(Pooling.avg))
    assert mean.dtype == torch.float32
    torch.testing.assert_close(mean, torch.tensor([[1 + 0.0078125 / 4096]]), rtol=1e-7, atol=0)


def test_a_fingerprint_has_the_parameter_of_gem_only() -> None:
    fingerprints = {kind.name: pooling_fingerprint(pooled_by(kind)) for kind in Pooling}
    stored = {"avg": "avg", "max": "max", "gem": "gem 3.0", "token": "token", "patches": "patches"}
    assert fingerprints.items() >= stored.items()
    assert len({*fingerprints.values()}) == len(Pooling)
    assert pooling_fingerprint(pooled_by(Pooling.gem, gem_p=4.5)) == "gem 4.5"
