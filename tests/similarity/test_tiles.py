"""Centered rows, the bound on their products, and the loop over the tiles."""

from unittest import mock

import numpy as np
import pytest
import torch

from src.similarity import numerics
from src.similarity.centering import center, exact_products
from src.similarity.numerics import row_norms
from src.similarity.tiles import for_each_tile
from tests.support.brute_force import of_tiles

CPU = torch.device("cpu")
DRAW = torch.Generator().manual_seed(0)
POSITIVE = torch.rand(40, 64, generator=DRAW)
FEATURES = {
    "positive": POSITIVE,
    "normal": torch.randn(40, 64, generator=DRAW),
    "alike": 1 + 0.1 * POSITIVE,
    "too alike for float32": 1 + 1e-5 * POSITIVE,
    "one far off": torch.cat([1 + 0.01 * POSITIVE, -torch.ones(1, 64)]).repeat(1, 20),
    "clusters": POSITIVE[:3].repeat(13, 1) + 1e-3 * torch.rand(39, 64, generator=DRAW),
    "zero rows": POSITIVE * (torch.rand(40, 1, generator=DRAW) > 0.3),
    "wide": torch.rand(30, 20_000, generator=DRAW),
    "one column": torch.randn(40, 1, generator=DRAW),
    "any scale": POSITIVE * 10.0 ** torch.randint(-30, 30, (40, 1), generator=DRAW),
}
kinds = pytest.mark.parametrize("kind", FEATURES)


def errors(features: torch.Tensor, tile: torch.Tensor, offset: float) -> torch.Tensor:
    rows = features.double().numpy()
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(norms == 0, 1, norms)
    return (tile.double() + offset - torch.tensor(unit @ unit.T)).abs()


@kinds
@pytest.mark.parametrize("chunk", [7, 4096])
def test_no_error_of_a_product_exceeds_the_bound_of_either_row(kind, chunk, monkeypatch):
    monkeypatch.setattr(numerics, "CHUNK", chunk)
    centered = center(FEATURES[kind], CPU)
    off = errors(FEATURES[kind], centered.tile(slice(None), slice(None)), centered.offset)
    assert (off <= torch.minimum(centered.bound[:, None], centered.bound)).all()


@kinds
def test_the_bound_covers_the_worst_rounding_of_every_product(kind):
    centered = center(FEATURES[kind], CPU)
    sizes = centered.rows.double().abs()  # (n, w)
    terms = sizes[:, :-4] @ sizes[:, :-4].T + sizes[:, -4] + sizes[:, -4:-3]  # (n, n)
    worst = (
        (FEATURES[kind].shape[1] + 4) * 2.0**-24 * terms
    )  # Higham, 3.1, for terms as large as these
    assert (worst <= torch.minimum(centered.bound[:, None], centered.bound)).all()


@pytest.mark.parametrize("kind", ["positive", "normal", "alike", "clusters", "zero rows"])
def test_bfloat16_products_break_the_bound(kind):
    centered = center(FEATURES[kind], CPU)
    tile = centered.tile(slice(None), slice(None)).bfloat16()
    assert (errors(FEATURES[kind], tile, centered.offset) > centered.bound).any()


@pytest.mark.usefixtures("medium_precision")
def test_products_are_float32_whatever_the_caller_has_set():
    centered = center(POSITIVE, CPU)
    with torch.autocast("cpu", dtype=torch.bfloat16), exact_products():
        tile = centered.tile(slice(None), slice(None))
    assert (errors(POSITIVE, tile, centered.offset) <= centered.bound).all()


def test_centering_makes_the_bound_a_hundred_times_smaller():
    features = FEATURES["alike"]
    plain = (features.shape[1] + 6) * 2.0**-24  # of float32 products of unit rows as they are
    assert center(features, CPU).bound.max() < plain / 100


@pytest.mark.parametrize("kind", ["positive", "normal", "alike", "wide"])
def test_the_bound_is_at_most_three_times_the_worst_case(kind):
    centered = center(FEATURES[kind], CPU)
    moved = centered.rows[:, :-4].double()
    size = (moved @ moved.T).abs().max()
    assert centered.bound.max() < 3 * size * (FEATURES[kind].shape[1] + 8) * 2.0**-24


@kinds
@pytest.mark.parametrize("block_size", [1, 5, 23, 100])
def test_each_pair_of_rows_is_multiplied_once(kind, block_size):
    centered = center(FEATURES[kind], CPU)
    whole = centered.tile(slice(None), slice(None))
    seen = torch.zeros_like(whole)

    class Count:
        done = ()

        def add(self, number: int, rows: slice, columns: slice, tile: torch.Tensor) -> None:
            assert rows.start <= columns.start
            assert (tile - whole[rows, columns]).abs().max() <= 2 * centered.bound.max()
            seen[rows, columns] += 1
            if rows != columns:
                seen[columns, rows] += 1

    for_each_tile(centered, [Count()], block_size)
    assert (seen == 1).all()


def test_watch_sees_the_number_of_every_tile():
    numbers, consumer = [], mock.Mock(done=())
    watch = of_tiles(lambda tiles: numbers.extend(tiles) or tiles)
    for_each_tile(center(POSITIVE, CPU), [consumer], 15, watch)
    assert numbers == list(range(6))  # of 3 x 3 blocks, the upper triangle
    assert consumer.add.call_count == 6


@pytest.mark.parametrize("block_size", [0, -1])
def test_a_block_without_rows_is_refused(block_size):
    with pytest.raises(ValueError, match=f"block_size must be at least 1, .*, got {block_size}"):
        for_each_tile(center(POSITIVE, CPU), [], block_size)


def test_rows_of_zeros_are_marked():
    assert center(torch.eye(3) * torch.tensor([1, 0, 2]), CPU).zero.tolist() == [False, True, False]


@pytest.mark.usefixtures("medium_precision")
@pytest.mark.parametrize("error", [None, KeyError])
def test_exact_products_restores_the_precision_after_its_block(error):
    try:
        with exact_products():
            assert torch.get_float32_matmul_precision() == "highest"
            if error:
                raise error
    except KeyError:
        pass
    assert torch.get_float32_matmul_precision() == "medium"


@pytest.mark.parametrize("width", [3, 64, 2048, 100_352])
def test_a_norm_has_the_same_bits_alone_and_in_a_batch(width):
    features = torch.randn(9, width, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([row_norms(row[None]) for row in features])
    assert torch.equal(alone, row_norms(features))
    np.testing.assert_allclose(alone, np.linalg.norm(features.double(), axis=1), rtol=1e-14)
