"""Hubs and images in no list."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.browser.hubs_view import describe_hubness, hubs_view, remedies
from src.browser.opened import OpenRun
from src.browser.pages import page_of
from tests.support.open_runs import open_run, random_lists, site_of

N, K = 150, 4


@pytest.fixture
def run(tmp_path: Path) -> OpenRun:
    """Return a run in which row 0 is in every list, and rows from 100 on are in none."""
    index = random_lists(np.random.default_rng(0), 100, K)
    index = np.concatenate([index, index[:50]])
    index[1:, 0] = 0
    return open_run(tmp_path, index)


def rows_of(run: OpenRun, **parameters: str) -> list[int]:
    """Return the rows that a page lists."""
    ((_, rows, _),) = hubs_view(site_of(run), run, parameters).context["lists"]
    return list(rows)


def test_every_image_is_listed_once_by_the_number_of_its_lists(run: OpenRun) -> None:
    counts = np.bincount(run.index.ravel(), minlength=N)
    listed = [row for page in "12" for row in rows_of(run, page=page)]
    assert listed == sorted(np.flatnonzero(counts).tolist(), key=lambda row: (-counts[row], row))
    assert listed[0] == 0
    assert rows_of(run, list="never") == np.flatnonzero(counts == 0).tolist()
    some = replace(run, written=np.arange(N) % 2 == 1)
    assert rows_of(some, list="never") == [row for row in range(1, N, 2) if not counts[row]]


def test_an_export_has_both_lists(run: OpenRun) -> None:
    site = site_of(run, is_static=True)
    page = hubs_view(site, run, {})
    assert [name for name, *_ in page.context["lists"]] == ["", "never"]
    html = site.render_body(run, page)
    assert 'data-list=""' in html and 'data-list="list=never"' in html


def test_the_page_says_how_many_lists_and_what_helps(run: OpenRun) -> None:
    site = site_of(run)
    html = site.render_body(run, hubs_view(site, run, {}))
    count = np.count_nonzero(run.index == 0)
    assert f"the largest hub here is in {count}." in html
    assert f"in {count} lists, {count / K:.1f} times the mean" in html
    orphans = np.count_nonzero(np.bincount(run.index.ravel(), minlength=N) == 0)
    assert f"{100 * orphans / N:.1f}% of the images are in no list" in html
    assert "similarity.ranking=csls" in html and "a few images crowd the lists" in html


def test_remedies_are_those_that_a_run_has_not_taken(run: OpenRun) -> None:
    assert len(remedies(run)) == 2
    taken = {"similarity.ranking": "csls", "similarity.postprocess": "whiten"}
    assert remedies(replace(run, settings=taken)) == []


def test_lists_without_hubs_have_no_skewness(tmp_path: Path) -> None:
    ring = open_run(tmp_path, (np.arange(9)[:, None] + 1) % 9)
    site = site_of(ring)
    html = site.render_body(ring, hubs_view(site, ring, {"list": "never"}))
    assert "Hubness 0: nearly even" in html and "Every image is in a list" in html
    assert describe_hubness(1) == "somewhat uneven"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("", 1), ("2", 2), ("3", 3), ("4", 3), ("0", 1), ("-1", 1), ("x", 1), ("٣", 1), ("9" * 99, 1)],
)
def test_any_page_is_one_that_there_is(asked: str, expected: int) -> None:
    assert page_of(total=120, per_page=50, parameters={"page": asked}).number == expected
    assert page_of(total=0, per_page=50, parameters={"page": asked}).last == 1
