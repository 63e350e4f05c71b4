"""The sums by which damage to a stored matrix is found."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.errors import UserError
from src.similarity import plan, write_matrix
from src.similarity.all_scores import StoredScores
from src.similarity.exact_tiles import SHORTEST
from src.similarity.inputs import checked_rows
from src.similarity.row_sums import RowSums
from tests.support.brute_force import BASE, FEATURES, contract, nearest


def sums_of(features: np.ndarray) -> RowSums:
    return RowSums(*checked_rows(features), Path("m.npy"))


def change(path: Path, row: int, column: int, value: float) -> None:
    """Write a value to an entry of a matrix on disk, and nothing else."""
    np.load(path, mmap_mode="r+")[row, column] = value


@pytest.mark.parametrize("kind", [*FEATURES, 1e-100, 1e150])
def test_scores_as_they_are_have_their_sums(kind: str | float) -> None:
    features = BASE.astype(np.float64) * kind if isinstance(kind, float) else FEATURES[kind]
    scores, sums = torch.from_numpy(contract(features)), sums_of(features)
    for rows in (slice(0, 3), slice(3, len(features))):
        assert sums.check(rows, scores[rows]) is None
    wrong = scores[1:].clone()
    wrong[-1, 0] += len(features) * 2.0**-23
    with pytest.raises(UserError, match=f"row {len(features) - 1} add up to"):
        sums.check(slice(1, len(features)), wrong)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.0])
def test_the_row_is_named(value: float) -> None:
    scores = torch.from_numpy(contract(BASE))
    scores[17, 5] = value
    message = "m.npy is damaged, so delete it: the scores of row 17 add up to .* instead of "
    with pytest.raises(UserError, match=message):
        sums_of(BASE).check(slice(10, 20), scores[10:20])


def test_rows_too_short_for_sums_are_not_checked() -> None:
    features = np.stack([np.full(3, SHORTEST / 4), np.ones(3), np.arange(3)])
    assert sums_of(features).check(slice(0, 3), torch.full((3, 3), 9.0)) is None


def test_neighbors_and_rankings_are_not_read_from_a_damaged_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "matrix.npy"
    monkeypatch.setattr(plan, "MIN_WIDTH_TO_READ", 0)
    write_matrix(BASE, path)
    change(path, 31, 8, 0.0)
    message = "matrix.npy is damaged, so delete it: the scores of row 31 add up"
    with pytest.raises(UserError, match=message):
        nearest(BASE, 4, matrix=path)
    with pytest.raises(UserError, match=message):
        list(StoredScores(path, BASE).bands())
