"""Texts of labels and values in both versions, and the columns that they become."""

from typing import Any

import pytest

from src.gallery.iiif.labels import (
    MAX_CELL,
    MAX_COLUMNS,
    column_name,
    columns_of,
    frequent_columns,
    row_labels,
)
from src.gallery.iiif.presentation import Canvas, Manifest, Pairs
from src.gallery.iiif.texts import MAX_TEXT, MAX_VALUES, plain_text, texts


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Rembrandt", ["Rembrandt"]),
        (["a", "b", "a"], ["a", "b"]),
        (1642, ["1642"]),
        ({"@value": "x", "@language": "de"}, ["x"]),
        ([{"@value": "x", "@language": "fr"}, {"@value": "y", "@language": "en-GB"}], ["y"]),
        ([{"@value": "x", "@language": "fr"}, {"@value": "y"}], ["y"]),
        ({"fr": ["x"], "en": ["y", "z"]}, ["y", "z"]),
        ({"fr": ["x"], "none": ["y"]}, ["y"]),
        ({"fr": ["x"], "it": ["y"]}, ["x"]),
        ({"en": [" "], "fr": ["x"]}, ["x"]),
        ({"en": "no list"}, ["no list"]),
        (None, []),
        (True, []),
        ([[["deep"]], {"@value": {"a": 1}}, {"en": [{"b": 2}]}], []),
    ],
)
def test_one_language_is_chosen(value: Any, expected: list[str]) -> None:
    assert texts(value, "en") == expected


def test_the_language_is_an_option() -> None:
    value = {"de": ["Künstler"], "en": ["Artist"], "none": ["?"]}
    assert [texts(value, tag) for tag in ("de", "DE", "en", "nl")] == [
        *(["Künstler"], ["Künstler"], ["Artist"], ["?"])
    ]
    assert texts({"ja": ["x"], "en": ["y"]}, "nl") == ["y"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<span>oil<br>on <i>canvas</i></span>", "oil on canvas"),
        ("a < b and c > d", "a < b and c > d"),
        ("Smith &amp; Sons &#233;", "Smith & Sons é"),
        ("<script>alert(1)</script>x<style>p{}</style>", "x"),
        ("a</script> tag that was not opened", "a tag that was not opened"),
        ('<a href="javascript:1">link</a>', "link"),
        ("A\u202eB\ud800C\x00", "AB?C"),
        ("two\n lines\t", "two lines"),
        ("<" * 20_000, "<" * MAX_TEXT),
    ],
)
def test_texts_are_one_line_without_html(text: str, expected: str) -> None:
    assert plain_text(text) == expected


def test_texts_are_bounded() -> None:
    assert len(texts([str(n) for n in range(10**5)], "en")) == MAX_VALUES
    assert len(plain_text("x" * 10**6)) == MAX_TEXT
    assert plain_text("<br>" * 10**6 + "x") == ""
    assert len(columns_of((("Note", tuple(f"{n:2000}" for n in range(100))),))["note"]) == MAX_CELL


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Object Number", "object_number"),
        ("Künstler:in", "künstler_in"),
        ("Date(s)", "date_s"),
        ("Ku\u0308nstler", "künstler"),
        ("作者", "作者"),
        ("url", "metadata_url"),
        ("Image ID", "metadata_image_id"),
        ("all_artists", "metadata_all_artists"),
        ("../../etc", "etc"),
        ("=1+1", "1_1"),
        ("—", ""),
        ("x" * 300, "x" * 60),
        ("seconds", "metadata_seconds"),
    ],
)
def test_labels_become_names_of_columns(label: str, name: str) -> None:
    assert column_name(label) == name


def pairs(**values: str | tuple[str, ...]) -> Pairs:
    """Return pairs of metadata."""
    return tuple((k, v if isinstance(v, tuple) else (v,)) for k, v in values.items())


def test_well_known_labels_have_the_museums_columns() -> None:
    for label in ("Artist", "Creator", "Artist/Maker", "Künstler", "Créateur", "Vervaardiger"):
        found = columns_of(((label, ("Bruegel", "Rubens; workshop")),))
        assert found == {"artist": "Bruegel", "all_artists": "Bruegel; Rubens, workshop"}
    assert columns_of((("Object type", ("Print", "Etching")),)) == {
        "classification": "Print; Etching"
    }


def test_the_labels_of_a_canvas_take_the_place_of_the_objects() -> None:
    manifest = Manifest(
        "https://a.org/m",
        "Altar",
        pairs(Artist="Dürer", Medium="oil", Date="1498 or 1500", Title="An altar"),
        canvases=(Canvas("Altar", (), ()), Canvas("left wing", pairs(Medium="gold"), ())),
    )
    plain, wing = (row_labels(manifest, canvas) for canvas in manifest.canvases)
    assert (plain["title"], wing["title"]) == ("Altar", "Altar: left wing")
    assert (plain["medium"], wing["medium"], wing["artist"]) == ("oil", "gold", "Dürer")
    assert wing["decade"] == "1490s"
    untitled = Manifest("https://a.org/m", metadata=pairs(Titel="Ohne Namen"))
    assert row_labels(untitled, Canvas("", (), ()))["title"] == "Ohne Namen"


@pytest.mark.parametrize(
    ("date", "decade"),
    [("c. 1635", "1630s"), ("1635-1638", "1630s"), ("1600/1650", ""), ("17th century", "")],
)
def test_a_date_of_close_years_has_a_decade(date: str, decade: str) -> None:
    row = row_labels(Manifest("u", metadata=pairs(date=date)), Canvas("", (), ()))
    assert row.get("decade", "") == decade


def test_the_most_frequent_labels_are_kept() -> None:
    rows = [{"title": "t", f"rare_{n}": "x", "common": "y"} for n in range(MAX_COLUMNS + 10)]
    columns, dropped = frequent_columns(rows, {"title"})
    assert columns[:3] == ["title", "rare_0", "common"]
    assert (len(columns), dropped) == (MAX_COLUMNS + 1, 11)
