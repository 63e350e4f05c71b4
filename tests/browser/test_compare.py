"""Runs side by side, and the paintings about which they disagree."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from src.browser.compare_view import LETTERS, MAX_WRITTEN, compare_view
from src.browser.disagreement import ORDERS, disagreement, ordered_rows
from src.browser.disagreements_view import disagreements_view
from src.browser.opened import OpenRun
from src.browser.site import NotThere
from tests.support.open_runs import open_run, random_lists, site_of

N, K = 40, 6
DRAW = np.random.default_rng(0)


@pytest.fixture
def runs(tmp_path: Path) -> list[OpenRun]:
    """Return five runs over the same images with random lists; precision is unknown of row 3."""
    precision = DRAW.random((5, N)).round(1)
    precision[:, 3] = np.nan
    return [
        open_run(tmp_path, random_lists(DRAW, N, K), number=number, precision=precision[number])
        for number in range(5)
    ]


def test_columns_are_the_neighbors_of_each_run_with_their_places_elsewhere(
    runs: list[OpenRun],
) -> None:
    for row in range(N):
        context = compare_view(site_of(*runs), runs[1], {"row": str(row)}).context
        columns = context["columns"]
        assert [column.run.number for column in columns] == [0, 1, 2, 3]
        for column in columns:
            assert [neighbor.row for neighbor in column.neighbors] == column.run.index[row].tolist()
            assert column.hits == np.count_nonzero(column.run.index[row] % 2 == row % 2)
            for neighbor in column.neighbors:
                elsewhere = [
                    (LETTERS[other.run.number], other.run.number, rank)
                    for other in columns
                    for rank, found in enumerate(other.run.index[row].tolist(), 1)
                    if other is not column and found == neighbor.row
                ]
                assert neighbor.also == elsewhere
        for first, second, shared, k in context["pairs"]:
            both = np.intersect1d(first.run.index[row], second.run.index[row])
            assert (shared, k) == (len(both), K)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 1, 2, 4]),
        ("0,2", [0, 2, 4]),
        ("4", [4]),
        ("1,7,x,-1,9999999999,٣", [1, 4]),
        ("0,1,2,3", [0, 1, 2, 4]),
    ],
)
def test_an_address_chooses_at_most_four_runs_and_always_the_own(
    text: str, expected: list[int], runs: list[OpenRun]
) -> None:
    context = compare_view(site_of(*runs), runs[4], {"row": "0", "runs": text}).context
    assert [column.run.number for column in context["columns"]] == expected
    for run, is_shown, address in context["choices"]:
        assert is_shown == (run.number in expected)
        if address:
            again = compare_view(site_of(*runs), runs[4], {"row": "0", "runs": address}).context
            numbers = {column.run.number for column in again["columns"]}
            assert numbers == {*expected} ^ {run.number}
        else:
            assert run.number == 4 or (not is_shown and len(expected) == 4)


def test_runs_over_other_images_are_left_out_with_the_reason(
    runs: list[OpenRun], tmp_path: Path
) -> None:
    smaller = open_run(tmp_path, random_lists(DRAW, 9, 3), number=5)
    others = [replace(smaller, images=1), replace(runs[4], number=6, images=2)]
    context = compare_view(site_of(*runs[:2], *others), runs[0], {"row": "0"}).context
    assert len(context["columns"]) == 2
    assert context["left_out"] == [
        ("run 5", "it is over 9 images, this run over 40"),
        ("run 4", "its images are others, or in another folder"),
    ]


def test_a_single_run_says_how_to_open_several(runs: list[OpenRun]) -> None:
    for is_static, path in ((False, str(runs[0].files.path)), (True, "RUN")):
        site = site_of(runs[0], is_static=is_static)
        for view in (compare_view, disagreements_view):
            html = site.render_body(runs[0], view(site, runs[0], {"row": "0"}))
            assert f"python -m src.browse {path} OTHER_RUN" in html


@pytest.mark.parametrize("row", ["", "-1", "40", "x"])
def test_a_row_that_is_not_there_is_an_error(row: str, runs: list[OpenRun]) -> None:
    with pytest.raises(NotThere, match="row must be between 0 and 39"):
        compare_view(site_of(*runs), runs[0], {"row": row})


def test_an_export_has_the_columns_of_all_runs_and_marks_those_shown(runs: list[OpenRun]) -> None:
    site = site_of(*runs, is_static=True)
    page = compare_view(site, runs[0], {"row": "7"})
    shown = [column.is_shown for column in page.context["columns"]]
    assert shown == [True, True, True, True, False]
    html = site.render_body(runs[0], page)
    assert '<section data-run="4" hidden' in html and '<section data-run="3" aria' in html


def test_an_export_has_a_column_for_the_run_of_each_page(tmp_path: Path) -> None:
    many = [open_run(tmp_path, random_lists(DRAW, N, K), number=number) for number in range(10)]
    for own in many:
        context = compare_view(site_of(*many, is_static=True), own, {"row": "0"}).context
        written = [column.run.number for column in context["columns"]]
        assert own.number in written and written == sorted(written)
        assert len(written) == MAX_WRITTEN and context["not_written"] == 10 - MAX_WRITTEN


@pytest.mark.parametrize("lengths", [(6, 6), (6, 4), (3, 6)])
def test_disagreement_equals_sets_row_by_row(lengths: tuple[int, int], tmp_path: Path) -> None:
    gains = DRAW.random((2, N))
    gains[0, 5] = np.nan
    first, second = (
        open_run(tmp_path, random_lists(DRAW, N, k), number=at, precision=gains[at])
        for at, k in enumerate(lengths)
    )
    found, k = disagreement(first, second), min(lengths)
    lists = [[set(row[:k]) for row in run.index.tolist()] for run in (first, second)]
    shared = [len(one & other) for one, other in zip(*lists, strict=True)]
    union = [len(one | other) for one, other in zip(*lists, strict=True)]
    assert (found.k, found.shared.tolist()) == (k, shared)
    assert found.jaccard.tolist() == pytest.approx(np.divide(shared, union))
    np.testing.assert_allclose(found.gain, gains[1] - gains[0], atol=1e-6)


def test_lists_are_in_their_order_with_ties_by_row(runs: list[OpenRun]) -> None:
    first, second = runs[0], runs[2]
    found = disagreement(first, second)
    gain = np.nan_to_num(found.gain)
    rows = range(N)
    expected = {
        "": sorted(rows, key=lambda row: (found.shared[row], -abs(gain[row]), row)),
        "gains": sorted((r for r in rows if gain[r] > 0), key=lambda row: (-gain[row], row)),
        "losses": sorted((r for r in rows if gain[r] < 0), key=lambda row: (gain[row], row)),
    }
    assert expected.keys() == ORDERS.keys()
    for order, listed in expected.items():
        assert ordered_rows(first, second, order).tolist() == listed
    some = replace(first, written=np.arange(N) < 10)
    assert ordered_rows(some, second, "gains").tolist() == [r for r in expected["gains"] if r < 10]


def test_a_list_is_chosen_by_the_address(runs: list[OpenRun]) -> None:
    site = site_of(*runs)
    for parameters, other, order in (
        ({}, 1, ""),
        ({"with": "3", "by": "losses"}, 3, "losses"),
        ({"with": "0", "by": "x", "page": "9"}, 1, ""),
    ):
        (listed,) = disagreements_view(site, runs[0], parameters).context["lists"]
        assert (listed.other.number, listed.order, listed.pages.number) == (other, order, 1)
        rows = [line.row for line in listed.lines]
        assert rows == ordered_rows(runs[0], runs[other], order).tolist()
    written = disagreements_view(site_of(*runs, is_static=True), runs[0], {}).context["lists"]
    names = [(part.other.number, part.order) for part in written]
    assert names == [(other, order) for other in (1, 2, 3, 4) for order in ORDERS]


def test_the_summary_counts_paintings(runs: list[OpenRun], tmp_path: Path) -> None:
    same = open_run(tmp_path, runs[0].index, number=7, precision=np.full(N, 0.0))
    site = site_of(runs[0], same)
    page = disagreements_view(site, runs[0], {})
    html = site.render_body(runs[0], page)
    assert f"{K}.0 are in both lists on average (Jaccard index 1.000). 0 of {N}" in html
    assert f"common, {N} have all" in html
    assert page.context["bars"][7] == [*((count, 0, 0.0) for count in range(K)), (K, N, 100.0)]
    assert "No painting gains average precision" in site.render_body(
        runs[0], disagreements_view(site, runs[0], {"by": "gains"})
    )


def test_the_pages_are_served(client: TestClient) -> None:
    answer = client.get("/0/compare.html?row=5&runs=0,1")
    assert answer.status_code == 200 and answer.text.count("<section data-run=") == 2
    assert 'href="painting.html?row=5"' in answer.text
    assert client.get("/1/disagreements.html?with=0&by=gains").status_code == 200
