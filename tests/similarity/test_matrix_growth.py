"""A matrix grown from an earlier one: the bytes of a fresh one, whatever happens in between."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src.similarity import matrix_assembly as assembly
from src.similarity import write_matrix
from src.similarity.exact_tiles import ExactTiles
from src.similarity.inputs import checked_rows
from src.similarity.matrix import complete_matrix
from src.similarity.matrix_files import MatrixRecord
from src.similarity.record import hash_of

DRAW = np.random.default_rng(0)
E = 300
EARLIER = DRAW.normal(size=(E, 20)).astype("f4")
EARLIER[7], EARLIER[100:110] = 0, EARLIER[110:120]  # a row of zeros, copies
NEW = DRAW.normal(size=(40, 20)).astype("f4")
NEW[3] = 2 * EARLIER[50]


def inserted(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return rows with new ones before those in places."""
    return np.insert(rows, places, NEW[: len(places)], axis=0)


def replaced(rows: np.ndarray, places: list[int]) -> np.ndarray:
    """Return rows with new ones in these places."""
    changed = rows.copy()
    changed[places] = NEW[: len(places)]
    return changed


COLLECTIONS = {
    "appended": np.concatenate([EARLIER, NEW]),
    "one appended": np.concatenate([EARLIER, NEW[:1]]),
    "before all": np.concatenate([NEW, EARLIER]),
    "interleaved": inserted(EARLIER, np.sort(DRAW.integers(0, E, 40))),
    "removed": np.delete(EARLIER, [0, 5, 17, 299], axis=0),
    "removed and interleaved": inserted(np.delete(EARLIER, range(0, 60, 3), 0), np.arange(20) * 9),
    "replaced": replaced(EARLIER, [0, 3, 150, 299]),
    "replaced by as many elsewhere": np.concatenate([EARLIER[5:], NEW[:5]]),
    "many removed": np.concatenate([EARLIER[100:], NEW]),
}
COPIED = {
    "reversed": np.concatenate([EARLIER[::-1], NEW]),
    "shuffled": EARLIER[DRAW.permutation(E)],
    "the first copies removed": np.delete(EARLIER, [100, 101], axis=0),
    "the same": EARLIER,
    "a part": EARLIER[40:90],
}
ALL = COLLECTIONS | COPIED
kinds = pytest.mark.parametrize("kind", ALL)


def grow(rows: np.ndarray, path: Path, earlier: Path, dtype: str = "float32") -> bytes:
    """Write the matrix of rows, perhaps from an earlier one; return its bytes."""
    features, norms = checked_rows(rows)
    exact = ExactTiles(features, norms, torch.device("cpu"))
    record = MatrixRecord(hash_of(features), 64)
    with complete_matrix(path, exact, dtype, record, earlier=[earlier]):
        return path.read_bytes()


def fresh(rows: np.ndarray, folder: Path, dtype: str = "float32") -> bytes:
    """Return the bytes of a matrix that is written from nothing."""
    folder.mkdir(exist_ok=True)
    write_matrix(rows, folder / "fresh.npy", dtype)
    return (folder / "fresh.npy").read_bytes()


@pytest.fixture(name="earlier")
def earlier_matrix(tmp_path: Path) -> Path:
    """Return the file of the earlier matrix."""
    (tmp_path / "earlier").mkdir()
    write_matrix(EARLIER, tmp_path / "earlier" / "m.npy")
    return tmp_path / "earlier" / "m.npy"


@kinds
@pytest.mark.parametrize("chunk", [1_300, 16_000, 2**25])
def test_grown_bytes_are_those_of_a_fresh_matrix(
    kind: str, chunk: int, earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "CHUNK_BYTES", chunk)
    computed, fill = [], ExactTiles.fill
    rows = ALL[kind]
    expected, before = fresh(rows, tmp_path / "fresh"), earlier.read_bytes()

    def counted(self: ExactTiles, out: torch.Tensor, *arguments: Any) -> None:
        """Note how many pairs are computed."""
        computed.append(out.numel())
        fill(self, out, *arguments)

    monkeypatch.setattr(ExactTiles, "fill", counted)
    assert grow(rows, tmp_path / "new" / "m.npy", earlier) == expected
    known = {row.tobytes() for row in EARLIER}
    new = sum(row.tobytes() not in known for row in rows)
    assert sum(computed) == new * len(rows)  # the pairs with a new row, and no other
    assert not (tmp_path / "new" / "m.npy.part").exists()
    if kind in COPIED or kind == "many removed":
        assert earlier.read_bytes() == before
    else:
        assert [path.name for path in earlier.parent.iterdir()] == [".lock"]
