"""Pooling against results by hand."""

import itertools

import pytest
import torch

from src.config import Backbone
from src.config.enums import Pooling
from src.embedding.pooling import pool, pooling_fingerprint


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


def test_every_pooling_gives_rows_of_its_own() -> None:
    output = torch.rand(1, 5, 8, generator=torch.Generator().manual_seed(0))  # (1, tokens, d)
    rows = [pool(output, (1,), pooled_by(pooling)) for pooling in Pooling]
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
    stored = {"avg": "avg", "max": "max", "gem": "gem 3.0", "token": "token"}
    assert fingerprints.items() >= stored.items()
    assert len({*fingerprints.values()}) == len(Pooling)
    assert pooling_fingerprint(pooled_by(Pooling.gem, gem_p=4.5)) == "gem 4.5"
