"""The manifest of a painting and its neighbors: valid, whole, and read by another library."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import iiif_prezi3
import pandas as pd
import pytest

from src.gallery import Gallery
from src.gallery.iiif import presentation
from src.gallery.iiif.image_service import Service
from src.gallery.iiif.presentation import read_document
from src.gallery.rights import CC0
from src.reporting.iiif_images import Picture, museum_picture, published_picture
from src.reporting.iiif_manifest import MAX_LABEL, manifest, manifest_text
from tests.support.iiif_checks import image, nodes, problems, values
from tests.support.iiif_gallery import ROWS, museum_gallery, real_gallery

ADDRESS = "https://me.example/lists/ship.json"
EVIL = [
    "<script>evil()</script>",
    '<img src="x" onerror="evil()">',
    "  <b>bold & unclosed>  ",
    "a\x00b\x1b[2Jc\nd\te\u202ef\u2028g\ud800h",
    os.fsdecode(b"caf\xe9"),
    "x" * 10_000,
    "\N{FAMILY}" * 3000,
    '"}],"rights":"evil',
    "\u200b",
    "   ",
]


def made(
    gallery: Gallery,
    neighbors: Sequence[tuple[int, float]],
    row: int = 0,
    about: str = "The nearest",
) -> dict[str, Any]:
    """Return the manifest as a program that reads the file has it, which must be valid."""

    def picture(row: int) -> Picture:
        return museum_picture(gallery, row) or published_picture(gallery, row, "https://me.example")

    found = json.loads(
        manifest_text(manifest(ADDRESS, gallery, row, neighbors, picture, {"List": about}))
    )
    assert problems(found) == []
    return found


def described(**columns: list[str]) -> Gallery:
    """Return a gallery of images that are not on the web, with columns of works.csv."""
    n = len(next(iter(columns.values())))
    files = [f"{number}.png" for number in range(n)]
    works = pd.DataFrame({"file": files, "width": "40", "height": "30"} | columns, dtype=object)
    return Gallery("folder-1", Path("nowhere"), works)


def test_a_canvas_says_all_that_is_known_of_a_painting() -> None:
    found = made(museum_gallery(), [(1, 0.91234), (2, -0.5)])
    assert found["summary"]["en"] == ["The nearest."]
    assert (found["id"], found["label"]["en"]) == (
        ADDRESS,
        ["A ship, Ann, 1635 and 2 similar images"],
    )
    ship, tree, dog = found["items"]
    assert [canvas["label"]["none"] for canvas in found["items"]] == [
        ["A ship"],
        ["A tree"],
        ["A dog"],
    ]
    assert (ship["width"], ship["height"], ship["rights"]) == (8000, 6000, CC0)
    assert values(ship) == {
        "Artist": ["Ann", "Bob"],
        "Date": ["1635"],
        "School": ["Dutch"],
        "Medium": ["oil on canvas"],
        "Rights": [CC0],
    }
    assert values(tree) | {"Rank": ["1"], "Cosine similarity": ["0.9123"]} == values(tree)
    assert values(dog) | {"Rank": ["2"], "Cosine similarity": ["-0.5000"]} == values(dog)
    assert ship["homepage"][0]["id"] == "https://www.nga.gov/collection/art-object-page.0.html"
    entity = "https://www.wikidata.org/wiki/Special:EntityData/Q1.json"
    assert [link["id"] for link in ship["seeAlso"]] == [entity]
    assert ("seeAlso" in dog, ship["summary"]) == (False, {"none": ["Sea"]})
    assert ship["thumbnail"] == found["thumbnail"]


def test_uris_are_below_that_of_the_manifest_and_differ() -> None:
    found = made(museum_gallery(), [(3, 0.5), (1, 0.4)])
    of = "https://me.example/lists/ship"
    assert [canvas["id"] for canvas in found["items"]] == [f"{of}/canvas/{n}" for n in (0, 3, 1)]
    pages, paintings = [*nodes(found, "AnnotationPage")], [*nodes(found, "Annotation")]
    assert [page["id"] for page in pages] == [f"{of}/page/{n}" for n in (0, 3, 1)]
    assert [painting["id"] for painting in paintings] == [f"{of}/painting/{n}" for n in (0, 3, 1)]


@pytest.mark.parametrize(
    ("neighbors", "attribution"),
    [
        ([(1, 0.9)], "National Gallery of Art, Washington, open data (CC0)"),
        ([(1, 0.9), (3, 0.8)], "National Gallery of Art, Washington"),
    ],
)
def test_the_museum_is_named_and_what_is_open_only_if_all_is(
    neighbors: list[tuple[int, float]], attribution: str
) -> None:
    found = made(museum_gallery(), neighbors)
    assert found["requiredStatement"]["value"] == {"en": [attribution]}
    assert found["provider"][0]["label"] == {"en": ["National Gallery of Art, Washington"]}
    assert ["rights" in canvas for canvas in found["items"]] == [True, True, False][
        : len(neighbors) + 1
    ]


def test_what_manifests_of_others_said_is_said_again() -> None:
    columns = {
        "object_id": ["https://a.example/1", "https://a.example/2", "3"],
        "attribution": ["From A", "From <B>", "From A"],
        "rights": ["https://creativecommons.org/licenses/by/4.0/", "https://a.example/ask", ""],
        "iiif": ["https://a.example/i/1.jpg", "", ""],
        "iiif_profile": ["level2", "", ""],
    }
    gallery = replace(described(**columns), name="iiif-a.example-01234567")
    found = made(gallery, [(1, 0.5), (2, 0.4)])
    first, second, third = found["items"]
    assert found["requiredStatement"]["value"] == {"none": ["From A", "From <B>"]}
    assert first["requiredStatement"]["value"] == {"none": ["From A"]}
    assert first["partOf"] == [{"id": "https://a.example/1", "type": "Manifest"}]
    assert first["rights"] == "http://creativecommons.org/licenses/by/4.0/"
    assert image(first)["service"][0]["id"] == "https://a.example/i/1.jpg"
    assert ("rights" in second, values(second)["Rights"]) == (False, ["https://a.example/ask"])
    assert "partOf" not in third


def test_an_image_without_facts_still_has_a_canvas() -> None:
    found = made(described(title=["", ""]), [(1, 0.5)])
    assert "requiredStatement" not in found
    assert "metadata" not in found["items"][0]
    assert found["items"][0]["label"] == {"none": ["0.png"]}
    assert image(found["items"][0])["id"] == "https://me.example/0.png"


def test_a_painting_may_be_alone() -> None:
    found = made(museum_gallery(), [])
    assert len(found["items"]) == 1
    assert found["label"]["en"] == ["A ship, Ann, 1635 and 0 similar images"]


def test_texts_of_others_stay_text() -> None:
    titles = [*EVIL, *EVIL]
    columns = {"title": titles, "artist": titles, "date": titles, "medium": titles}
    columns |= {"<b>kind</b>": titles, " ": titles, "assistive_text": titles, "rights": titles}
    columns |= {"page": titles, "iiif": titles, "url": titles, "wikidata": titles}
    works = described(**columns)
    found = made(works, [(row, 0.5) for row in range(1, len(titles))], about="<b>About</b>")
    text = manifest_text(found)
    assert not re.search("[\\x00-\\x09\\x0b-\\x1f\\x7f\\u202e\\u2028]", text)
    assert not {"homepage", "seeAlso", "rights"} & {name for c in found["items"] for name in c}
    assert found["metadata"][0]["value"]["none"] == ["<b>About</b> "]
    for canvas, title in zip(found["items"], titles, strict=True):
        assert len(canvas["label"]["none"][0]) <= MAX_LABEL
        assert " " not in values(canvas)
        if len(title) >= 3000:
            assert values(canvas)["Title"] == [title]
    assert values(found["items"][0])["Artist"] == ["<script>evil()</script> "]  # and no HTML
    assert "Artist" not in values(found["items"][EVIL.index("   ")])


def test_names_of_labels_are_english_where_they_are_ours() -> None:
    schulen = {"Malschule": ["Delft", "Delft", "Haarlem"], "school": ["a", "a", "b"]}
    found = made(described(**schulen), [(1, 0.5)])
    labels = [line["label"] for line in found["items"][0]["metadata"]]
    assert labels == [{"none": ["Malschule"]}, {"en": ["School"]}]


def test_another_library_reads_what_we_write() -> None:
    found = made(museum_gallery(), [(1, 0.9), (2, 0.8), (3, 0.7)])
    read = iiif_prezi3.Manifest(**found)
    assert [canvas.label["none"] for canvas in read.items] == [
        *(["A ship"], ["A tree"], ["A dog"], ["3.jpg"])
    ]
    assert [(canvas.width, canvas.height) for canvas in read.items][0] == (8000, 6000)
    painting = read.items[0].items[0].items[0]
    assert (painting.motivation, str(painting.target)) == ("painting", str(read.items[0].id))
    assert json.loads(read.json()) == found


def test_what_we_write_is_what_we_read() -> None:
    """data=iiif takes a manifest of ours for what it is: paintings of the museum."""
    found = made(museum_gallery(), [(1, 0.9), (2, 0.8)])
    read = read_document(found, ADDRESS, "en")
    assert isinstance(read, presentation.Manifest)
    pictures = [canvas.pictures[0] for canvas in read.canvases]
    assert [canvas.label for canvas in read.canvases] == ["A ship", "A tree", "A dog"]
    assert [(p.width, p.height) for p in pictures] == [(8000, 6000), (9000, 9000), (600, 900)]
    services = [picture.service for picture in pictures]
    assert services == [
        Service(f"https://api.nga.gov/iiif/0000000{n}", version=2, level=1) for n in range(3)
    ]
    assert ("artist", ("Ann", "Bob")) in [(n.lower(), v) for n, v in read.canvases[0].metadata]


def test_two_hundred_canvases_are_valid() -> None:
    gallery = museum_gallery([ROWS[n % 4] for n in range(200)])
    found = made(gallery, [(row, 1 - row / 200) for row in range(1, 200)])
    assert len(found["items"]) == len(iiif_prezi3.Manifest(**found).items) == 200


def test_the_museums_real_rows_are_canvases_of_their_real_size(
    shared_data: Path, tmp_path: Path
) -> None:
    gallery = real_gallery(shared_data, tmp_path)
    found = made(gallery, [(row, 0.5) for row in range(1, len(gallery))])
    sizes = [(28841, 32922), (18412, 14191), (4736, 3711), (18397, 13224), (5669, 4682)]
    assert [(canvas["width"], canvas["height"]) for canvas in found["items"]] == sizes
    boats = found["items"][1]
    assert boats["label"] == {"none": ["The Boating Party"]}
    service = "https://api.nga.gov/iiif/da9ff160-755f-4f9a-a78c-75727ce61a3b"
    assert image(boats)["service"][0]["@id"] == service
    assert boats["thumbnail"][0]["id"] == f"{service}/full/!256,256/0/default.jpg"
    assert boats["seeAlso"][0]["id"].endswith("/Q15876324.json")
    assert "rights" not in boats  # the tables of 2023 do not say what is open
