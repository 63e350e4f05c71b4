"""Vectors in Parquet files: what is read, and how each file that cannot be is refused."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.errors import UserError
from src.gallery import vectors as bounds
from src.gallery.vector_files import open_vectors
from src.gallery.vectors import Ids
from tests.support.vector_files import ROWS, contents


def frame(**columns: Any) -> pd.DataFrame:
    """Return a table of vectors."""
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    "table",
    [
        frame(id=["a", "b", "c", "d"], artist=["x"] * 4, emb=list(ROWS)),
        frame(id=["a", "b", "c", "d"], embedding=list(ROWS), other=list(ROWS + 1)),
        frame(id=["a", "b", "c", "d"], x=ROWS[:, 0], y=ROWS[:, 1], z=ROWS[:, 2].astype(np.int64)),
        frame(x=ROWS[:, 0], y=ROWS[:, 1], z=ROWS[:, 2], file=["a", "b", "c", "d"]),
    ],
    ids=["list", "several lists", "columns", "file"],
)
def test_a_parquet_file_has_a_column_of_lists_or_a_column_for_each_number(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    pytest.importorskip("pyarrow")
    table.to_parquet(tmp_path / "x.parquet")
    found = open_vectors(tmp_path / "x.parquet")
    assert (found.n, found.d) == (4, 3)
    assert found.ids == Ids(["a", "b", "c", "d"], "id" if "id" in table else "file")
    np.testing.assert_array_equal(contents(tmp_path / "x.parquet"), ROWS)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int8", "uint64", "bool"])
@pytest.mark.parametrize("groups", [1, 3])
def test_lists_of_a_fixed_size_are_read_from_groups_of_rows(
    tmp_path: Path, kind: str, groups: int
) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = ROWS.astype(kind)
    lists = arrow.FixedSizeListArray.from_arrays(arrow.array(rows.ravel()), 3)
    table = arrow.table({"v": lists, "ids": arrow.array([5, 6, 7, 8])})
    parquet.write_table(table, tmp_path / "x.parquet", row_group_size=groups)
    np.testing.assert_array_equal(contents(tmp_path / "x.parquet"), rows)
    assert open_vectors(tmp_path / "x.parquet").ids == Ids(["5", "6", "7", "8"], "id")


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "int32", "uint64"])
def test_ids_of_parquet_are_any_texts_or_whole_numbers(tmp_path: Path, kind: str) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    ids = arrow.array(["1", "20"]).cast(getattr(arrow, kind)())
    parquet.write_table(arrow.table({"id": ids, "x": [1.0, 2.0]}), tmp_path / "x.parquet")
    assert open_vectors(tmp_path / "x.parquet").ids == Ids(["1", "20"], "id")


@pytest.mark.parametrize("ids", [list("abcdefgh") * 2000, list(range(16_000))])
@pytest.mark.parametrize("kind", ["plain", "category"])
def test_ids_of_many_rows_are_read_in_parts_within_a_bound(
    tmp_path: Path, ids: list[Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    table = frame(id=ids, x=np.arange(16_000.0))
    table = table.astype({"id": "category"}) if kind == "category" else table
    table.to_parquet(tmp_path / "x.parquet")
    assert open_vectors(tmp_path / "x.parquet").ids == Ids(list(map(str, ids)), "id")
    monkeypatch.setattr(bounds, "MAX_ID_BYTES", 60_000)
    with pytest.raises(UserError, match=r"id takes more than 60.0 kB"):
        open_vectors(tmp_path / "x.parquet")


def test_columns_beside_the_lists_are_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("pyarrow")
    caplog.set_level("INFO")
    frame(artist=["x"] * 4, emb=list(ROWS)).to_parquet(tmp_path / "x.parquet")
    open_vectors(tmp_path / "x.parquet")
    assert "features: not read from" in caplog.text and "artist" in caplog.text


def test_an_index_of_pandas_without_a_name_is_no_number(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    rows = frame(x=[1.0, 2.0, 5.0], y=[3.0, 4.0, 6.0])
    rows.set_index(pd.Index([7, 9, 8])).to_parquet(tmp_path / "x.parquet")  # as no range is
    np.testing.assert_array_equal(contents(tmp_path / "x.parquet"), [[1, 3], [2, 4], [5, 6]])


def parquet_of(**columns: Any) -> Callable[[Path], None]:
    """Return what writes a table of columns, for pyarrow, to a file."""

    def write(path: Path) -> None:
        """Write the table."""
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(arrow.table(columns), path)

    return write


LISTS = ROWS.tolist()
REFUSED_PARQUET = {
    "ragged": (parquet_of(v=[[1.0, 2.0], [1.0, 2.0, 3.0]]), "lists have other lengths than 2, or"),
    "missing list": (parquet_of(v=[*LISTS[:3], None]), "other lengths than 3, or some are missing"),
    "missing first": (parquet_of(v=[None, *LISTS]), "v is missing in the first row"),
    "empty first": (parquet_of(v=[[], *LISTS]), "its rows have 0 numbers, but 1 to 100,000"),
    "empty list": (parquet_of(v=[*LISTS[:3], []]), "lists have other lengths than 3"),
    "null number": (parquet_of(v=[*LISTS[:3], [1.0, None, 2.0]]), "1 numbers are missing (null)"),
    "null in a column": (parquet_of(x=[1.0, None], y=[1.0, 2.0]), "1 numbers are missing (null)"),
    "all missing": (parquet_of(v=[[None, None]] * 3), "v has lists of null, but numbers"),
    "wide": (parquet_of(v=[[1.0] * 300_000, [1.0]]), "its rows have 150001 numbers, but 1 to"),
    "nested": (parquet_of(v=[[[1.0]], [[2.0]]]), "v has lists of list<element: double>"),
    "texts": (parquet_of(v=[["a"], ["b"]]), "v has lists of string, but numbers are needed"),
    "labels": (
        parquet_of(id=["a", "b"], artist=["x", "y"], x=[1.0, 2.0]),
        "all columns but the ids must be numbers, and these are not: artist: leave them out",
    ),
    "two lists": (parquet_of(a=LISTS, b=LISTS), "several columns of lists, a, b: keep one"),
    "only ids": (parquet_of(id=["a", "b"]), "it has no column of vectors"),
    "missing id": (parquet_of(id=["a", None], x=[1.0, 2.0]), "id is missing in 1 rows"),
    "ids of floats": (parquet_of(id=[1.0, 2.0], x=[1.0, 2.0]), "id is double, but ids are texts"),
    "one row": (parquet_of(x=[1.0]), "it has 1 rows, but 2 to 10,000,000 can be compared"),
}


@pytest.mark.parametrize(("write", "reason"), REFUSED_PARQUET.values(), ids=REFUSED_PARQUET)
def test_a_parquet_file_that_holds_no_matrix_is_refused_in_one_line(
    tmp_path: Path, write: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "x.parquet"
    write(path)
    with pytest.raises(UserError, match=re.escape(reason)) as caught:
        contents(path)
    assert str(caught.value).startswith(f"data.features={path} cannot be read: ")
    assert "\n" not in str(caught.value)


def test_columns_of_equal_names_are_refused(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = arrow.Table.from_arrays([arrow.array([1.0, 2.0])] * 2, ["x", "x"])
    parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(UserError, match="several of its columns have the same name"):
        open_vectors(tmp_path / "x.parquet")


def test_a_column_of_lists_without_rows_is_refused(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    empty = arrow.array([], arrow.list_(arrow.float32()))
    parquet.write_table(arrow.table({"v": empty}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="it has 0 rows, but 2 to"):
        open_vectors(tmp_path / "x.parquet")


def test_a_parquet_file_of_other_rows_than_when_it_was_opened_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame(v=list(ROWS)).to_parquet(tmp_path / "x.parquet")
    found = open_vectors(tmp_path / "x.parquet")
    frame(v=list(ROWS[:2])).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UserError, match="it has 2 rows, but its header tells of 4"):
        list(found.blocks(tmp_path / "scratch.npy"))


def test_without_pyarrow_a_parquet_file_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("src.gallery.parquet_vectors.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the optional dependency parquet: pip install -e"):
        open_vectors(tmp_path / "x.parquet")
