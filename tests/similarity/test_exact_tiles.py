"""Scores by matrix products: to the bit those of elementwise sums, however they are computed."""

from functools import cache

import numpy as np
import pytest
import torch

from src.similarity import exact_tiles
from src.similarity.exact_tiles import ExactTiles
from src.similarity.numerics import exact_scores, exact_sum, row_norms
from src.similarity.parallel import thread_count
from tests.support.brute_force import FEATURES, contract, halved

CPU = torch.device("cpu")
PAIRS = 150


def scored(features: np.ndarray, side: int = 16) -> np.ndarray:
    """Return all scores, (n, n), by tiles of side x side."""
    rows = torch.from_numpy(features)
    tiles, out = ExactTiles(rows, row_norms(rows), CPU), torch.full((len(rows),) * 2, torch.nan)
    blocks = [slice(at, min(at + side, len(rows))) for at in range(0, len(rows), side)]
    for block in blocks:
        tiles.fill(out[block], block, blocks)
    return out.numpy()


@cache
def at_boundaries(d: int, sign: bool) -> np.ndarray:
    """Return pairs of rows, (2 * PAIRS, d) float64, whose cosines are between two float32 numbers.

    The second row of a pair is moved until its cosine with the first is as near to the middle as
    float64 can tell.
    """
    draw = np.random.default_rng(d)
    first, other = draw.random((2, PAIRS, d)) - (0.5 if sign else 0)
    other[:, : d // 2] = 0
    low, high = np.zeros(PAIRS), np.full(PAIRS, 4.0)

    def cosine(moved: np.ndarray) -> np.ndarray:
        """Return the cosines of the pairs, (PAIRS,) float64."""
        second = first + moved[:, None] * other
        norms = np.sqrt(halved(first * first) * halved(second * second))
        return halved(first * second) / norms

    numbers = np.linspace(0.9, 0.99, PAIRS).astype("f4")
    middle = (numbers.astype("f8") + np.nextafter(numbers, np.float32(1)).astype("f8")) / 2
    for _ in range(80):
        half = (low + high) / 2
        too_near = cosine(half) > middle
        low, high = np.where(too_near, half, low), np.where(too_near, high, half)
    assert (abs(cosine(low) - middle) < 1e-15).all()
    return np.concatenate([first, first + low[:, None] * other])


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("side", [1, 7, 64])
def test_scores_are_those_of_the_contract(kind: str, side: int) -> None:
    found = scored(FEATURES[kind], side)
    assert found.tobytes() == contract(FEATURES[kind]).tobytes()


@pytest.mark.parametrize("kind", ["wide", "signed", "scales", "short rows", "halves", "bfloat16"])
def test_rows_of_any_kind_and_width(kind: str) -> None:
    draw = np.random.default_rng(1)
    rows = {
        "wide": draw.random((40, 40_000), "f4"),
        "signed": draw.normal(size=(60, 5_000)).astype("f4"),
        "scales": draw.normal(size=(60, 70)) * 10.0 ** draw.integers(-120, 120, (60, 1)),
        "short rows": draw.normal(size=(60, 70)) * 10.0 ** draw.integers(-165, 150, (60, 1)),
        "halves": draw.random((60, 70)).astype("f2"),
        "bfloat16": torch.from_numpy(draw.normal(size=(60, 70))).bfloat16().float().numpy(),
    }[kind]
    assert scored(rows).tobytes() == contract(rows).tobytes()


@pytest.mark.parametrize("sign", [False, True])
@pytest.mark.parametrize("d", [60, 2048])
def test_scores_at_the_middle_between_two_numbers(
    d: int, sign: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = at_boundaries(d, sign)
    expected = contract(rows)
    for side in (7, 256):
        assert scored(rows, side).tobytes() == expected.tobytes()
    monkeypatch.setattr(exact_tiles, "error_bound", lambda *_: 0.0)
    products = scored(rows)
    assert (products != expected).any()  # so the rows above tell a bound that is too small
    assert abs(products - expected).max() < 1e-7


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("at_once", [8, 40, 4096])
def test_threads_and_slices_change_nothing(
    threads: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(exact_tiles.SLICE, "cpu", at_once)
    rows = at_boundaries(60, True)
    with thread_count(threads):
        assert scored(rows).tobytes() == contract(rows).tobytes()


@pytest.mark.parametrize("sign", [False, True])
def test_no_cosine_is_farther_from_the_contract_than_the_bound(sign: bool) -> None:
    draw = np.random.default_rng(2)
    rows = draw.random((200, 3_000)) - (0.5 if sign else 0)
    norms = np.sqrt(halved(rows * rows))
    exact = np.stack([halved(row * rows) for row in rows]) / (norms[:, None] * norms)
    products = (rows / norms[:, None]) @ (rows / norms[:, None]).T
    off = abs(products - exact)
    if not sign:
        off /= exact  # relative to the cosine
    # the bound holds for the worst signs of all roundings; random ones add up to their root
    assert 0 < off.max() < exact_tiles.error_bound(3_000, 512) / 3


def test_few_pairs_are_scored_again(monkeypatch: pytest.MonkeyPatch) -> None:
    again = []
    monkeypatch.setattr(
        exact_tiles,
        "exact_scores",
        lambda *args: again.append(args[3].numel()) or exact_scores(*args),
    )
    draw = np.random.default_rng(3)
    scored(draw.random((500, 512), "f4"), 256)
    assert sum(again) <= 10  # of 250,000
    sparse = draw.random((300, 200), "f4") * (draw.random((300, 200)) < 0.01)
    sparse[:3] = 0
    scored(sparse, 256)
    assert sum(again) <= 300 + 20  # a product of zero is decided; a cosine of 1 may not be


@pytest.mark.parametrize("exponent", [-460, -449, -410, -390, 0])
def test_products_that_underflow_are_those_of_the_contract(exponent: int) -> None:
    draw = np.random.default_rng(4)
    rows = np.zeros((200, 3))
    rows[:100, 0] = rows[100:, 1] = 1
    # cosines are just off the middle between two of the least float32 numbers, odd times 2^-150
    middle = draw.integers(1, 8, 100) * 2.0**-150
    rows[:100, 2] = 2.0**-40
    rows[100:, 2] = middle * (1 + draw.integers(-3, 4, 100) * 2.0**-30) * 2.0**40
    rows *= 2.0**exponent
    assert scored(rows).tobytes() == contract(rows).tobytes()


def test_rows_by_their_numbers() -> None:
    features = FEATURES["zero rows"]
    rows = torch.from_numpy(features)
    tiles, out = ExactTiles(rows, row_norms(rows), CPU), torch.empty(3, 25)
    tiles.fill(out, torch.tensor([38, 2, 7]), [slice(15, 23), slice(23, 40)], 15)
    assert out.numpy().tobytes() == contract(features)[[38, 2, 7], 15:].tobytes()


def test_the_width_alone_orders_a_sum() -> None:
    products = torch.randn(3, 5, 40_001, generator=torch.Generator().manual_seed(0)).double()
    expected = halved(products.numpy())
    assert exact_sum(products.clone()).numpy().tobytes() == expected.tobytes()
    assert exact_sum(products[1, 2].clone()[None])[0] == expected[1, 2]
