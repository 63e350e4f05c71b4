"""The stored whitening of joined layers: what does not fit is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.embedding.whitening import FILE, fit_whitening, read_whitening, write_whitening
from src.errors import UserError

ROWS = {
    name: np.random.default_rng(3).random((20, d), dtype="f4") for name, d in (("a", 4), ("b", 6))
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    fitted = fit_whitening(ROWS)
    write_whitening(tmp_path, list(ROWS), fitted)
    for read, whitening in zip(read_whitening(tmp_path, list(ROWS)), fitted, strict=True):
        assert torch.equal(read.mean, whitening.mean)
        assert read.axes is not None and torch.equal(read.axes, whitening.axes)


@pytest.mark.parametrize(
    ("mean", "axes"),
    [
        (np.zeros(4), np.zeros((5, 3))),
        (np.zeros(5), np.zeros((4, 3))),
        (np.zeros((4, 1)), np.zeros((4, 3))),
        (np.zeros(4), np.zeros(4)),
        (np.zeros(4, dtype="f4"), np.zeros((4, 3))),
        (np.zeros(4), np.full((4, 3), np.inf)),
        (np.full(4, np.nan), np.zeros((4, 3))),
    ],
)
def test_a_mean_and_axes_that_do_not_fit_are_damage(
    tmp_path: Path, mean: np.ndarray, axes: np.ndarray
) -> None:
    np.savez(tmp_path / FILE, **{"a/mean": mean, "a/axes": axes})
    with pytest.raises(UserError, match=r"is damaged.*no mean \(d,\) and axes \(d, m\) of a"):
        read_whitening(tmp_path, ["a"])
