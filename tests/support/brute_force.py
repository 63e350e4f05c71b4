"""Neighbors by plain float64 arithmetic, and rows that are hard to compare."""

from collections.abc import Callable
from typing import Any

import numpy as np

from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import Watch
from src.similarity import Neighbors, NeighborSearch, SearchOptions

DRAW = np.random.default_rng(0)
BASE = DRAW.random((40, 24), dtype="f4")
WIDE = DRAW.normal(size=(40, 700)).astype("f4")
ZEROED = BASE * (DRAW.random((40, 1)) > 0.3)
FEATURES = {
    "positive": BASE,
    "normal": WIDE,
    "equal rows": BASE[DRAW.integers(5, size=40)],
    "scaled copies": WIDE[np.arange(40) % 20] * DRAW.choice([1e-30, 0.5, 3, 1e15], (40, 1)),
    "opposite rows": np.concatenate([BASE[:20], -BASE[:20]]),
    "ties": DRAW.integers(-1, 2, (40, 3)),
    "zero rows": ZEROED,
    "only zeros": np.zeros((40, 2)),
    "alike": 1 + 0.02 * BASE,
    "too alike for float32": 1 + 1e-4 * BASE,
    "two rows": BASE[:2],
    "one column": DRAW.normal(size=(40, 1)),
    "very wide": DRAW.random((3, 40_000)),
}
FEATURES = {name: rows.astype("f4") for name, rows in FEATURES.items()}


def nearest(
    features: Any,
    k: int,
    groups: Any = None,
    penalty: Any = None,
    processes: ProcessGroup = SINGLE_PROCESS,
    **options: Any,
) -> Neighbors:
    """Return what a NeighborSearch with these options finds; for options that top_k has not.

    watch, if given, goes through the numbers of the tiles alone.
    """
    if "watch" in options:
        options["watch"] = of_tiles(options["watch"])
    search = NeighborSearch(features, groups, SearchOptions(**options), processes)
    return search.nearest(k, penalty)


def of_tiles(watch: Callable[[Any], Any]) -> Watch:
    """Return a Watch that gives the numbers of the tiles to watch and passes other steps on."""
    return lambda items, step, _: watch(items) if step == "comparing" else items


def halved(products: np.ndarray) -> np.ndarray:
    """Sum (..., d) to (...) as the contract says: the second half is added to the first."""
    width = products.shape[-1]
    if width == 1:
        return products[..., 0]
    half = -(-width // 2)
    sums = products[..., :half].copy()
    sums[..., : width - half] += products[..., half:]
    return halved(sums)


def contract(features: Any) -> np.ndarray:
    """Return the scores of all pairs, (n, n) float32, one row after the other."""
    rows = np.asarray(features, dtype=np.float64)
    norms = np.sqrt(halved(rows * rows))
    dots, scale = np.stack([halved(row * rows) for row in rows]), norms[:, None] * norms
    return np.divide(dots, scale, out=np.zeros_like(dots), where=scale > 0).astype("f4") + 0


def brute_force(
    features: Any, k: int, groups: Any = None, penalty: np.ndarray | float = 0
) -> Neighbors:
    """Return the k nearest by float64 dot products of all pairs and a stable sort of all scores."""
    score = contract(features)
    groups = np.arange(len(score)) if groups is None else np.asarray(groups)
    ranked = score if np.ndim(penalty) == 0 else (score.astype("f8") - penalty).astype("f4")
    order = np.argsort(-ranked, axis=1, kind="stable")
    index = np.stack([best[groups[best] != groups[row]][:k] for row, best in enumerate(order)])
    return Neighbors(index, np.take_along_axis(score, index, 1), 0)


def assert_same(found: Neighbors, expected: Neighbors) -> None:
    """Assert that index and score are equal to the bit."""
    assert (found.index.dtype, found.score.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(found.index, expected.index)
    np.testing.assert_array_equal(found.score.view("i4"), expected.score.view("i4"))
