"""The search of the gallery: every word, as a part of a text, with accents and typos forgiven."""

from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.browser.edits import edit_distances
from src.browser.opened import OpenRun
from src.browser.search import MAX_INSTEAD, SearchIndex, row_texts
from src.gallery import Gallery
from src.gallery.search import fold, spellings
from tests.support.collection import collection, queries

WORKS = {
    "file": ["a/0-nympheas.jpg", "a/1.jpg", "b/2.jpg", "b/girl-with-a-flute.png", "4.png"],
    "title": ["Nymphéas", "La Grenouillère", "Selbstbildnis", "", ""],
    "title_slug": ["", "", "", "", "wheat-field"],
    "artist": ["Claude Monet", "Claude Monet", "Albrecht Dürer", "", "Vincent van Gogh"],
    "date": ["1906", "", "1498", "", ""],
    "year": ["", "1869.0", "", "", "1888"],
    "school": ["French", "French", "German", "", "Dutch"],
}


@pytest.fixture
def index() -> SearchIndex:
    """Return the index of WORKS, in which artist and school are labels."""
    gallery = Gallery("g", Path("images"), pd.DataFrame(WORKS, dtype=object))
    columns = {name: pd.factorize(np.array(WORKS[name])) for name in ("artist", "school")}
    labels = {name: (list(values), codes) for name, (codes, values) in columns.items()}
    return SearchIndex(gallery, labels)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> OpenRun:
    """Return a run over a made collection."""
    return collection(tmp_path_factory.mktemp("collection"))


def found(index: SearchIndex, query: str) -> list[int]:
    """Return the rows that have all words of a query."""
    rows = [match.rows for match in index.search(query)]
    return np.flatnonzero(np.logical_and.reduce(rows)).tolist()


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("monet", [0, 1]),
        ("MONET claude", [0, 1]),
        ("nymphEas", [0]),
        ("grenouillere 1869", [1]),
        ("durer", [2]),
        ("Duerer", [2]),
        ("Dürer", [2]),
        ("flute", [3]),
        ("wheat field", [4]),
        ("dutch 1888", [4]),
        ("b/2.jpg", [2]),
        ("gren", [1]),
        ("monet german", []),
    ],
)
def test_every_word_is_found_wherever_it_stands(
    index: SearchIndex, query: str, rows: list[int]
) -> None:
    assert found(index, query) == rows
    assert not any(match.instead for match in index.search(query))


@pytest.mark.parametrize(
    ("query", "instead", "rows"),
    [
        ("monett", ["monet"], [0, 1]),
        ("moent", ["monet"], [0, 1]),
        ("mone t", [], None),
        ("Dührer", ["duerer", "durer"], [2]),
        ("selbsbildnsi", ["selbstbildnis"], [2]),
        ("gigh", ["gogh"], [4]),
        ("1889", [], []),
        ("zz", [], []),
        ("zebra", [], []),
        ("gog", [], [4]),
    ],
)
def test_a_word_that_nothing_has_is_a_typo_for_the_nearest(
    index: SearchIndex, query: str, instead: list[str], rows: list[int] | None
) -> None:
    matches = index.search(query)
    assert matches[0].instead == instead
    assert rows is None or found(index, query) == rows


def test_a_query_without_a_word_asks_for_nothing(index: SearchIndex) -> None:
    assert index.search("?! ") == []


def test_equal_words_are_searched_once(index: SearchIndex) -> None:
    assert [match.word for match in index.search("Monet monet MONET")] == ["monet"]


def test_words_that_only_left_out_values_have_are_not_offered() -> None:
    gallery = Gallery("g", Path("images"), pd.DataFrame({"file": ["1.png", "2.png"]}, dtype=object))
    index = SearchIndex(gallery, {"school": (["gone", "here"], np.array([1, 1]))})
    assert set(index.vocabulary) == {"here", "png"}
    assert index.nearest(["gonee"]) == []


def test_artist_is_searched_when_it_is_no_label() -> None:
    gallery = Gallery("g", Path("images"), pd.DataFrame(WORKS, dtype=object))
    assert "albrecht" in row_texts(gallery, has_artist=True)[2]
    assert "albrecht" not in row_texts(gallery, has_artist=False)[2]


def plain_texts(run: OpenRun) -> list[set[str]]:
    """Return the texts of each row in all their spellings."""
    works = run.gallery.works
    columns = {"title", "artist", "date", "file", *run.labels} & set(works)
    return [
        {text for column in columns for text in spellings(works[column][row])}
        for row in range(len(run))
    ]


def plainly_found(texts: list[set[str]], word: str) -> set[int]:
    """Return the rows with a folded word in any text of theirs, looked for one by one."""
    return {row for row, found in enumerate(texts) if any(word in text for text in found)}


def test_matches_are_those_of_a_plain_look_at_every_text(run: OpenRun) -> None:
    asked = [pairs[0][1] for pairs in queries(run, 60) if pairs and pairs[0][0] == "q"]
    matches = [match for text in asked for match in run.catalog.index.search(text)]
    texts = plain_texts(run)
    assert sum(bool(match.instead) for match in matches) > 10
    for match in matches:
        words = match.instead or [match.word]
        rows = set().union(*(plainly_found(texts, word) for word in words))
        assert set(np.flatnonzero(match.rows)) == rows
        assert not match.instead or not plainly_found(texts, match.word)


def test_words_in_place_of_one_are_the_nearest_and_most_frequent(run: OpenRun) -> None:
    index = run.catalog.index
    for word in ("monaa", "rieel", "gardensto", "torvisole", "lulu"):
        limit = 2 if len(word) >= 8 else 1
        edits = {other: plain_distance(word, other) for other in index.vocabulary}
        fewest = min(edits.values())
        near = [other for other in edits if edits[other] == fewest <= limit]
        near.sort(key=lambda other: (-index.vocabulary[other], other))
        assert index.nearest([word]) == near[:MAX_INSTEAD]


def plain_distance(word: str, other: str) -> int:
    """Return the edits between two words by the definition."""

    @cache
    def edits(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        ways = [edits(i - 1, j) + 1, edits(i, j - 1) + 1]
        ways.append(edits(i - 1, j - 1) + (word[i - 1] != other[j - 1]))
        if i > 1 and j > 1 and word[i - 2 : i] == other[j - 2 : j][::-1]:
            ways.append(edits(i - 2, j - 2) + 1)
        return min(ways)

    return edits(len(word), len(other))


def test_edits_between_all_short_words_are_those_of_the_definition() -> None:
    words = ["".join(letters) for n in range(4) for letters in product("abc", repeat=n)]
    for word in words:
        assert edit_distances(word, words).tolist() == [plain_distance(word, o) for o in words]


@given(st.text("abé神", max_size=6), st.lists(st.text("abé神", max_size=7), max_size=6))
def test_edits_are_those_of_the_definition(word: str, others: list[str]) -> None:
    assert edit_distances(word, others).tolist() == [plain_distance(word, o) for o in others]


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_both_spellings_of_a_text_have_the_same_number_of_words(text: str) -> None:
    assert {len(spelling.split()) for spelling in spellings(text)} == {len(fold(text).split())}
