import random
import shutil
from pathlib import Path

import pandas as pd
import pytest

from src.demo.server import HEADERS
from tests.bench.nga_tables import write_tables
from tests.support.nga_rows import (
    EVERYTHING,
    Row,
    catalog,
    columns,
    image,
    museum,
    numbers,
    person,
    role,
    term,
    uuid,
    work,
    write,
)

GARBAGE = ["", "x", "0", "-5", "0.5", "nan", "inf", "1e400", "9" * 30, "0x99", "NA", "\0"]


def first(folder: Path, *names: str, **tables: list[Row]) -> tuple[str, ...]:
    """These columns of the first image of three."""
    rows = columns(catalog(museum(folder, **tables), **EVERYTHING), *names)
    assert len(rows) == 3
    return rows[0]


def size_asked(folder: Path, size: str | None, **fields: str) -> str:
    """The part of the address that names the size, of an image with these fields."""
    result = catalog(museum(folder, [image(1, **fields), image(2)]), image_size=size)
    start, end = f"https://museum/iiif/{uuid(1)}/full/!", "/0/default.jpg"
    return str(result.works["url"][0]).removeprefix(start).removesuffix(end)


def test_the_artist_is_the_first_by_display_order_among_artists(tmp_path: Path) -> None:
    roles = [role(1, "Ten", "10"), role(1, "Nine", "9"), role(1, "Don", "1", "donor")]
    roles += [role(1, "None", ""), role(1, "Own", "0", "owner"), role(2, "Ten", "1")]
    people = [person(name, f"of {name}") for name in ("Don", "None", "Own", "Nine", "Ten")]
    people += [person("Nine", "of another Nine")]
    result = first(tmp_path, "artist", "nationality", roles=roles, people=people)
    assert result == ("Judith Nine", "of Nine")


def test_all_artists_are_listed_in_display_order(tmp_path: Path) -> None:
    roles = [role(1, "Ten", "10"), role(1, "Nine", "9"), role(1, "Don", "1", "donor")]
    roles += [role(1, "Ten", "11"), role(1, "Nobody", "12"), role(1, "A; B", "13")]
    roles += [role(2, "Nobody", "1"), role(2, "Ten", "2"), role(3, "Ten")]
    people = [person("Don"), person("Ten"), person("Nine"), person("A; B")]
    made = catalog(museum(tmp_path, roles=roles, people=people), **EVERYTHING)
    assert columns(made, "artist", "all_artists") == [
        ("Judith Nine", "Judith Nine; Judith Ten; Judith A, B"),
        ("", ""),  # the first artist is unknown
        ("Judith Ten", "Judith Ten"),
    ]


@pytest.mark.parametrize("order", ["", "x"])
def test_an_empty_display_order_comes_last(tmp_path: Path, order: str) -> None:
    roles, people = [role(1, "A", order), role(1, "B", "7")], [person("A"), person("B")]
    assert first(tmp_path, "artist", roles=roles, people=people) == ("Judith B",)
    assert first(tmp_path, "artist", roles=roles[:1], people=people) == ("Judith A",)


def test_an_unknown_artist_is_empty(tmp_path: Path) -> None:
    for roles in ([role(1, "Nobody")], [role(1, "Ley", kind="donor")]):
        assert first(tmp_path, "artist", "nationality", roles=roles) == ("", "")


def test_the_first_term_is_the_label_and_all_are_joined(tmp_path: Path) -> None:
    terms = [term(1, "School", "Dutch"), term(2, "School", "French"), term(1, "school", "Haarlem")]
    terms += [term(1, "Style", "Baroque"), term(1, "Theme", ""), term(1, "Theme", "portrait")]
    terms += [term(1, "Keyword", "easel"), term(1, "Technique", "oil"), term(1, "School", "Dutch")]
    names = ["school", "schools", "style", "styles", "theme", "themes", "technique", "techniques"]
    expected = ("Dutch", "Dutch; Haarlem", "Baroque", "Baroque", *["portrait"] * 2, "oil", "oil")
    assert first(tmp_path, *names, terms=terms) == expected


@pytest.mark.parametrize(
    ("date", "begin", "end", "decade"),
    [
        ("c. 1630", "1630", "1630", "1630s"),
        ("1639", "1639", "1639", "1630s"),
        ("1630/1640", "1630", "1640", "1630s"),
        ("1630/1641", "1630", "1641", ""),
        ("", "1859", "1860", ""),
        ("1700", "1700", "", ""),
        ("1700", "", "1700", ""),
        ("1700", "1701", "1700", ""),
        ("1700", "x", "NA", ""),
        ("1700", "inf", "inf", ""),
        ("980", "980", "985", "980s"),
    ],
)
def test_the_decade_is_known_if_the_years_span_at_most_ten(
    tmp_path: Path, date: str, begin: str, end: str, decade: str
) -> None:
    objects = [work(1, displaydate=date, beginyear=begin, endyear=end), work(2)]
    assert first(tmp_path, "date", "decade", objects=objects) == (date, decade)


@pytest.mark.parametrize("year", ["9" * 19, "9" * 20, "9" * 25, "1e300", "-" + "9" * 19])
def test_a_damaged_year_is_ignored(tmp_path: Path, year: str) -> None:
    objects = [work(1, beginyear=year, endyear=year), work(2)]
    assert columns(catalog(museum(tmp_path, objects=objects)), "decade")[1] == ("1630s",)


@pytest.mark.parametrize("text", ["NA", "nan", "NULL", "None", "1e5", "007", "True"])
def test_texts_are_not_interpreted(tmp_path: Path, text: str) -> None:
    objects = [work(1, title=text, medium=text, displaydate=text, classification=text)]
    tables = {"roles": [role(1, text)], "people": [person(text, text)]}
    tables |= {"objects": objects, "terms": [term(1, "Theme", text)]}
    names = ["title", "medium", "date", "classification", "nationality", "theme", "themes"]
    assert first(tmp_path, *names, **tables) == (text,) * 7


def test_labels_have_no_line_breaks_or_doubled_spaces(tmp_path: Path) -> None:
    text, tidy = ' A\r\n"B",\t  C\n', 'A "B", C'
    tables = {"objects": [work(1, title=text, medium=text)], "terms": [term(1, "Style", text)]}
    tables |= {"people": [person("Ley", text)]}
    assert first(tmp_path, "title", "medium", "style", "nationality", **tables) == (tidy,) * 4


@pytest.mark.parametrize(
    ("size", "fields", "asked"),
    [
        ("256", {}, 256),
        ("4096", {}, 4096),
        ("5000", {}, 4096),
        (None, {}, 4096),
        (None, {"maxpixels": "640"}, 640),
        ("1000", {"maxpixels": "640"}, 640),
        ("256", {"maxpixels": "640"}, 256),
        (None, {"width": "300", "height": "200"}, 300),
        ("256", {"width": "100", "height": "200"}, 200),
        ("256", {"width": "100", "height": ""}, 256),
        ("256", {"width": "", "height": "100"}, 256),
        ("256", {"width": "100", "height": "100", "maxpixels": "50"}, 50),
        (None, {"width": "", "height": "", "maxpixels": "5000"}, 4096),
    ],
)
def test_the_requested_size_is_limited_by_the_image_and_the_server(
    tmp_path: Path, size: str | None, fields: Row, asked: int
) -> None:
    assert size_asked(tmp_path, size, **fields) == f"{asked},{asked}"


@pytest.mark.parametrize("text", GARBAGE)
def test_an_invalid_size_is_ignored(tmp_path: Path, text: str) -> None:
    assert size_asked(tmp_path, "256", maxpixels=text) == "256,256"
    assert size_asked(tmp_path, "256", width=text, height="8") == "256,256"


def test_a_thumbnail_has_its_own_url(tmp_path: Path) -> None:
    thumb = "https://museum/full/!200,200/0/default.jpg"
    tables = museum(tmp_path, [image(1, iiifthumburl=thumb, maxpixels="50"), image(2)])
    assert catalog(tables, image_size="thumb").works["url"][0] == thumb


def test_a_slash_at_the_end_of_a_url_is_not_doubled(tmp_path: Path) -> None:
    images = [image(1, iiifurl="https://museum/1/"), image(2)]
    result = catalog(museum(tmp_path, images)).works["url"][0]
    assert result == "https://museum/1/full/!256,256/0/default.jpg"


def test_images_are_ordered_by_object_number_primary_view_sequence(tmp_path: Path) -> None:
    alternate = {"viewtype": "alternate", "depictstmsobjectid": "2"}
    images = [image(10), image(23, **alternate, sequence="10"), image(9)]
    images += [image(22, **alternate, sequence="9"), image(24, **alternate, sequence="")]
    images += [image(2, sequence="99"), image(21, **alternate, sequence="9")]
    result = catalog(museum(tmp_path, images), **EVERYTHING)
    assert numbers(result) == [2, 21, 22, 23, 24, 9, 10]


def test_a_catalog_is_independent_of_the_order_of_the_rows(tmp_path: Path) -> None:
    views = [image(n, viewtype="alternate", depictstmsobjectid=str(n % 9)) for n in range(40, 60)]
    rows = [*map(image, range(1, 20)), *views, *map(image, (3, 4)), image(99, iiifurl="x")]
    museum(tmp_path, rows, [work(n) for n in range(1, 15)])
    expected = catalog(tmp_path, **EVERYTHING, limit=17).works
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        write(tmp_path / "published_images.csv", rows)
        pd.testing.assert_frame_equal(catalog(tmp_path, **EVERYTHING, limit=17).works, expected)


def test_an_image_listed_twice_has_the_same_row_in_any_order(tmp_path: Path) -> None:
    rows = [image(1), image(1, depictstmsobjectid="3"), image(2)]
    there = catalog(museum(tmp_path, rows), **EVERYTHING).works
    back = catalog(museum(tmp_path, rows[::-1]), **EVERYTHING).works
    pd.testing.assert_frame_equal(there, back)


def test_the_real_rows_are_a_catalog(tmp_path: Path, shared_data: Path) -> None:
    real, museum_of = shared_data / "nga", museum(tmp_path)
    for name, source in {
        "published_images.csv": "published_images.real_rows.2023schema.csv",
        "objects.csv": "objects.real_rows.csv",
        "constituents.csv": "constituents.csv",
    }.items():
        shutil.copyfile(real / source, museum_of / name)
    people = {37003: "1485", 46569: "1107", 66755: "1902", 119052: "6845"}
    write(tmp_path / "objects_constituents.csv", [role(n, who) for n, who in people.items()])
    result = catalog(tmp_path, **EVERYTHING, image_size=None)
    assert columns(result, "object_id", "title", "artist", "nationality", "date", "decade") == [
        ("37003", "Self-Portrait", "Judith Leyster", "Dutch", "c. 1630", "1630s"),
        ("46569", "The Boating Party", "Mary Cassatt", "American", "1893/1894", "1890s"),
        (
            *("66755", "Winter: Cat on a Cushion (L'hiver: Chat sur un coussin)"),
            *("Théophile Alexandre Steinlen", "Swiss", "", ""),
        ),
        ("91389", "", "", "", "", ""),
        ("119052", "Tomorrow I May Be Far Away", "Romare Bearden", "American", "1967", "1960s"),
    ]
    start = "https://api.nga.gov/iiif/"
    assert list(result.works["url"])[::4] == [
        f"{start}440fe0d2-b4ca-4afc-a33e-2d4683ece38f/full/!4096,4096/0/default.jpg",
        f"{start}ff96f3bc-7f92-42f1-8836-a8c91b80fea9/full/!640,640/0/default.jpg",
    ]
    assert columns(catalog(tmp_path), "object_id") == [("37003",), ("46569",)]
    assert columns(catalog(tmp_path, image_size="thumb"), "url")[0] == (
        f"{start}440fe0d2-b4ca-4afc-a33e-2d4683ece38f/full/!200,200/0/default.jpg",
    )


def test_the_real_row_of_2026_is_read(tmp_path: Path, shared_data: Path) -> None:
    real = (shared_data / "nga" / "published_images.real_row.2026schema.csv").read_bytes()
    path = museum(tmp_path) / "published_images.csv"
    path.write_bytes(real.rstrip() + b"\n" + path.read_bytes().split(b"\n", 1)[1])
    result = catalog(tmp_path, classification="all", image_size="1000")
    name = "03ee67ee-dd0e-443f-84ef-ede5f62ce0cd"
    assert columns(result, "image_id", "file", "object_id", "view", "url")[-1] == (
        *(name, f"03/{name}.jpg", "41645", "primary"),
        f"https://api.nga.gov/iiif/{name}/full/!1000,1000/0/default.jpg",
    )
    assert len(result.works) == 4


def test_generated_tables_are_a_catalog_of_every_image(tmp_path: Path) -> None:
    write_tables(tmp_path, images=300)
    result = catalog(tmp_path, **EVERYTHING)
    assert len(result.works) == len(set(result.works["image_id"])) == len(result.published) == 300
    assert not [name for name in result.counts if "damaged" in name]
    assert (result.works["artist"] != "").sum() > 250


def test_what_is_seen_is_read_where_the_schema_has_it(tmp_path: Path) -> None:
    images = [image(1, assistivetext="A woman\tat her easel. "), image(2)]
    works = catalog(museum(tmp_path, images=images)).works
    assert list(works["assistive_text"]) == ["A woman at her easel.", ""]
    name = "published_images.csv"
    write(tmp_path / name, images, HEADERS[name].removesuffix(",assistivetext").split(","))
    assert "assistive_text" not in catalog(tmp_path).works
