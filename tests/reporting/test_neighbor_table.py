"""neighbors.csv against neighbors.npz, read by pandas."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.gallery import Gallery
from src.reporting.neighbor_table import neighbor_frame, write_neighbor_csv, write_neighbor_parquet

TITLES = ["Self-Portrait", 'The "Night", Watch', "=1+1", "", "Zwölf\u3042"]
ARTISTS = ["Leyster", "Rembrandt", "Leyster", "", "Rembrandt"]


@pytest.fixture
def gallery() -> Gallery:
    """Five images, with an empty column."""
    files = [f"a/{number}.jpg" for number in range(5)]
    columns = {"file": files, "image_id": files, "title": TITLES, "artist": ARTISTS}
    columns |= {"iiif": [f"https://museum/{n}" for n in range(5)], "wikidata": [""] * 5}
    return Gallery("small", Path("/images"), pd.DataFrame(columns, dtype=object))


@pytest.fixture
def neighbors() -> tuple[np.ndarray, np.ndarray]:
    """Three neighbors of each of five images: index and score (5, 3)."""
    index = np.array([[2, 1, 4], [4, 3, 0], [0, 1, 3], [1, 0, 2], [1, 2, 3]], dtype=np.int32)
    return index, np.linspace(1, -1, 15, dtype=np.float32).reshape(5, 3)


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"query_title": str}, keep_default_na=False)


def test_each_line_is_one_neighbor_of_one_query(
    gallery: Gallery, neighbors: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    index, score = neighbors
    write_neighbor_csv(tmp_path / "neighbors.csv", gallery, index, score)
    table = read(tmp_path / "neighbors.csv")
    sides = [f"{side}_{name}" for side in ("query", "neighbor") for name in ("file", "iiif")]
    assert list(table["query_row"]) == [row for row in range(5) for _ in range(3)]
    assert list(table["rank"]) == [1, 2, 3] * 5
    assert np.array_equal(table["neighbor_row"].to_numpy().reshape(5, 3), index)
    assert np.allclose(table["score"].to_numpy().reshape(5, 3), score, atol=5e-7, rtol=0)
    assert set(sides) <= set(table)
    for side in ("query", "neighbor"):
        expected = [gallery.files[row] for row in table[f"{side}_row"]]
        assert list(table[f"{side}_file"]) == expected


def test_same_artist_is_blank_where_an_artist_is_unknown(
    gallery: Gallery, neighbors: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    write_neighbor_csv(tmp_path / "neighbors.csv", gallery, *neighbors)
    table = read(tmp_path / "neighbors.csv")
    first = table[table["query_row"] == 0]
    assert list(first["same_artist"]) == ["yes", "no", "no"]
    assert set(table.loc[table["query_row"] == 3, "same_artist"]) == {""}


def test_columns_without_any_value_are_left_out(
    gallery: Gallery, neighbors: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    write_neighbor_csv(tmp_path / "neighbors.csv", gallery, *neighbors)
    facts = ["row", "file", "title", "artist", "iiif"]
    expected = [f"query_{name}" for name in facts] + ["rank", "score", "same_artist"]
    expected += [f"neighbor_{name}" for name in facts]
    assert list(read(tmp_path / "neighbors.csv")) == expected


@pytest.mark.parametrize(("escaped", "seen"), [(True, "'=1+1"), (False, "=1+1")])
def test_a_title_that_is_a_formula_is_text_in_a_spreadsheet(
    gallery: Gallery,
    neighbors: tuple[np.ndarray, np.ndarray],
    escaped: bool,
    seen: str,
    tmp_path: Path,
) -> None:
    write_neighbor_csv(tmp_path / "neighbors.csv", gallery, *neighbors, escaped)
    table = read(tmp_path / "neighbors.csv")
    titles = [TITLES[0], TITLES[1], seen, "", TITLES[4]]
    assert list(table["query_title"][::3]) == titles


def test_slugs_are_words_and_a_year_is_the_date(
    gallery: Gallery, neighbors: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    slugs = ["the-tedder-1884", "girl-with-a-flute", "", "a-b", "c"]
    works = gallery.works.drop(columns="title")
    works = works.assign(title_slug=slugs, year=["1884.0", "1669", "", "1700.0", ""])
    write_neighbor_csv(tmp_path / "n.csv", Gallery("slugs", gallery.root, works), *neighbors)
    table = pd.read_csv(tmp_path / "n.csv", dtype=str, keep_default_na=False)[::3]
    assert list(table["query_title"])[:3] == ["The tedder", "Girl with a flute", ""]
    assert list(table["query_date"]) == ["1884", "1669", "", "1700", ""]


def test_a_gallery_without_artists_has_no_such_column(
    gallery: Gallery, neighbors: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    plain = Gallery("plain", gallery.root, gallery.works[["file"]])
    write_neighbor_csv(tmp_path / "neighbors.csv", plain, *neighbors)
    columns = ["query_row", "query_file", "rank", "score", "neighbor_row", "neighbor_file"]
    assert list(read(tmp_path / "neighbors.csv")) == columns


def test_names_that_are_not_utf8_keep_their_bytes(
    gallery: Gallery, neighbors: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    works = gallery.works.assign(file=[f"{n}\udcff.jpg" for n in range(5)])
    write_neighbor_csv(tmp_path / "n.csv", Gallery("odd", gallery.root, works), *neighbors)
    assert b"0,0\xff.jpg," in (tmp_path / "n.csv").read_bytes()


def test_parquet_has_the_same_table(
    gallery: Gallery, neighbors: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow", reason="the optional dependency parquet is not installed")
    write_neighbor_csv(tmp_path / "n.csv", gallery, *neighbors, escape_formulas=False)
    write_neighbor_parquet(tmp_path / "n.parquet", neighbor_frame(gallery, *neighbors))
    table, expected = pd.read_parquet(tmp_path / "n.parquet"), read(tmp_path / "n.csv")
    same = table["same_artist"].map({True: "yes", False: "no"}).fillna("")
    assert list(same) == list(expected["same_artist"])
    assert list(table) == list(expected)
    for column in set(table) - {"same_artist", "score"}:
        assert list(table[column]) == list(expected[column])
    assert np.allclose(table["score"], expected["score"], atol=5e-7)
