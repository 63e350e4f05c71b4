"""paintings.csv and paintings.parquet, read by pandas and pyarrow, against neighbors.npz."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.gallery import Gallery
from src.io.csv_cells import unescape_cell
from src.reporting.painting_table import painting_frame, write_painting_table
from src.reporting.run_folder import RunFolder
from tests.support.ranked_run import clustered, works_of, write_ranked_run

N, K = 5, 3
TITLES = ["Self-Portrait", 'The "Night",\nWatch', "=1+1", "", "Zwölf\u3042"]


def small_gallery(**columns: list[str]) -> Gallery:
    """Return five images, with an empty column."""
    files = [f"a/{number}.jpg" for number in range(N)]
    known = {"file": files, "image_id": files, "style": ["", "x", "x", "y", "y"]}
    known |= {"title": TITLES, "wikidata": [""] * N, "width": ["30", "", "7", "8", "9"]}
    return Gallery("small", Path("/images"), pd.DataFrame(known | columns, dtype=object))


def some_neighbors() -> tuple[np.ndarray, np.ndarray]:
    """Return three neighbors of each of five images: index and score (5, 3), best first."""
    index = np.array([[2, 1, 4], [4, 3, 0], [0, 1, 3], [1, 0, 2], [1, 2, 3]], dtype=np.int32)
    return index, np.linspace(1, -1, N * K, dtype=np.float32).reshape(N, K)


def places(n: int = N) -> np.ndarray:
    """Return a place on the map for each of n images, (n, 2)."""
    return np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)


def write(folder: Path, gallery: Gallery, escaped: bool = True) -> pd.DataFrame:
    """Write both tables and return the CSV, all of it text."""
    write_painting_table(folder, gallery, *some_neighbors(), places(), escaped)
    return pd.read_csv(folder / "paintings.csv", dtype=str, keep_default_na=False)


def arrow_table(path: Path):
    """Return a Parquet file as a table of pyarrow."""
    reason = "the optional dependency parquet is not installed"
    return pytest.importorskip("pyarrow.parquet", reason=reason).read_table(path)


def test_each_line_is_an_image_with_its_neighbors(tmp_path: Path) -> None:
    index, score = some_neighbors()
    table = write(tmp_path, small_gallery())
    assert list(table["row"]) == ["0", "1", "2", "3", "4"]
    assert list(table["file"]) == small_gallery().files
    np.testing.assert_array_equal(table[["x", "y"]].astype(np.float32), places())
    for row, text in enumerate(table["neighbors"]):
        neighbors = json.loads(text)
        assert neighbors["ids"] == index[row].tolist()
        assert neighbors["distances"] == pytest.approx(1 - score[row], abs=1e-6)


def test_columns_are_those_with_values_captions_first(tmp_path: Path) -> None:
    table = write(tmp_path, small_gallery(artist=["a", "", "b", "", ""]))
    expected = ["row", "file", "x", "y", "title", "artist", "style", "width", "neighbors"]
    assert list(table) == expected


@pytest.mark.parametrize(("escaped", "seen"), [(True, "'=1+1"), (False, "=1+1")])
def test_a_cell_is_one_line_and_no_formula(escaped: bool, seen: str, tmp_path: Path) -> None:
    table = write(tmp_path, small_gallery(), escaped)
    assert list(table["title"]) == ["Self-Portrait", 'The "Night", Watch', seen, "", TITLES[4]]
    assert len((tmp_path / "paintings.csv").read_text().splitlines()) == N + 1


def test_names_that_are_not_utf8_keep_their_bytes_in_the_csv(tmp_path: Path) -> None:
    names = [f"{n}\udcff" for n in range(N)]
    gallery = small_gallery(file=[f"{name}.jpg" for name in names], folder=names)
    write_painting_table(tmp_path, gallery, *some_neighbors(), places(), True)
    assert b"\r\n0,0\xff.jpg," in (tmp_path / "paintings.csv").read_bytes()
    table = arrow_table(tmp_path / "paintings.parquet")
    assert table["file"][0].as_py() == "0\ufffd.jpg"
    found = pd.read_csv(tmp_path / "paintings.csv", encoding_errors="replace")
    assert found["file"][0] == "0\ufffd.jpg"


def test_a_label_with_the_name_of_an_own_column_gets_another(tmp_path: Path) -> None:
    values = ["1", "2", "3", "4", "5"]
    gallery = small_gallery(x=values, Neighbors=values, works_x=values, **{"=row": values})
    table = write(tmp_path, gallery)
    assert {"works_x", "works_works_x", "works_Neighbors", "'=row"} <= set(table)
    assert list(table["works_x"]) == list(table["works_works_x"]) == values
    folded = [name.casefold() for name in table]
    assert len(folded) == len(set(folded))  # DuckDB tells no case apart


def test_parquet_has_the_types_that_embedding_atlas_documents(tmp_path: Path) -> None:
    write(tmp_path, small_gallery())
    table = arrow_table(tmp_path / "paintings.parquet")
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    texts = dict.fromkeys(("file", "title", "style"), "string")
    numbers = {"row": "int32", "x": "float", "y": "float", "width": "int32"}
    neighbors = "struct<ids: list<element: int32>, distances: list<element: float>>"
    assert types == texts | numbers | {"neighbors": neighbors}
    assert table["width"].to_pylist() == [30, None, 7, 8, 9]


def test_sizes_that_are_no_numbers_stay_text(tmp_path: Path) -> None:
    write(tmp_path, small_gallery(width=["30", "wide", "", "", "9"]))
    table = arrow_table(tmp_path / "paintings.parquet")
    assert table["width"].to_pylist() == ["30", "wide", "", "", "9"]


@pytest.mark.parametrize("ranking", ["cosine", "csls"])
def test_the_tables_of_a_run_hold_its_neighbors_by_distance(ranking: str, tmp_path: Path) -> None:
    rows = clustered()
    rows[7] = 0
    run = RunFolder(write_ranked_run(tmp_path, features=rows, ranking=ranking))
    index, score = run.neighbors()
    assert (np.diff(score) > 0).any() == (ranking == "csls")  # which orders them otherwise
    tables = [run.paintings(), pd.read_csv(run.path / "paintings.csv")]
    tables[1]["neighbors"] = tables[1]["neighbors"].map(json.loads)
    tables.append(arrow_table(run.path / "paintings.parquet").to_pandas())
    assert [list(table) for table in tables] == [list(tables[0])] * 3
    for table in tables:
        for row, neighbors in enumerate(table["neighbors"]):
            ids, distances = np.array(neighbors["ids"]), np.array(neighbors["distances"])
            order = np.argsort(-score[row], kind="stable")
            assert len(ids) == 10 and (np.diff(distances) >= 0).all() and (distances >= 0).all()
            np.testing.assert_array_equal(ids, index[row][order])
            np.testing.assert_allclose(distances, 1 - score[row][order], atol=1e-6)


@pytest.mark.parametrize("change", [{}, {"postprocess": "whiten"}, {"augment": 3}])
def test_positions_are_those_of_the_map(change: dict[str, object], tmp_path: Path) -> None:
    run = RunFolder(write_ranked_run(tmp_path, **change))
    table, stored = run.paintings(), run.layout("pca", 60)
    assert stored is not None
    np.testing.assert_array_equal(table[["x", "y"]].to_numpy(), stored)
    csv = pd.read_csv(run.path / "paintings.csv", dtype={"x": np.float32, "y": np.float32})
    np.testing.assert_array_equal(csv[["x", "y"]].to_numpy(), stored)
    (run.path / "map-pca.npy").unlink()  # as of an earlier version
    np.testing.assert_allclose(run.paintings()[["x", "y"]], stored, atol=1e-5)


@pytest.mark.parametrize("features", [np.eye(2), np.ones((3, 4)), np.zeros((3, 4))])
def test_few_and_equal_and_zero_rows_have_places(features: np.ndarray, tmp_path: Path) -> None:
    rows, n = features.astype(np.float32), len(features)
    run = RunFolder(write_ranked_run(tmp_path, works_of(n), rows, top_k=n - 1))
    table = run.paintings()
    assert np.isfinite(table[["x", "y"]].to_numpy()).all()
    assert all(len(neighbors["ids"]) == n - 1 for neighbors in table["neighbors"])
    (distances,) = {tuple(neighbors["distances"].tolist()) for neighbors in table["neighbors"]}
    assert distances == (float((features == 0).any()),) * (n - 1)


def test_unknown_dates_and_texts_are_the_same_in_all_tables(finished_run: Path) -> None:
    table = RunFolder(finished_run).paintings()
    csv = pd.read_csv(finished_run / "paintings.csv", keep_default_na=False)
    for column in set(table) - {"x", "y", "neighbors"}:
        assert list(csv[column].astype(str).map(unescape_cell)) == list(table[column].astype(str))


def test_a_frame_has_a_dictionary_of_arrays_for_each_image() -> None:
    index, score = some_neighbors()
    score[0, 0] = np.nextafter(np.float32(1), np.float32(2))
    table = painting_frame(small_gallery(), index, score, places())
    first = table["neighbors"][0]
    assert first["ids"].dtype == np.int32 and first["ids"].tolist() == [2, 1, 4]
    assert first["distances"].tolist() == pytest.approx([0, *(1 - score[0, 1:])])


def test_a_run_that_begins_again_discards_the_tables(tmp_path: Path) -> None:
    run = RunFolder(write_ranked_run(tmp_path))
    assert {"paintings.csv", "neighbors.csv"} <= {path.name for path in run.path.iterdir()}
    run.discard_results()
    left = {path.name for path in run.path.iterdir()}
    assert not {name for name in left if name.startswith(("paintings", "neighbors.c", "map"))}
    assert "metrics.json" not in left and "neighbors.parquet" not in left


def test_without_the_option_there_are_no_tables(tmp_path: Path) -> None:
    run = write_ranked_run(tmp_path, write_csv=False)
    names = {path.name for path in run.iterdir()}
    assert not names & {"paintings.csv", "paintings.parquet", "neighbors.csv", "map-pca.npy"}
    assert len(RunFolder(run).paintings()) == 60
