"""Labels of which an image may have several."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.errors import UserError
from src.gallery import Gallery
from src.gallery.label_sets import first_values, label_sets, repeated_columns

WORKS = {
    "file": list("abcd"),
    "style": ["Baroque", "", "Realist ;Baroque; Realist;", "Rococo"],
    "medium": ["oil", "oil; gold", "gold", "ink"],
    "title": ["x", "x", "x", "y"],
}
GALLERY = Gallery("g", Path(), pd.DataFrame(WORKS, dtype=object))


def test_texts_are_split_at_the_separator() -> None:
    sets = label_sets(GALLERY, "style", ";")
    np.testing.assert_array_equal(sets, [[0, -1], [-1, -1], [1, 0], [2, -1]])
    assert first_values(GALLERY, "style", ";").tolist() == ["Baroque", "", "Realist", "Rococo"]
    one = label_sets(GALLERY, "style", "|")
    np.testing.assert_array_equal(one, GALLERY.labels("style")[:, None])


def test_without_a_separator_a_text_is_one_value() -> None:
    for column in ("style", "medium"):
        sets = label_sets(GALLERY, column, None)
        np.testing.assert_array_equal(sets[:, 0], GALLERY.labels(column))
        assert first_values(GALLERY, column, None).tolist() == WORKS[column]
    assert repeated_columns(GALLERY, None) == GALLERY.label_columns() == []


def test_columns_of_repeated_parts_are_labels() -> None:
    assert repeated_columns(GALLERY, ";") == ["style", "medium"]


def test_the_lists_of_a_museum_take_the_place_of_their_first_value() -> None:
    lists = ["Baroque; Realist", "", "Realist; Baroque", "Rococo; Realist"]
    museum = Gallery("g", Path(), GALLERY.works.assign(styles=lists))
    expected = [[0, 1], [-1, -1], [1, 0], [2, 1]]
    for separator in (";", "|"):
        np.testing.assert_array_equal(label_sets(museum, "style", separator), expected)
    np.testing.assert_array_equal(label_sets(museum, "style", None)[:, 0], museum.labels("style"))


def test_an_unknown_column_is_refused() -> None:
    for separator in (None, ";"):
        with pytest.raises(UserError, match="works.csv has no column stile"):
            label_sets(GALLERY, "stile", separator)
