"""The page of the gallery: rows, counts, conditions, pages and ways out, all in its address."""

import os
import re
from collections import Counter
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.browser.gallery_view import PER_PAGE, gallery_view
from src.browser.opened import OpenRun
from src.browser.selection import MAX_VALUES, Selection, State, read_state
from tests.support.collection import HOSTILE, collection, queries
from tests.support.open_runs import open_run, site_of

N = 450


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> OpenRun:
    """Return a run over a made collection."""
    return collection(tmp_path_factory.mktemp("collection"), N)


def shown(run: OpenRun, address: str) -> str:
    """Return the HTML of the page that an address asks for."""
    parameters = dict(parse_qsl(urlsplit(address).query, True, errors="surrogateescape"))
    site = site_of(run)
    return site.render(run, "gallery", gallery_view(site, run, parameters))


def rows_of(html: str) -> list[int]:
    """Return the rows of the cards."""
    return [int(row) for row in re.findall(r'data-row="(\d+)"', html)]


def found(html: str) -> str:
    """Return the sentence that says how many images there are."""
    return re.findall(r'data-part="found"[^>]*>(.*?)<', html)[0]


def links(html: str, name: str) -> dict[str, str]:
    """Return by text the addresses of the links in a list of the page."""
    part = html.split(f'data-part="{name}"')[1].split("</ul>")[0]
    pairs = re.findall(r'<a href="([^"]*)"[^>]*>(.*?)</a>', part, re.DOTALL)
    return {" ".join(re.sub("<.*?>", "", text).split()): unescape(url) for url, text in pairs}


def test_pages_follow_each_other_through_all_images(run: OpenRun) -> None:
    address, rows, count = "gallery.html?sort=title", list[int](), 0
    while address:
        html = shown(run, address)
        rows += rows_of(html)
        count += 1
        following = re.search(r'<a href="([^"]*)" data-part="next" rel="next">', html)
        address = unescape(following[1]) if following else ""
        assert f'name="page" min="1" max="5" value="{count}"' in html
    assert count == 5
    assert len(rows) == N and len(set(rows)) == N
    assert rows == run.catalog.sorted(np.arange(N), run.catalog.orders["title"]).tolist()


@pytest.mark.parametrize(
    ("page", "number"), [("", 1), ("0", 1), ("-3", 1), ("2", 2), ("x", 1), ("9" * 8, 5), ("²", 1)]
)
def test_a_page_that_is_not_there_is_the_nearest(run: OpenRun, page: str, number: int) -> None:
    rows = rows_of(shown(run, f"gallery.html?page={page}"))
    assert rows[0] == (number - 1) * PER_PAGE


def plainly_selected(run: OpenRun, state: State) -> pd.DataFrame:
    """Return the works that a state selects, looked up in the table of works."""
    works = run.gallery.works
    for match in run.catalog.index.search(state.query):
        works = works[match.rows[works.index]]
    for column, value in state.filters:
        codes = run.catalog.facets[column].values
        raw = [*run.labels[column].values, ""][codes.index(value)] if value in codes else None
        works = works[works[column] == raw]
    return works


def test_values_are_counted_under_the_search_and_the_other_filters(run: OpenRun) -> None:
    checked = 0
    for pairs in queries(run, 60):
        state, _ = read_state(dict(pairs), run.catalog)
        selection = Selection(run.catalog, state)
        assert sorted(selection.images) == list(plainly_selected(run, state).index)
        for column in run.catalog.facets:
            works = plainly_selected(run, state.with_filter(column, None))
            raw = [*run.labels[column].values, ""]
            names = dict(zip(raw, run.catalog.facets[column].values, strict=True))
            expected = Counter(names[value] for value in works[column])
            facet = selection.facet(column)
            counts = {value.text: value.images for value in facet.values}
            assert +Counter(counts) == {text: expected[text] for text in counts if expected[text]}
            assert len(expected) == len(+Counter(counts)) + facet.rest
            assert list(counts.values()) == sorted(counts.values(), reverse=True)
            checked += len(counts)
    assert checked > 500


def test_a_value_toggles_and_what_is_rare_is_left_to_the_search(tmp_path: Path) -> None:
    values = [f"value {row // 2:03d}" for row in range(2 * MAX_VALUES + 40)]
    run = open_run(tmp_path, np.zeros((len(values), 1), int), works={"kind": values})
    facet = Selection(run.catalog, State()).facet("kind")
    assert len(facet.values) == MAX_VALUES and facet.rest == 20
    last = State(filters=(("kind", values[-1]),))
    chosen = Selection(run.catalog, last).facet("kind").values[-1]
    assert (chosen.text, chosen.images, chosen.is_active) == (values[-1], 2, True)
    assert chosen.address == "gallery.html"
    html = shown(run, "gallery.html")
    assert "110</span> more" in " ".join(html.split()) and "The search finds the others" in html


texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1)


@given(texts, st.sampled_from(["", "title", "hubs"]), st.integers(1, 99), st.data())
def test_an_address_reopens_its_state(
    run: OpenRun, query: str, sort: str, page: int, data: st.DataObject
) -> None:
    filters = list[tuple[str, str]]()
    for column in data.draw(st.permutations(list(run.catalog.facets))):
        values = [*run.catalog.facets[column].values, "a value of another run"]
        filters += (
            [(column, data.draw(st.sampled_from(values)))] if data.draw(st.booleans()) else []
        )
    state = State(query[:200], tuple(filters), sort)
    pairs = parse_qsl(urlsplit(state.address()).query, keep_blank_values=True)
    assert read_state(dict(pairs), run.catalog) == (state, [])
    assert ("page", "7") in parse_qsl(urlsplit(replace(state, page=7).address()).query)


def test_a_value_of_any_bytes_is_kept_in_links(run: OpenRun) -> None:
    value = os.fsdecode(b"\xff")
    page = shown(run, State(filters=(("artist", value),), query="zzz").address())
    assert "f.artist=%FF" in page


def test_a_label_called_q_is_not_the_search(run: OpenRun) -> None:
    value = run.catalog.facets["q"].values[0]
    html = shown(run, State(filters=(("q", value),)).address())
    assert rows_of(html) == [row for row in range(N) if run.value(row, "q") == value]
    assert 'id="search" name="q" value=""' in html


def test_what_a_run_does_not_know_is_left_out_and_labels_are_named(run: OpenRun) -> None:
    html = shown(run, "gallery.html?sort=gone&f.gone=1&other=2")
    assert found(html) == f"{N} images"
    assert '<b data-part="columns">gone</b>' in html
    assert "no label <b" not in shown(run, "gallery.html").split("hidden>This run has")[0]


def test_typos_are_told(run: OpenRun) -> None:
    word = max(run.catalog.index.vocabulary, key=len)
    html = shown(run, f"gallery.html?q={word}x+qqqqqqq")
    told = re.findall(r'<p class="correction">(.*?)</p>', html)
    visible = [re.sub("<.*?>", "", re.sub("<span[^>]* hidden>.*?</span>", "", p)) for p in told]
    assert visible == [
        f"No image has {word}x; showing {word}.",
        "No image has qqqqqqq, nor a word like it.",
    ]


def test_an_empty_result_leads_to_full_ones(run: OpenRun) -> None:
    artists = run.catalog.facets["artist"].values
    for state in (
        State("xyzxyz"),
        State("xyzxyz", (("artist", artists[0]),)),
        State("xyzxyz zyxzyx", (("artist", artists[0]), ("wing", "gone"))),
    ):
        html = shown(run, state.address())
        assert found(html) == f"None of {N} images" and not rows_of(html)
        ways = links(html, "ways")
        assert bool(ways) == (len(state.filters) > 0)
        for address in ways.values():
            assert rows_of(shown(run, address))
        examples = re.findall('<a href="(.*?f.artist=.*?)"', html.split("Or look at one artist")[1])
        assert all(rows_of(shown(run, unescape(address))) for address in examples[:5])
        assert '<a href="gallery.html">Clear' in html


def test_conditions_are_links_that_let_go_of_them(run: OpenRun) -> None:
    artist = run.catalog.facets["artist"].values[0]
    state = State("no mo", (("artist", artist), ("wing", "")), "title")
    chips = links(shown(run, state.address()), "chips")
    assert chips == {
        "Remove search: no &times;": replace(state, query="mo").address(),
        "Remove search: mo &times;": replace(state, query="no").address(),
        f"Remove artist: {artist} &times;": replace(state, filters=(("wing", ""),)).address(),
        "Remove wing: unknown &times;": replace(state, filters=(("artist", artist),)).address(),
    }


def test_hostile_labels_are_text_and_can_be_chosen(run: OpenRun) -> None:
    html = shown(run, "gallery.html")
    assert "<b>&amp;</b>" not in html and "\u202e" not in html
    addresses = list(links(html.split('data-column="school"')[1], "top").values())
    assert len(addresses) == len(HOSTILE) + 1
    assert sum(len(rows_of(shown(run, address))) for address in addresses) == N


def test_a_collection_without_labels_says_so(tmp_path: Path) -> None:
    works = {"artist": [f"painter {row}" for row in range(4)]}
    run = open_run(tmp_path, np.zeros((4, 1), int), works=works)
    html = shown(run, "gallery.html?q=nothing")
    assert "no labels to filter by" in html and "Or look at" not in html
    assert rows_of(shown(run, "gallery.html?q=painter+3")) == [3]


def test_an_export_of_some_images_shows_and_counts_those(run: OpenRun) -> None:
    some = replace(run, written=np.arange(N) % 7 == 3)
    assert rows_of(shown(some, "gallery.html?sort=hubs")) == sorted(
        range(3, N, 7), key=lambda row: (-run.occurrence[row], row)
    )
    html = shown(some, "gallery.html?f.wing=")
    rows = [row for row in range(3, N, 7) if not run.value(row, "wing")]
    assert rows_of(html) == rows and found(html) == f"{len(rows)} of 64 images"
