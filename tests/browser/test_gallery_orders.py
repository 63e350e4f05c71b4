"""The orders of the gallery: years of dates, ranks, and the notes below the images."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.browser.opened import OpenRun
from src.browser.orders import Ranks, sorted_rows, year_of
from src.evaluation.hubness import k_occurrence
from src.gallery.search import fold
from tests.support.collection import collection
from tests.support.open_runs import open_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> OpenRun:
    """Return a run over a made collection."""
    return collection(tmp_path_factory.mktemp("collection"))


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("1884", 1884),
        ("c. 1884", 1884),
        ("1501/1506", 1501),
        ("1884.0", 1884),
        ("after 1650", 1650),
        ("1880s", 1880),
        ("12/05/1884", 1884),
        ("1884-05-12", 1884),
        ("May 3, 1884/85", 1884),
        ("明治17年 1884年", 1884),
        ("c. 950", 950),
        ("18th century", 1701),
        ("late 15th-century copy, 1890", 1890),
        ("1st c.", 1),
        ("c. 500 BC", -500),
        ("3rd century B.C.", -300),
        ("12345", None),
        ("n.d.", None),
        ("", None),
    ],
)
def test_the_year_of_a_date(date: str, year: int | None) -> None:
    assert year_of(date) == year


@given(st.lists(st.integers(-1, 5), max_size=30), st.booleans(), st.data())
def test_unknown_ranks_are_last_and_equal_ones_stay(
    ranks: list[int], descends: bool, data: st.DataObject
) -> None:
    rows = [row for row in range(len(ranks)) if data.draw(st.booleans())]
    known = [row for row in rows if ranks[row] >= 0]
    known.sort(key=lambda row: -ranks[row] if descends else ranks[row])
    expected = known + [row for row in rows if ranks[row] < 0]
    given_ranks = Ranks(np.array(ranks, np.int64), [])
    assert sorted_rows(np.array(rows, np.int64), given_ranks, descends).tolist() == expected


def in_order(run: OpenRun, key: str) -> list[int]:
    """Return all rows in one of the orders."""
    return run.catalog.sorted(np.arange(len(run)), run.catalog.orders[key]).tolist()


def natural(text: str) -> list[tuple[int, str]]:
    """Return a key by letters and the size of numbers."""
    parts = re.findall(r"\d+|\D+", fold(text))
    return [(int(part), "") if part.isdecimal() else (10**9, part) for part in parts]


def test_titles_are_sorted_as_readers_do(run: OpenRun) -> None:
    titles = [run.caption(row).title for row in in_order(run, "title")]
    plain = [title for title in titles if not re.search(r"\d", title)]
    assert len(plain) > 100
    assert plain == sorted(plain, key=fold)
    numbered = collection_of_titles(run, ["No. 10", "no. 2", "Été", "eta", "No. 1"])
    assert numbered == ["eta", "Été", "No. 1", "no. 2", "No. 10"]


def collection_of_titles(run: OpenRun, titles: list[str]) -> list[str]:
    """Return titles as a run over images with them sorts them."""
    folder = run.files.path.parent / "titles"
    other = open_run(folder, np.zeros((len(titles), 1), int), works={"title": titles})
    return [titles[row] for row in in_order(other, "title")]


def test_artists_and_dates_have_unknown_ones_last(run: OpenRun) -> None:
    artists = [run.value(row, "artist") for row in in_order(run, "artist")]
    known = [fold(artist) for artist in artists if artist]
    assert known == sorted(known) and not any(artists[len(known) :])
    for key, sign in (("date", 1), ("newest", -1)):
        years = [year_of(run.value(row, "date")) for row in in_order(run, key)]
        dated = [sign * year for year in years if year is not None]
        assert dated == sorted(dated) and not any(years[len(dated) :])


def test_hubs_come_first_with_the_number_of_lists(run: OpenRun) -> None:
    rows, counts = in_order(run, "hubs"), k_occurrence(run.index)
    assert rows == sorted(range(len(run)), key=lambda row: (-counts[row], row))
    hubs = run.catalog.orders["hubs"]
    assert run.catalog.note(rows[0], hubs) == f"in lists of neighbors: {counts[rows[0]]}"


@pytest.mark.parametrize(("name", "sign"), [("worst", 1), ("best", -1)])
def test_average_precision_of_a_label(run: OpenRun, name: str, sign: int) -> None:
    key = f"artist/map_at_10.{name}"
    values = run.files.query_values("artist/map_at_10", len(run))
    rows = in_order(run, key)
    unknown = np.isnan(values)
    assert rows == sorted(
        range(len(run)), key=lambda r: (unknown[r], sign * np.nan_to_num(values[r]), r)
    )
    order = run.catalog.orders[key]
    assert run.catalog.note(rows[0], order) == f"average precision {values[rows[0]]:.3f}"
    assert run.catalog.note(rows[-1], order) == ""


def test_only_orders_that_the_run_knows_are_offered(tmp_path: Path) -> None:
    run = open_run(tmp_path, np.zeros((4, 1), int))
    assert list(run.catalog.orders) == [
        "",
        "title",
        "artist",
        "hubs",
        "artist/map_at_10.worst",
        "artist/map_at_10.best",
    ]
    assert run.catalog.note(0, run.catalog.orders[""]) == ""
