"""Kept lists are used only if they are whole, of these rows, and of this machine's arithmetic."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.similarity import NeighborSearch, SearchOptions, kept_lists
from src.similarity.kept_lists import KEPT
from tests.support.brute_force import BASE, WIDE, assert_same, brute_force

K = 4


def keep(folder: Path, rows: Any = BASE) -> float:
    """Search the neighbors, keep them in folder, and return the share of rows searched again."""
    found = NeighborSearch(rows, None, SearchOptions(lists=folder)).nearest(K)
    assert_same(found, brute_force(rows, K))
    return found.fallback_share


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the file of the lists of BASE."""
    keep(tmp_path)
    (path,) = tmp_path.glob(KEPT)
    return path


def rewrite(path: Path, **changes: Any) -> None:
    """Change arrays in a file of lists."""
    with np.load(path) as file:
        np.savez(path, **(dict(file) | changes))


def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each search that compares."""
    calls, compare = list[int](), NeighborSearch.compare
    monkeypatch.setattr(
        NeighborSearch, "compare", lambda *a, **b: calls.append(1) or compare(*a, **b)
    )
    return calls


def test_whole_lists_are_used(path, monkeypatch):
    calls = compared(monkeypatch)
    keep(path.parent)
    assert not calls


def test_a_flipped_bit_is_noticed(path, monkeypatch, caplog):
    content = bytearray(path.read_bytes())
    with np.load(path) as file:
        place = content.index(file["score"].tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    calls = compared(monkeypatch)
    keep(path.parent)
    assert calls == [1]
    assert f"similarity: not used: {path} is damaged" in caplog.text
    keep(path.parent)  # replaced by what was found
    assert calls == [1]


INDEX = np.tile(np.arange(1, 21, dtype="i4"), (40, 1))
SCORE = np.tile(np.linspace(1, 0, 20, dtype="f4"), (40, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"digests": np.zeros((40, 8), "u1")},
        {"digests": np.zeros((40, 16), "i1")},
        {"groups": np.arange(39)},
        {"groups": np.zeros(40, "i8")},  # then neighbors are of the same group
        {"index": np.zeros((40, 20), "i4")},
        {"index": INDEX[0]},
        {"index": INDEX + 39},
        {"index": INDEX - 2},
        {"index": INDEX.astype("i8")},
        {"score": SCORE[:, ::-1]},
        {"score": 0 * SCORE, "index": INDEX[:, ::-1]},
        {"score": SCORE + 5},
        {"score": np.full((40, 20), np.nan, "f4")},
        {"depth": np.zeros(40, "i4")},
        {"depth": np.full(40, 21, "i4")},
        {"unproven": np.zeros(40, "u1")},
        {"another": np.zeros(40)},
    ],
    ids=lambda changes: " ".join(
        f"{name} {values.dtype}{values.shape}" for name, values in changes.items()
    ),
)
def test_what_cannot_be_lists_is_not_used(path, monkeypatch, caplog, changes):
    rewrite(path, **changes)
    calls = compared(monkeypatch)
    keep(path.parent)
    assert calls == [1]
    assert f"{path} is damaged, so delete it: not lists of neighbors" in caplog.text


def test_scores_that_are_not_those_of_the_rows_are_noticed(path, monkeypatch, caplog):
    with np.load(path) as file:
        rewrite(path, score=np.nextafter(file["score"], np.float32(-9)))
    calls = compared(monkeypatch)
    keep(path.parent)
    assert calls == [1]
    assert f"not used: {path} has other scores than its rows" in caplog.text


def test_lists_of_other_rows_under_the_name_of_these_are_not_used(path, monkeypatch):
    keep(path.parent / "other", WIDE)
    (other,) = (path.parent / "other").glob(KEPT)
    other.replace(path)
    calls = compared(monkeypatch)
    keep(path.parent)
    assert calls == [1]


def test_lists_by_another_arithmetic_or_version_are_not_used(path, monkeypatch, caplog):
    calls = compared(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(kept_lists, "SUMS", "another")
        keep(path.parent)
    assert calls == [1]
    keep(path.parent)
    assert calls == [1, 1]
    with np.load(path) as file:
        np.savez(path, index=file["index"], score=file["score"])
    keep(path.parent)
    assert calls == [1, 1, 1]
    assert not caplog.text


def test_a_file_that_disappears_is_passed_over(path, monkeypatch):
    read = kept_lists.read_npz

    def removed(path: Path, *names: Any) -> Any:
        path.unlink(missing_ok=True)
        return read(path, *names)

    monkeypatch.setattr(kept_lists, "read_npz", removed)
    calls = compared(monkeypatch)
    keep(path.parent)
    assert calls == [1]


def test_the_share_of_unproven_rows_is_that_of_the_search_that_found_them(tmp_path):
    rows = 1 + 1e-4 * BASE
    first = keep(tmp_path, rows)
    assert first > 0
    assert keep(tmp_path, rows) == first
