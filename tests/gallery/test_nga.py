import logging
from pathlib import Path

import pandas as pd
import pytest

from src.config.enums import View
from src.demo.server import HEADERS
from src.errors import UserError
from src.gallery.nga_tables import SCHEMA
from src.gallery.rights import CC0
from tests.support.nga_rows import (
    EVERYTHING,
    catalog,
    columns,
    image,
    museum,
    numbers,
    person,
    role,
    uuid,
    work,
    write,
)

NEEDED = [(t, c) for t, names in SCHEMA.items() for c in names if not c.startswith("?")]
HOSTILE_IDS = ["../../x", "/etc/passwd", "", "..", f"{uuid(2)}\n", f" {uuid(2)}", f"{uuid(2)}/../x"]
HOSTILE_URLS = [
    *("file:///etc/passwd", "javascript:alert(1)", "ftp://museum/2", "", "//museum/2", "http://"),
    *("https://museum/a b", " https://museum/2", "https://museum/2\n", "https://museum/\x002"),
    *("https://museum/\t2", "https://museum:x/2", "https://[museum/2", "https:///2", "2"),
]


def add(path: Path, text: str) -> None:
    with path.open("ab") as file:
        file.write(text.encode("utf-8", "surrogateescape"))


def test_a_catalog_has_one_row_per_image_with_string_columns(tmp_path: Path) -> None:
    result = catalog(museum(tmp_path, objects=[work(n, wikidataid=f"Q{n}") for n in (1, 2, 3)]))
    size, no_terms = "full/!256,256/0/default.jpg", ("style", "theme", "technique")
    kept = {"image_id": uuid(1), "object_id": "1", "view": "primary", "title": "Title 1"}
    kept |= {"date": "1635", "medium": "", "classification": "Painting", "artist": "Judith Ley"}
    kept |= {"all_artists": "Judith Ley"}
    made = {"nationality": "Dutch", "school": "Dutch", "schools": "Dutch", "decade": "1630s"}
    made |= {"url": f"https://museum/iiif/{uuid(1)}/{size}", "file": f"00/{uuid(1)}.jpg"}
    made |= {"iiif": f"https://museum/iiif/{uuid(1)}", "wikidata": "Q1", "assistive_text": ""}
    made |= {"iiif_width": "9000", "iiif_height": "8000", "rights": CC0}
    expected = kept | made | {kind + s: "" for kind in no_terms for s in ("", "s")}
    assert result.works.to_dict("records")[0] == expected
    assert numbers(result) == [1, 2, 3]
    assert result.published == {uuid(1), uuid(2), uuid(3)}
    assert all(isinstance(value, str) for value in result.works.to_numpy().ravel())


def test_without_a_column_openaccess_all_images_are_selected_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images, old = [image(n, openaccess=str(n % 2)) for n in (1, 2, 3)], "published_images.csv"
    assert numbers(catalog(museum(tmp_path, images))) == [1, 3]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    write(tmp_path / old, images, HEADERS[old].replace("openaccess,", "").split(","))
    assert numbers(catalog(tmp_path)) == [1, 2, 3]
    assert "data.open_access=true has no effect" in caplog.text
    caplog.clear()
    assert numbers(catalog(tmp_path, open_access=False)) == [1, 2, 3]
    assert "data.open_access" not in caplog.text


def test_columns_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    expected = catalog(museum(tmp_path)).works
    for name in HEADERS:
        table = pd.read_csv(tmp_path / name, dtype=str, keep_default_na=False)
        turned = table[table.columns[::-1]].assign(more="9")
        turned.to_csv(tmp_path / name, index=False)
    pd.testing.assert_frame_equal(catalog(tmp_path).works, expected)


@pytest.mark.parametrize(("table", "column"), NEEDED)
def test_a_missing_column_is_named(tmp_path: Path, table: str, column: str) -> None:
    path = museum(tmp_path) / table
    write(path, [], [name for name in HEADERS[table].split(",") if name != column])
    with pytest.raises(UserError, match=rf"^{table} has no column {column}: "):
        catalog(tmp_path)


@pytest.mark.parametrize("table", SCHEMA)
def test_a_table_that_is_missing_empty_or_a_page_is_named(tmp_path: Path, table: str) -> None:
    path = museum(tmp_path) / table
    for content in (b"", b"<!DOCTYPE html>\n<html><p>Sign in, please</p></html>\n"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"^{table} has no column .*{SCHEMA[table][0]}"):
            catalog(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=f".*{table} does not exist: data.tables must contain it"):
        catalog(tmp_path)


@pytest.mark.parametrize("table", ["objects_constituents.csv", "constituents.csv"])
def test_without_rows_of_people_there_is_no_artist(tmp_path: Path, table: str) -> None:
    write(museum(tmp_path) / table, [])
    assert columns(catalog(tmp_path), "artist", "nationality") == [("", "")] * 3


def test_without_rows_of_terms_there_is_no_school(tmp_path: Path) -> None:
    assert columns(catalog(museum(tmp_path, terms=[])), "school", "schools") == [("", "")] * 3


def test_without_rows_of_images_or_objects_nothing_is_selected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="select 0 images, but at least 2 are needed"):
        catalog(museum(tmp_path, images=[]), **EVERYTHING)
    with pytest.raises(UserError, match="no published image has it"):
        catalog(museum(tmp_path, objects=[]))
    assert columns(catalog(tmp_path, **EVERYTHING), "title", "decade") == [("", "")] * 3


@pytest.mark.parametrize("table", SCHEMA)
def test_damaged_rows_are_counted_and_skipped(tmp_path: Path, table: str) -> None:
    before = catalog(museum(tmp_path))
    assert not [name for name in before.counts if "damaged" in name]
    add(tmp_path / table, '1,2\n\n\r\n"unclosed,3\n\0,\udcff' + ",5" * 99 + "\n")
    after = catalog(tmp_path)
    assert after.counts == before.counts | {f"damaged rows of {table}": 3}
    pd.testing.assert_frame_equal(after.works, before.works)


@pytest.mark.parametrize("text", HOSTILE_IDS)
def test_an_invalid_uuid_is_skipped_and_counted(tmp_path: Path, text: str) -> None:
    images = [image(1), image(2, uuid=text), image(3)]
    result = catalog(museum(tmp_path, images))
    assert numbers(result) == [1, 3]
    assert len(result.published) == 2
    assert list(result.works["file"]) == [f"00/{uuid(n)}.jpg" for n in (1, 3)]
    assert result.counts["skipped, invalid uuid or URL"] == 1


@pytest.mark.parametrize("size", ["256", "thumb"])
@pytest.mark.parametrize("text", HOSTILE_URLS)
def test_an_invalid_url_is_skipped_and_counted(tmp_path: Path, text: str, size: str) -> None:
    images = [image(1), image(2, iiifurl=text, iiifthumburl=text), image(3)]
    result = catalog(museum(tmp_path, images), image_size=size)
    assert numbers(result) == [1, 3]
    assert result.counts["skipped, invalid uuid or URL"] == 1


def test_an_image_listed_twice_is_one(tmp_path: Path) -> None:
    again = image(0xAB, uuid=uuid(0xAB).upper(), depictstmsobjectid="1")
    result = catalog(museum(tmp_path, [image(0xAB, depictstmsobjectid="1"), again, image(2)]))
    assert columns(result, "image_id") == [(uuid(0xAB),), (uuid(2),)]
    assert (result.counts["listed more than once"], result.counts["published images"]) == (1, 3)


def test_an_uppercase_uuid_is_the_same_image(tmp_path: Path) -> None:
    result = catalog(museum(tmp_path, [image(1, uuid=uuid(1).upper()), image(2)]))
    assert columns(result, "image_id", "file")[0] == (uuid(1), f"00/{uuid(1)}.jpg")


def test_an_image_may_be_listed_again_after_an_invalid_row(tmp_path: Path) -> None:
    result = catalog(museum(tmp_path, [image(1, iiifurl=""), image(1), image(2)]))
    assert numbers(result) == [1, 2]
    assert result.counts["listed more than once"] == 0


def test_an_object_listed_twice_has_its_first_row(tmp_path: Path) -> None:
    objects = [work(1), work(2, title="first"), work(2, title="second")]
    result = catalog(museum(tmp_path, objects=objects))
    assert columns(result, "title") == [("Title 1",), ("first",)]
    assert result.counts["objects listed more than once"] == 1


def test_images_without_a_known_object_are_selected_only_with_all(tmp_path: Path) -> None:
    images = [image(1), image(2, depictstmsobjectid=""), image(9), image(3)]
    result = catalog(museum(tmp_path, images), classification="all")
    assert columns(result, "object_id", "title") == [
        *(("1", "Title 1"), ("3", "Title 3"), ("9", ""), ("", "")),
    ]
    assert result.counts["without a known object"] == 2
    assert numbers(catalog(tmp_path)) == [1, 3]


def test_empty_fields_are_empty_strings(tmp_path: Path) -> None:
    images = [image(1, width="", height="", maxpixels="", sequence=""), image(2)]
    objects = [{"objectid": "1", "classification": "Painting"}, work(2)]
    result = catalog(museum(tmp_path, images, objects, [role(1, "")], [person("")]))
    assert columns(result, "title", "date", "medium", "decade")[0] == ("",) * 4
    assert result.works["url"][0].endswith("/full/!256,256/0/default.jpg")


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, [1, 2]),
        ({"classification": "PAINTING"}, [1, 2]),
        ({"classification": "print", "open_access": False}, [3, 4]),
        ({"classification": "all"}, [1, 2, 3]),
        ({"classification": "ALL", "open_access": False}, [1, 2, 3, 4]),
        ({"view": View.all}, [1, 17, 2]),
        ({"artists": ["judith ley"], "classification": "all"}, [1, 3]),
        ({"artists": ["Judith Ley", "Judith Cas"]}, [1, 2]),
    ],
)
def test_options_select(tmp_path: Path, options: dict[str, object], chosen: list[int]) -> None:
    images = [image(17, viewtype="alternate", depictstmsobjectid="1"), image(4, openaccess="")]
    kinds = [work(1), work(2), work(3, classification="Print"), work(4, classification="Print")]
    museum(tmp_path, [*images, *map(image, (3, 2, 1))], kinds)
    write(tmp_path / "objects_constituents.csv", [role(1, "Ley"), role(2, "Cas"), role(3, "Ley")])
    write(tmp_path / "constituents.csv", [person("Ley"), person("Cas")])
    assert numbers(catalog(tmp_path, **options)) == chosen


def test_an_unknown_classification_lists_the_frequent_ones(tmp_path: Path) -> None:
    museum(tmp_path, objects=[work(1), work(2), work(3, classification="Print")])
    with pytest.raises(UserError, match=r"classification=paint: .*Painting \(2\), Print \(1\)"):
        catalog(tmp_path, classification="paint")


def test_an_unknown_artist_suggests_similar_names(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no artist Judit Lei; did you mean Judith Ley"):
        catalog(museum(tmp_path), artists=["Judith Ley", "Judit Lei"])


def test_a_selection_of_one_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"select 1 images, but at least 2 are needed: widen"):
        catalog(museum(tmp_path, objects=[work(1)]))


def many(folder: Path, count: int) -> Path:
    things = range(1, count + 1)
    return museum(folder, [image(n) for n in things], [work(n) for n in things])


def test_a_sample_is_seeded_and_keeps_the_order(tmp_path: Path) -> None:
    things = numbers(catalog(many(tmp_path, 30), limit=10))
    assert things == numbers(catalog(tmp_path, limit=10)) == sorted(set(things))
    assert len(things) == 10
    assert things != numbers(catalog(tmp_path, seed=1, limit=10))
    assert numbers(catalog(tmp_path, limit=30)) == numbers(catalog(tmp_path, limit=99))
    assert len(catalog(tmp_path, limit=10).published) == 30


def test_an_additional_row_changes_at_most_one_of_a_sample(tmp_path: Path) -> None:
    changed = []
    for count in range(20, 40):
        before = set(numbers(catalog(many(tmp_path, count), limit=10)))
        after = set(numbers(catalog(many(tmp_path, count + 1), limit=10)))
        changed.append(len(after - before))
    assert set(changed) == {0, 1}
