"""A metric's value for each query, as a run's folder has it."""

from pathlib import Path

import numpy as np
import pytest

from src.errors import UserError
from src.reporting.run_folder import RunFolder


def test_values_are_read_as_they_were_written(tmp_path: Path) -> None:
    values = np.array([0.5, np.nan, 1])
    RunFolder(tmp_path).write_queries({"style/map_at_10": values})
    np.testing.assert_array_equal(RunFolder(tmp_path).query_values("style/map_at_10", 3), values)
    assert RunFolder(tmp_path).query_values("artist/map_at_10", 3) is None


@pytest.mark.parametrize(
    "values", [np.zeros(2), np.zeros((3, 1)), np.zeros(3, int), np.array([0, 1, np.inf])]
)
def test_foreign_values_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    np.savez(tmp_path / "queries.npz", precision=values)
    with pytest.raises(UserError, match=r"queries\.npz is damaged.*not a number for each of 3"):
        RunFolder(tmp_path).query_values("precision", 3)
